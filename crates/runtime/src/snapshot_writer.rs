//! Writes and stores snapshots on a thread of its own: of all that a snapshot takes, only freezing
//! the state is in the path of the records.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use millrace_engine::FrozenState;
use millrace_engine::snapshot::SnapshotWriter as Container;

use crate::metrics::JobMetrics;
use crate::snapshot_store::{PART_LEN, SnapshotStore, StoreError, Turn};
use crate::{WorkerError, processor_time};

/// Snapshots that may wait for the store as a worker gives partitions up, one of a partition at
/// most. While it processes records, one of them all is enough: see [`SnapshotWriter::has_room`].
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
    /// The processor time that this took the writing thread and those of the store. On a machine
    /// that is short of it, the clock would say that snapshots are dear, just when they must not be
    /// far apart.
    pub(crate) cost: Duration,
    /// Its size in bytes; `None` where it is not stored.
    pub(crate) size: Option<i64>,
}

/// The thread that stores snapshots.
pub(crate) struct SnapshotWriter {
    queue: Option<SyncSender<(Taken, Turn)>>,
    store: SnapshotStore,
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
        let of_thread = store.clone();
        let thread = std::thread::Builder::new()
            .name(name.clone())
            .spawn(move || run(&snapshots, &for_thread, &of_thread, &metrics))
            .map_err(|error| WorkerError::Thread {
                name,
                what: format!("cannot be started: {error}"),
            })?;
        Ok(Self {
            queue: Some(queue),
            store,
            shared,
            thread: Some(thread),
        })
    }

    /// Queues a snapshot; `false` where the store is behind.
    pub(crate) fn store(&self, taken: Taken) -> bool {
        let Some(queue) = &self.queue else { return false };
        let partition = taken.partition;
        self.shared.state().waiting.push(partition);
        match queue.try_send((taken, self.store.turn())) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.shared.state().forget(partition);
                false
            }
        }
    }

    /// Whether a snapshot may be taken while records go on: while none of the job is under way, in
    /// any of the process's threads. For as long as a state is frozen, each of its pages that is
    /// written is there twice, and soon these are nearly all that are ever written; so one
    /// partition's are, and not one's for each thread and another's that waits.
    pub(crate) fn has_room(&self) -> bool {
        self.shared.state().waiting.is_empty() && self.store.turns() == 0
    }

    /// What was done since the last call.
    pub(crate) fn take_done(&self) -> Vec<Done> {
        std::mem::take(&mut self.shared.state().done)
    }

    /// Waits until the partitions whose snapshot is not done are as wanted, but not beyond
    /// `deadline`; whether that was reached.
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

fn run(snapshots: &Receiver<(Taken, Turn)>, shared: &Shared, store: &SnapshotStore, metrics: &JobMetrics) {
    let mut sizes: HashMap<i32, u64> = HashMap::new();
    while let Ok((taken, turn)) = snapshots.recv() {
        let (partition, offset) = (taken.partition, taken.offset);
        let started = processor_time::of_this_thread();
        let last_size = sizes.entry(partition).or_insert(0);
        let size = match write(taken, store, *last_size) {
            Ok(size) => {
                *last_size = size;
                Some(i64::try_from(size).unwrap_or(i64::MAX))
            }
            Err(error) => {
                metrics.snapshot_failed("store");
                tracing::error!(partition, offset, %error, "a snapshot could not be stored: recovery would take longer");
                None
            }
        };
        drop(turn);
        let own = processor_time::of_this_thread().saturating_sub(started);
        let cost = own + store.take_helpers_time();
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

/// Writes a snapshot to the store, part by part; its size in bytes. The buffer is made for one an
/// eighth larger than the last one.
fn write(taken: Taken, store: &SnapshotStore, last_size: u64) -> Result<u64, StoreError> {
    let expected_len = usize::try_from(last_size + last_size / 8).unwrap_or(usize::MAX);
    let mut upload = store.begin(taken.partition, taken.offset);
    let last = taken
        .container
        .write_in_parts(taken.state, PART_LEN, expected_len, |part| upload.part(part))?;
    upload.finish(last.bytes)?;
    Ok(last.snapshot_len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_engine::snapshot::{Header, container};

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
        assert!(writer.wait(<[i32]>::is_empty, Instant::now() + Duration::from_secs(180)));
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
    fn what_is_stored_in_parts_is_a_snapshot_and_nobody_else_has_a_turn_meanwhile() {
        const LEN: usize = 2 * PART_LEN + 9;
        let folder = tempfile::tempdir().unwrap();
        let store = SnapshotStore::in_folder(folder.path(), "writer-parts", 2);
        let metrics = JobMetrics::of("writer-parts").unwrap();
        let start =
            |name: &str| SnapshotWriter::start(store.clone(), metrics.clone(), name.to_owned()).unwrap();
        let (writer, other) = (start("writer"), start("other"));
        let (go, wait) = sync_channel::<()>(0);
        let state = FrozenState::new(move |writer| {
            wait.recv().unwrap();
            (0..LEN).for_each(|at| writer.raw(&[at as u8]));
        });
        assert!(writer.has_room() && other.has_room());
        assert!(writer.store(Taken {
            state,
            ..taken(1, 10)
        }));
        assert!(!writer.has_room() && !other.has_room());
        go.send(()).unwrap();
        assert!(writer.wait(<[i32]>::is_empty, Instant::now() + Duration::from_secs(180)));
        assert!(writer.has_room() && other.has_room());
        let bytes = store.read(1, 10).unwrap();
        let read = container::read_any(&bytes).unwrap();
        assert_eq!(writer.take_done()[0].size, Some(bytes.len() as i64));
        assert_eq!(read.header.offset, 10);
        assert!(read.state.iter().enumerate().all(|(at, byte)| *byte == at as u8) && read.state.len() == LEN);
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
        assert!(writer.wait(<[i32]>::is_empty, Instant::now() + Duration::from_secs(180)));
        let done = writer.take_done();
        let sizes: Vec<_> = done
            .iter()
            .map(|done| (done.partition, done.size.is_some()))
            .collect();
        assert_eq!(sizes, [(1, false), (2, true)]);
    }
}
