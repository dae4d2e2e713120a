//! What a worker does after a failure.

use millrace_kafka::transaction;

use crate::WorkerError;

/// What to do after a failure.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Abort the transaction, go back to the committed offsets, and process again.
    Abort(String),
    /// Give up.
    Stop(WorkerError),
}

impl From<WorkerError> for Failure {
    fn from(error: WorkerError) -> Self {
        Self::Stop(error)
    }
}

impl From<transaction::Failure> for Failure {
    fn from(failure: transaction::Failure) -> Self {
        match failure {
            transaction::Failure::Abort(reason) => Self::Abort(reason),
            transaction::Failure::Stop(error) => Self::Stop(error.into()),
        }
    }
}
