//! Where snapshots are kept: an object store, with one folder for each job and partition.

mod mark;
mod past;

use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::TryStreamExt;
use millrace_settings::Snapshots;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload};
use tokio::runtime::Runtime;

use crate::{WorkerError, object_url, processor_time};
pub(crate) use mark::Mark;
pub(crate) use past::PastSnapshot;
use past::Sparse;

/// How long one call of the store may take.
const CALL: Duration = Duration::from_secs(30);
/// How long a thread that has done some of the store's work waits for more.
const HELPER_KEPT: Duration = Duration::from_millis(1);
/// Snapshots are uploaded in parts of this size: the least that S3 takes, and all of one size, as
/// some stores want it.
pub(crate) const PART_LEN: usize = 5 * 1024 * 1024;

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// There is no such snapshot.
    #[error("{0}")]
    Missing(String),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

impl StoreError {
    /// A short name from a fixed set, fit for a metric label.
    #[must_use]
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) => "missing",
            Self::Failed(_) => "store",
        }
    }
}

impl From<object_store::Error> for StoreError {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::NotFound { .. } => Self::Missing(error.to_string()),
            _ => Self::Failed(error.to_string()),
        }
    }
}

/// Snapshots of one job. Calls block; a clone is the same store.
///
/// A snapshot's key is `<job>/<partition>/<offset, 20 digits>.snap`. It appears whole or not at
/// all, and only when its last part has been written: the directory store writes another file and
/// renames it, and an object store puts the parts together by one call at the end.
#[derive(Clone)]
pub(crate) struct SnapshotStore {
    store: Arc<dyn ObjectStore>,
    root: Path,
    folder: String,
    keep: usize,
    /// Which of those that are too many stay as past ones; `None` of a job that has none.
    sparse: Option<Sparse>,
    runtime: Arc<Runtime>,
    turns: Arc<AtomicUsize>,
    helpers_ns: Arc<AtomicU64>,
    /// Partitions whose mark is not true any more and could not be taken away.
    stale_marks: Arc<Mutex<BTreeSet<i32>>>,
}

