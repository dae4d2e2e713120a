//! Whether a job's workers are ready, for `/health/ready`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One worker thread's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WorkerState {
    /// Whether it is a member of the group and has got its assignment, perhaps an empty one.
    pub joined: bool,
    /// How many partitions it has.
    pub assigned: usize,
    /// How many of them are being restored or replayed.
    pub restoring: usize,
}

/// Whose trouble it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// The process as a whole, by its name.
    Instance,
    /// A worker thread, by its number.
    Worker(usize),
    /// A partition of the input.
    Partition(i32),
}

/// A job's state, shared between its workers and whoever asks. A clone is the same status.
#[derive(Debug, Clone, Default)]
pub struct JobStatus {
    workers: Arc<Mutex<Vec<WorkerState>>>,
    problems: Arc<Mutex<BTreeMap<Subject, String>>>,
}

impl JobStatus {
    /// A status of a job that has not started.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether every worker has its assignment, no partition is being restored, and there is no
    /// [`Self::problem`].
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let workers = self.workers();
        self.problem().is_none()
            && !workers.is_empty()
            && workers
                .iter()
                .all(|worker| worker.joined && worker.restoring == 0)
    }

    /// What a person has to see to, with what to do; the first of several, with their number.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let problems = self.problems();
        let first = problems.values().next()?;
        Some(match problems.len() {
            1 => first.clone(),
            all => format!("{first} (and {} more)", all - 1),
        })
    }

    /// Notes a problem of `subject`, in place of the one before, or that there is none any more.
    pub(crate) fn set_problem(&self, subject: Subject, problem: Option<String>) {
        let mut problems = self.problems();
        match problem {
            Some(problem) => problems.insert(subject, problem),
            None => problems.remove(&subject),
        };
    }

    fn problems(&self) -> MutexGuard<'_, BTreeMap<Subject, String>> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every worker's state, by thread.
    #[must_use]
    pub fn workers(&self) -> Vec<WorkerState> {
        self.workers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn set(&self, thread: usize, state: WorkerState) {
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        if workers.len() <= thread {
            workers.resize(thread + 1, WorkerState::default());
        }
        workers[thread] = state;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_ready_when_every_worker_has_its_partitions_restored() {
        let status = JobStatus::new();
        assert!(!status.is_ready(), "no worker yet");
        let ready = WorkerState {
            joined: true,
            assigned: 2,
            restoring: 0,
        };
        status.set(1, ready);
        assert!(!status.is_ready(), "thread 0 has not joined");
        status.set(
            0,
            WorkerState {
                restoring: 1,
                ..ready
            },
        );
        assert!(!status.is_ready(), "thread 0 restores");
        status.clone().set(0, WorkerState { assigned: 0, ..ready });
        assert!(status.is_ready());
        status.set_problem(Subject::Instance, Some("taken".to_owned()));
        assert!(!status.is_ready());
        assert_eq!(status.problem().as_deref(), Some("taken"));
        status.set_problem(Subject::Instance, None);
        assert!(status.is_ready());
    }
}
