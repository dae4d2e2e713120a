//! Past snapshots: a few, far apart, of those that recovery needs no more.
//!
//! They have names of their own, so that no recovery ever takes one: only who looks back reads
//! them.

use futures::TryStreamExt;
use millrace_settings::Snapshots;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use super::{SnapshotStore, StoreError, offset_of};

/// How the name of a past snapshot ends.
const ENDING: &str = ".past";

/// Which snapshots stay as past ones: the first of each interval, by when the store says that it
/// was written, of the last few intervals.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sparse {
    interval_ms: i64,
    keep: usize,
}

impl Sparse {
    fn interval_of(self, written_ms: i64) -> i64 {
        written_ms.div_euclid(self.interval_ms)
    }
}

/// A snapshot that may be looked back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PastSnapshot {
    pub(crate) offset: i64,
    /// When it was written, in milliseconds since 1970, by the store's clock.
    pub(crate) written_ms: i64,
    is_past: bool,
}

impl SnapshotStore {
    /// The same store, which keeps past snapshots as the settings say.
    pub(crate) fn with_past(mut self, settings: &Snapshots) -> Self {
        self.sparse = Some(Sparse {
            interval_ms: i64::try_from(settings.past_interval_ms.max(1)).unwrap_or(i64::MAX),
            keep: settings.past_keep,
        });
        self
    }

    /// All of a partition's snapshots, past ones too, the newest first.
    ///
    /// # Errors
    /// The store fails.
    pub(crate) fn list_all(&self, partition: i32) -> Result<Vec<PastSnapshot>, StoreError> {
        let prefix = self.prefix(partition);
        let objects = self.run(self.store.list(Some(&prefix)).try_collect::<Vec<_>>())?;
        let snapshot = |object: &ObjectMeta| {
            let past = offset_of(object, ENDING);
            Some(PastSnapshot {
                offset: past.or_else(|| offset_of(object, ".snap"))?,
                written_ms: object.last_modified.timestamp_millis(),
                is_past: past.is_some(),
            })
        };
        let mut found: Vec<_> = objects.iter().filter_map(snapshot).collect();
        found.sort_unstable_by_key(|snapshot| std::cmp::Reverse(snapshot.offset));
        Ok(found)
    }

    /// Reads one of [`Self::list_all`].
    ///
    /// # Errors
    /// It is missing, or the store fails.
    pub(crate) fn read_past(
        &self,
        partition: i32,
        snapshot: &PastSnapshot,
    ) -> Result<impl std::ops::Deref<Target = [u8]> + use<>, StoreError> {
        let key = match snapshot.is_past {
            true => self.past_key(partition, snapshot.offset),
            false => self.key(partition, snapshot.offset),
        };
        self.run(async { self.store.get(&key).await?.bytes().await })
    }

    fn past_key(&self, partition: i32, offset: i64) -> object_store::path::Path {
        self.prefix(partition).join(format!("{offset:020}{ENDING}"))
    }

    /// Of the snapshots up to `offset` that are too many for recovery, makes the first of each
    /// interval a past one and deletes the others; then deletes the past ones that are too many or
    /// too old.
    pub(super) fn thin_out(&self, partition: i32, offset: i64, sparse: Sparse) -> Result<(), StoreError> {
        let all = self.list_all(partition)?;
        let (mut past, recent): (Vec<_>, Vec<_>) = all.into_iter().partition(|found| found.is_past);
        past.reverse();
        let stale = recent.into_iter().filter(|found| found.offset <= offset);
        let stale: Vec<_> = stale.skip(self.keep).collect();
        // The oldest first.
        for found in stale.into_iter().rev() {
            let interval = sparse.interval_of(found.written_ms);
            let is_first = past
                .last()
                .is_none_or(|last| sparse.interval_of(last.written_ms) < interval);
            if !is_first || sparse.keep == 0 {
                self.delete(partition, found.offset)?;
                continue;
            }
            let to = self.past_key(partition, found.offset);
            self.run(self.store.rename(&self.key(partition, found.offset), &to))?;
            past.push(PastSnapshot {
                is_past: true,
                ..found
            });
        }
        let newest = past
            .last()
            .map_or(0, |newest| sparse.interval_of(newest.written_ms));
        let oldest = newest.saturating_sub(i64::try_from(sparse.keep).unwrap_or(i64::MAX));
        let excess = past.len().saturating_sub(sparse.keep);
        for (at, old) in past.iter().enumerate() {
            if at < excess || sparse.interval_of(old.written_ms) < oldest {
                self.run(self.store.delete(&self.past_key(partition, old.offset)))?;
            }
        }
        Ok(())
    }