/// That a state is frozen until it is in the store; it ends as it is dropped.
#[derive(Debug)]
pub(crate) struct Turn(Arc<AtomicUsize>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl SnapshotStore {
    /// Opens the store of the settings for the snapshots of the job with this `folder`. A directory
    /// is made if it is missing; an object store is first asked when a snapshot is listed or
    /// written.
    ///
    /// # Errors
    /// The directory cannot be made, or the URL or an option is none that the store knows.
    pub(crate) fn open(settings: &Snapshots, folder: &str) -> Result<Self, WorkerError> {
        let failed = |reason: String| Self::failed(settings, reason);
        let (store, root) = object_url::open(&settings.url, &settings.store_options).map_err(failed)?;
        let helpers_ns = Arc::new(AtomicU64::new(0));
        let ended_ns = Arc::clone(&helpers_ns);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            // What a directory is asked for runs on threads of tokio's, whose time is known when
            // they end.
            .thread_keep_alive(HELPER_KEPT)
            .on_thread_stop(move || {
                let used = processor_time::of_this_thread().as_nanos();
                ended_ns.fetch_add(u64::try_from(used).unwrap_or(u64::MAX), Ordering::Relaxed);
            })
            .build()
            .map_err(|error| failed(error.to_string()))?;
        Ok(Self {
            store,
            root,
            folder: folder.to_owned(),
            keep: settings.keep.max(1),
            sparse: None,
            runtime: Arc::new(runtime),
            turns: Arc::default(),
            helpers_ns,
            stale_marks: Arc::default(),
        })
    }

    /// Whether [`Self::open`] will open it: a wrong address is wrong however long a registry or a
    /// cluster that is away is waited for, so a service asks first of all.
    ///
    /// # Errors
    /// As of [`Self::open`].
    pub(crate) fn check(settings: &Snapshots) -> Result<(), WorkerError> {
        if settings.enabled {
            object_url::open(&settings.url, &settings.store_options)
                .map_err(|reason| Self::failed(settings, reason))?;
        }
        Ok(())
    }

    fn failed(settings: &Snapshots, reason: String) -> WorkerError {
        WorkerError::SnapshotStore {
            url: settings.url.to_string_lossy().into_owned(),
            reason,
        }
    }

    /// The processor time of threads that have done the store's work beside its callers, of those
    /// that ended since the last call: for a directory, more than the callers' own.
    pub(crate) fn take_helpers_time(&self) -> Duration {
        Duration::from_nanos(self.helpers_ns.swap(0, Ordering::Relaxed))
    }

    /// Says that a state is frozen for this store, to the other threads that have it.
    pub(crate) fn turn(&self) -> Turn {
        self.turns.fetch_add(1, Ordering::AcqRel);
        Turn(Arc::clone(&self.turns))
    }

    /// States that are frozen for this store.
    pub(crate) fn turns(&self) -> usize {
        self.turns.load(Ordering::Acquire)
    }

    fn prefix(&self, partition: i32) -> Path {
        self.root
            .clone()
            .join(self.folder.as_str())
            .join(partition.to_string())
    }

    fn key(&self, partition: i32, offset: i64) -> Path {
        self.prefix(partition).join(format!("{offset:020}.snap"))
    }

    fn run<T>(&self, call: impl Future<Output = object_store::Result<T>>) -> Result<T, StoreError> {
        self.runtime.block_on(async {
            match tokio::time::timeout(CALL, call).await {
                Ok(result) => Ok(result?),
                Err(_) => Err(StoreError::Failed(format!(
                    "no answer within {} s",
                    CALL.as_secs()
                ))),
            }
        })
    }

    /// The offsets of a partition's snapshots, the newest first. Other files are left alone.
    ///
    /// # Errors
    /// The store fails.
    pub(crate) fn list(&self, partition: i32) -> Result<Vec<i64>, StoreError> {
        let prefix = self.prefix(partition);
        let objects = self.run(self.store.list(Some(&prefix)).try_collect::<Vec<_>>())?;
        let mut offsets: Vec<i64> = objects
            .iter()
            .filter_map(|object| offset_of(object, ".snap"))
            .collect();
        offsets.sort_unstable_by(|a, b| b.cmp(a));
        Ok(offsets)
    }

    /// Reads a snapshot.
    ///
    /// # Errors
    /// It is missing, or the store fails.
    pub(crate) fn read(
        &self,
        partition: i32,
        offset: i64,
    ) -> Result<impl Deref<Target = [u8]> + use<>, StoreError> {
        let key = self.key(partition, offset);
        self.run(async { self.store.get(&key).await?.bytes().await })
    }

    /// When a snapshot was written, in milliseconds since 1970, by the store's clock.
    ///
    /// # Errors
    /// It is missing, or the store fails.
    pub(crate) fn written_at_ms(&self, partition: i32, offset: i64) -> Result<i64, StoreError> {
        let key = self.key(partition, offset);
        let found = self.run(self.store.head(&key))?;
        Ok(found.last_modified.timestamp_millis())
    }

    /// Begins to write a snapshot: [`Upload::part`] takes it, and [`Upload::finish`] makes it
    /// appear.
    pub(crate) fn begin(&self, partition: i32, offset: i64) -> Upload<'_> {
        Upload {
            store: self,
            partition,
            offset,
            parts: None,
        }
    }

    /// Deletes the snapshots beyond the last few up to `offset`, but for those that stay as past
    /// ones. Those of later offsets are of another history of the log: they may be all that proves
    /// it, and stay for a person to look at. What cannot be deleted is left for the next time.
    fn tidy(&self, partition: i32, offset: i64) {
        let outcome = match self.sparse {
            Some(sparse) => self.thin_out(partition, offset, sparse),
            None => self.list(partition).and_then(|offsets| {
                let mut stale = offsets.iter().filter(|at| **at <= offset).skip(self.keep);
                stale.try_for_each(|at| self.delete(partition, *at))
            }),
        };
        if let Err(error) = outcome {
            tracing::warn!(partition, %error, "an old snapshot could not be deleted");
        }
        self.forget_stale_mark(partition);
    }

    /// Puts a snapshot of another history of the log out of the way, under the name
    /// `<offset>.set-aside`.
    ///
    /// # Errors
    /// The store fails.
    pub(crate) fn set_aside(&self, partition: i32, offset: i64) -> Result<(), StoreError> {
        let to = self.prefix(partition).join(format!("{offset:020}.set-aside"));
        self.run(self.store.rename(&self.key(partition, offset), &to))
    }

    /// Deletes a snapshot.
    ///
    /// # Errors
    /// The store fails.
    pub(crate) fn delete(&self, partition: i32, offset: i64) -> Result<(), StoreError> {
        let key = self.key(partition, offset);
        self.run(self.store.delete(&key))
    }
}

