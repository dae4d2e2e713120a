//! Stores snapshots on a thread of its own: checksum and store are off the hot path.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use millrace_engine::snapshot::SnapshotWriter as Container;

use crate::WorkerError;
use crate::metrics::JobMetrics;
use crate::snapshot_store::SnapshotStore;

/// Snapshots that may wait for the store; a further one is skipped, and the next commit tries again.
const QUEUE: usize = 2;

/// A snapshot with its state in it, taken right after the commit of its offset.
pub(crate) struct Taken {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) container: Container,
}

/// A snapshot that is stored.
pub(crate) struct Stored {
    pub(crate) partition: i32,
    pub(crate) at: Instant,
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
    done: Condvar,
}

#[derive(Default)]
struct State {
    waiting: usize,
    stored: Vec<Stored>,
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
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .waiting += 1;
        let full = matches!(
            queue.try_send(taken),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_))
        );
        if full {
            self.shared
                .state
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .waiting -= 1;
        }
        !full
    }

    /// Whether another snapshot would be taken now.
    pub(crate) fn has_room(&self) -> bool {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .waiting
            < QUEUE
    }

    /// What was stored since the last call.
    pub(crate) fn take_stored(&self) -> Vec<Stored> {
        std::mem::take(
            &mut self
                .shared
                .state
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .stored,
        )
    }

    /// Waits until at most `most` snapshots wait, but not beyond `deadline`; whether that was reached.
    pub(crate) fn wait(&self, most: usize, deadline: Instant) -> bool {
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.waiting > most {
            let left = deadline.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                return false;
            }
            state = self
                .shared
                .done
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
    while let Ok(taken) = snapshots.recv() {
        let bytes = taken.container.finish();
        let size = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
        let result = store.write(taken.partition, taken.offset, bytes);
        let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
        match result {
            Ok(()) => {
                metrics.set_snapshot_size(taken.partition, size);
                state.stored.push(Stored {
                    partition: taken.partition,
                    at: Instant::now(),
                });
            }
            Err(error) => {
                metrics.snapshot_failed("store");
                let (partition, offset) = (taken.partition, taken.offset);
                tracing::error!(partition, offset, %error, "a snapshot could not be stored: recovery would take longer");
            }
        }
        drop(state);
        shared.done.notify_all();
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
        }
    }

    #[test]
    fn stores_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let store = SnapshotStore::in_folder(folder.path(), "writer-test", 2);
        let metrics = JobMetrics::of("writer-test").unwrap();
        let writer = SnapshotWriter::start(store.clone(), metrics, "writer".to_owned()).unwrap();
        assert!(writer.store(taken(1, 10)));
        assert!(writer.wait(0, Instant::now() + Duration::from_secs(10)));
        assert_eq!(writer.take_stored().len(), 1);
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
        assert!(writer.wait(0, Instant::now() + Duration::from_secs(10)));
        let stored: Vec<i32> = writer
            .take_stored()
            .iter()
            .map(|stored| stored.partition)
            .collect();
        assert_eq!(stored, [2]);
    }
}