    /// Deletes the past snapshots of offsets beyond `at`: they are of another history of the log,
    /// which nobody can look back to any more.
    ///
    /// # Errors
    /// The store fails.
    pub(crate) fn forget_past(&self, partition: i32, at: Option<i64>) -> Result<(), StoreError> {
        for past in self.list_all(partition)? {
            if past.is_past && at.is_none_or(|at| past.offset > at) {
                self.run(self.store.delete(&self.past_key(partition, past.offset)))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    use super::*;

    const HOUR: u64 = 3_600;

    fn store(folder: &Path, past_keep: usize) -> SnapshotStore {
        let settings = Snapshots {
            past_keep,
            past_interval_ms: HOUR * 1_000,
            ..Snapshots::default()
        };
        SnapshotStore::in_folder(folder, "job", 2).with_past(&settings)
    }

    /// Has a snapshot be written at a time, in seconds since 1970.
    fn date(folder: &Path, offset: i64, at_s: u64) {
        let file = folder.join(format!("job/0/{offset:020}.snap"));
        let file = std::fs::File::options().append(true).open(file).unwrap();
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(at_s);
        file.set_modified(at).unwrap();
    }

    fn past(store: &SnapshotStore) -> Vec<i64> {
        let all = store.list_all(0).unwrap();
        let past = all.iter().filter(|found| found.is_past);
        past.map(|found| found.offset).collect()
    }

    #[test]
    fn the_first_of_each_hour_stays_for_so_many_hours_and_recovery_sees_none() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path(), 3);
        // Every 20 minutes, for 6 hours and a bit.
        for number in 1..=20 {
            let offset = i64::try_from(number).unwrap() * 10;
            store.write(0, offset, vec![1, number as u8]).unwrap();
            date(folder.path(), offset, number * HOUR / 3);
            assert!(past(&store).len() <= 3, "{:?}", past(&store));
        }
        assert_eq!(store.list(0).unwrap(), [200, 190], "what a recovery may take");
        assert_eq!(past(&store), [180, 150, 120]);
        let all = store.list_all(0).unwrap();
        let read = |at: usize| store.read_past(0, &all[at]).unwrap().to_vec();
        assert_eq!((read(0), read(2)), (vec![1, 20], vec![1, 18]));
    }

    #[test]
    fn past_ones_go_when_they_are_old_or_not_wanted_or_of_another_history() {
        let folder = tempfile::tempdir().unwrap();
        let kept = store(folder.path(), 3);
        for (offset, at_s) in [(10, HOUR), (20, 2 * HOUR), (30, 2 * HOUR), (40, 3 * HOUR)] {
            kept.write(0, offset, vec![1]).unwrap();
            date(folder.path(), offset, at_s);
        }
        assert_eq!(past(&kept), [20, 10]);
        kept.forget_past(0, Some(10)).unwrap();
        assert_eq!(past(&kept), [10]);
        // Written now, decades later.
        kept.write(0, 50, vec![1]).unwrap();
        kept.write(0, 60, vec![1]).unwrap();
        assert_eq!(past(&kept), [40, 30, 10]);
        kept.write(0, 70, vec![1]).unwrap();
        assert_eq!(past(&kept), [50], "the others are old by then");
        let none = store(folder.path(), 0);
        none.write(0, 80, vec![1]).unwrap();
        assert_eq!(past(&none), Vec::<i64>::new());
        assert_eq!(none.list(0).unwrap(), [80, 70]);
    }
}
