//! Writes and stores snapshots on a thread of its own: of all that a snapshot takes, only freezing the state is in the
//! path of the records.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use millrace_engine::FrozenState;
use millrace_engine::snapshot::SnapshotWriter as Container;

use crate::metrics::JobMetrics;
use crate::snapshot_store::SnapshotStore;
use crate::{WorkerError, processor_time};

/// Snapshots that may wait for the store, one of a partition at most; a further one is left to a later commit.
pub(crate) const QUEUE: usize = 2;

/// A state frozen right after the commit of its offset.
pub(crate) struct Taken {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// Its header.
    pub(crate) container: Container,
    pub(crate) state: FrozenState,
}

/// A snapshot that is stored, or could not be.
pub(crate) struct Done {
    pub(crate) partition: i32,
    pub(crate) at: Instant,
    /// The processor time that this took the writing thread. On a machine that is short of it, the clock would say
    /// that snapshots are dear, just when they must not be far apart.
    pub(crate) cost: Duration,
    /// Its size in bytes; `None` where it is not stored.
    pub(crate) size: Option<i64>,
}

/// The thread that stores snapshots.
pub(crate) struct SnapshotWriter {
    queue: Option<SyncSender<Taken>>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
struct State {
    /// Partitions whose snapshot is not done.
    waiting: Vec<i32>,
    done: Vec<Done>,
}

impl State {
    fn forget(&mut self, partition: i32) {
        self.waiting.retain(|waiting| *waiting != partition);
    }
}

impl SnapshotWriter {
    pub(crate) fn start(
        store: SnapshotStore,
        metrics: JobMetrics,
        name: String,
    ) -> Result<Self, WorkerError> {
        let (queue, snapshots) = sync_channel(QUEUE);
        let shared = Arc::new(Shared::default());
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name(name.clone())
            .spawn(move || run(&snapshots, &for_thread, &store, &metrics))
            .map_err(|error| WorkerError::Thread {
                name,
                what: format!("cannot be started: {error}"),
            })?;
        Ok(Self {
            queue: Some(queue),
            shared,
            thread: Some(thread),
        })
    }

    /// Queues a snapshot; `false` where the store is behind.
    pub(crate) fn store(&self, taken: Taken) -> bool {
        let Some(queue) = &self.queue else { return false };
        let partition = taken.partition;
        self.shared.state().waiting.push(partition);
        match queue.try_send(taken) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.shared.state().forget(partition);
                false
            }
        }
    }

    /// Whether a snapshot of this partition would be taken now.
    pub(crate) fn has_room(&self, partition: i32) -> bool {
        let state = self.shared.state();
        state.waiting.len() < QUEUE && !state.waiting.contains(&partition)
    }

    /// What was done since the last call.
    pub(crate) fn take_done(&self) -> Vec<Done> {
        std::mem::take(&mut self.shared.state().done)
    }

    /// Waits until the partitions whose snapshot is not done are as wanted, but not beyond `deadline`; whether that was
    /// reached.
    pub(crate) fn wait(&self, is_wanted: impl Fn(&[i32]) -> bool, deadline: Instant) -> bool {
        let mut state = self.shared.state();
        while !is_wanted(&state.waiting) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                return false;
            }
            state = self
                .shared
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        true
    }
}

impl Drop for SnapshotWriter {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the snapshot writer panicked");
        }
    }
}

fn run(snapshots: &Receiver<Taken>, shared: &Shared, store: &SnapshotStore, metrics: &JobMetrics) {
    let mut sizes: HashMap<i32, usize> = HashMap::new();
    while let Ok(taken) = snapshots.recv() {
        let (partition, offset) = (taken.partition, taken.offset);
        let started = processor_time::of_this_thread();
        let mut container = taken.container;
        // As large as the last one and an eighth more: without it, memory would be asked for in ever larger steps.
        let last_size = sizes.entry(partition).or_insert(0);
        container.state().reserve(*last_size + *last_size / 8);
        taken.state.write(container.state());
        let bytes = container.finish();
        *last_size = bytes.len();
        let size = match store.write(partition, offset, bytes) {
            Ok(()) => Some(i64::try_from(*last_size).unwrap_or(i64::MAX)),
            Err(error) => {
                metrics.snapshot_failed("store");
                tracing::error!(partition, offset, %error, "a snapshot could not be stored: recovery would take longer");
                None
            }
        };
        let cost = processor_time::of_this_thread().saturating_sub(started);
        let mut state = shared.state();
        state.forget(partition);
        state.done.push(Done {
            partition,
            at: Instant::now(),
            cost,
            size,
        });
        drop(state);
        shared.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_engine::snapshot::Header;

    fn taken(partition: i32, offset: i64) -> Taken {
        let header = Header {
            job: "writer-test",
            partition,
            offset,
            watermark_ms: None,
            fingerprint: "f",
        };
        Taken {
            partition,
            offset,
            container: Container::new(&header),
            state: FrozenState::new(|writer| writer.u8(7)),
        }
    }

    #[test]
    fn stores_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let store = SnapshotStore::in_folder(folder.path(), "writer-test", 2);
        let metrics = JobMetrics::of("writer-test").unwrap();
        let writer = SnapshotWriter::start(store.clone(), metrics, "writer".to_owned()).unwrap();
        assert!(writer.store(taken(1, 10)));
        assert!(writer.wait(<[i32]>::is_empty, Instant::now() + Duration::from_secs(10)));
        let done = writer.take_done();
        assert!(matches!(
            done[..],
            [Done {
                partition: 1,
                size: Some(1..),
                ..
            }]
        ));
        assert_eq!(store.list(1).unwrap(), [10]);
    }

    #[test]
    fn a_store_that_fails_is_counted_and_not_fatal() {
        let folder = tempfile::tempdir().unwrap();
        let store = SnapshotStore::in_folder(folder.path(), "writer-fails", 2);
        // A file where the partition's folder would be.
        std::fs::create_dir(folder.path().join("writer-fails")).unwrap();
        std::fs::write(folder.path().join("writer-fails/1"), "").unwrap();
        let metrics = JobMetrics::of("writer-fails").unwrap();
        let writer = SnapshotWriter::start(store, metrics, "writer".to_owned()).unwrap();
        assert!(writer.store(taken(1, 10)));
        assert!(writer.store(taken(2, 10)));
        assert!(writer.wait(<[i32]>::is_empty, Instant::now() + Duration::from_secs(10)));
        let done = writer.take_done();
        let sizes: Vec<_> = done
            .iter()
            .map(|done| (done.partition, done.size.is_some()))
            .collect();
        assert_eq!(sizes, [(1, false), (2, true)]);
    }
}
