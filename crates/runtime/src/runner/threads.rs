//! The threads of a job: the first error of any stops all.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use super::Shared;
use crate::{Job, WorkerError};

pub(super) type FirstError = Arc<Mutex<Option<WorkerError>>>;

/// Takes a thread that has ended; its panic is an error.
pub(super) fn join(thread: JoinHandle<()>, first_error: &FirstError) {
    let name = thread.thread().name().unwrap_or_default().to_owned();
    if thread.join().is_err() {
        let what = "panicked".to_owned();
        fail(first_error, WorkerError::Thread { name, what });
    }
}

fn fail(first_error: &FirstError, error: WorkerError) {
    first_error
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .get_or_insert(error);
}

/// Sets the stop flag when its thread ends, in whatever way.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

pub(super) fn spawn<J: Job>(
    name: &str,
    shared: &Shared<J>,
    first_error: &FirstError,
    run: impl FnOnce() -> Result<(), WorkerError> + Send + 'static,
) -> Result<JoinHandle<()>, WorkerError> {
    let (stop, first_error) = (Arc::clone(&shared.stop), Arc::clone(first_error));
    let body = move || {
        let _stop = StopOnDrop(stop);
        if let Err(error) = run() {
            fail(&first_error, error);
        }
    };
    Builder::new().name(name.to_owned()).spawn(body).map_err(|error| {
        shared.stop.store(true, Ordering::Relaxed);
        WorkerError::Thread {
            name: name.to_owned(),
            what: format!("cannot be started: {error}"),
        }
    })
}