/// The offset in an object's name, where it has this ending.
fn offset_of(object: &object_store::ObjectMeta, ending: &str) -> Option<i64> {
    let name = object.location.filename()?.strip_suffix(ending)?;
    (name.len() == 20).then(|| name.parse().ok())?
}

/// A snapshot on its way into the store. One that is not finished does not appear; what was
/// uploaded of it is dropped.
pub(crate) struct Upload<'a> {
    store: &'a SnapshotStore,
    partition: i32,
    offset: i64,
    /// From the first part that is not the last one on: a small snapshot is one call.
    parts: Option<Box<dyn MultipartUpload>>,
}

impl Upload<'_> {
    /// Uploads a part that is not the last one, of [`PART_LEN`].
    ///
    /// # Errors
    /// The store fails; the snapshot is then to be given up.
    pub(crate) fn part(&mut self, bytes: Vec<u8>) -> Result<(), StoreError> {
        let store = self.store;
        if self.parts.is_none() {
            let key = store.key(self.partition, self.offset);
            self.parts = Some(store.run(store.store.put_multipart(&key))?);
        }
        match &mut self.parts {
            Some(parts) => store.run(parts.put_part(PutPayload::from(bytes))),
            None => Ok(()),
        }
    }

    /// Uploads the last part, whereupon the snapshot appears, then deletes those that are too many
    /// or of another history of the log.
    ///
    /// # Errors
    /// The snapshot could not be written; those before are untouched.
    pub(crate) fn finish(mut self, last: Vec<u8>) -> Result<(), StoreError> {
        let store = self.store;
        if self.parts.is_some() {
            self.part(last)?;
        } else {
            let key = store.key(self.partition, self.offset);
            store.run(store.store.put(&key, PutPayload::from(last)))?;
        }
        if let Some(parts) = &mut self.parts {
            store.run(parts.complete())?;
        }
        self.parts = None;
        store.tidy(self.partition, self.offset);
        Ok(())
    }
}

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        if let Some(parts) = &mut self.parts
            && let Err(error) = self.store.run(parts.abort())
        {
            let (partition, offset) = (self.partition, self.offset);
            tracing::warn!(partition, offset, %error, "parts of a snapshot that failed may be left in the store");
        }
    }
}

#[cfg(test)]
impl SnapshotStore {
    /// Writes a small snapshot whole.
    pub(crate) fn write(&self, partition: i32, offset: i64, bytes: Vec<u8>) -> Result<(), StoreError> {
        self.begin(partition, offset).finish(bytes)
    }

    /// A store in a directory.
    pub(crate) fn in_folder(url: &std::path::Path, folder: &str, keep: usize) -> Self {
        let settings = Snapshots {
            url: url.to_owned(),
            keep,
            ..Snapshots::default()
        };
        Self::open(&settings, folder).unwrap()
    }
}

#[cfg(test)]
mod tests;
