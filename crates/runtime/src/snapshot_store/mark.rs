//! The mark of a stop in good order.

use std::collections::BTreeSet;
use std::sync::{MutexGuard, PoisonError};

use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};

use super::{SnapshotStore, StoreError};

/// Says that a worker gave a partition up in good order, with `offset` as its last commit. Its next
/// owner takes the mark away before it commits anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The last commit.
    pub(crate) offset: i64,
    /// When it was set, in milliseconds since 1970.
    pub(crate) at_ms: i64,
    /// Cluster and topic.
    pub(crate) identity: String,
}

impl SnapshotStore {
    fn mark_key(&self, partition: i32) -> Path {
        self.prefix(partition).join("last-commit")
    }

    /// Sets a partition's mark.
    ///
    /// # Errors
    /// The store fails.
    pub(crate) fn set_mark(&self, partition: i32, mark: &Mark) -> Result<(), StoreError> {
        let text = format!("{} {} {}", mark.offset, mark.at_ms, mark.identity);
        let key = self.mark_key(partition);
        self.run(self.store.put(&key, PutPayload::from(text.into_bytes())))?;
        Ok(())
    }

    /// A partition's mark, if there is one that is understood.
    ///
    /// # Errors
    /// The store fails.
    pub(crate) fn mark(&self, partition: i32) -> Result<Option<Mark>, StoreError> {
        let key = self.mark_key(partition);
        let bytes = match self.run(async { self.store.get(&key).await?.bytes().await }) {
            Ok(bytes) => bytes,
            Err(StoreError::Missing(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let text = String::from_utf8_lossy(&bytes);
        let mut words = text.splitn(3, ' ');
        let mut word = || words.next();
        let parsed = (|| {
            Some(Mark {
                offset: word()?.parse().ok()?,
                at_ms: word()?.parse().ok()?,
                identity: word()?.to_owned(),
            })
        })();
        Ok(parsed)
    }

    /// Takes a partition's mark away: it is about to be no longer true. Where that fails, it is
    /// tried again with each snapshot.
    ///
    /// # Errors
    /// The store fails.
    pub(crate) fn forget_mark(&self, partition: i32) -> Result<(), StoreError> {
        match self.run(self.store.delete(&self.mark_key(partition))) {
            Ok(()) | Err(StoreError::Missing(_)) => {
                self.stale_marks().remove(&partition);
                Ok(())
            }
            Err(error) => {
                self.stale_marks().insert(partition);
                Err(error)
            }
        }
    }

    pub(super) fn forget_stale_mark(&self, partition: i32) {
        let is_stale = self.stale_marks().contains(&partition);
        if is_stale && let Err(error) = self.forget_mark(partition) {
            tracing::warn!(partition, %error, "the mark of the last stop could not be taken away");
        }
    }

    fn stale_marks(&self) -> MutexGuard<'_, BTreeSet<i32>> {
        self.stale_marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
