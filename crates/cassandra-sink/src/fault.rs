//! What an answer that is no success means for what was to be written.

use millrace_sink::Reason;
use scylla::errors::{DbError, ExecutionError, RequestAttemptError};

/// Why a row was not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is to be written again: nodes are away, slow, or have too much to do. It may have been
    /// written, which makes no difference.
    Again(String),
    /// Its table takes nothing until somebody has seen to it.
    ///
    /// A row cannot be the reason, as every value was checked when it was made: so no answer makes
    /// a dead letter.
    Blocked(Reason),
}

/// The table, or what the server says of it, is not what it was at the start.
pub(crate) const REFUSED: &str = "refused";
/// The user may not write.
pub(crate) const UNAUTHORIZED: &str = "unauthorized";
/// Every reason why a table may take nothing.
pub(crate) const REASONS: [&str; 2] = [REFUSED, UNAUTHORIZED];

impl From<&ExecutionError> for Fault {
    fn from(error: &ExecutionError) -> Self {
        match error {
            ExecutionError::LastAttemptError(RequestAttemptError::DbError(answer, message)) => {
                of_answer(answer, message)
            }
            ExecutionError::BadQuery(_)
            | ExecutionError::LastAttemptError(RequestAttemptError::SerializationError(_)) => {
                blocked(REFUSED, &error.to_string())
            }
            // Connections, timeouts, answers that cannot be read.
            _ => Self::Again(error.to_string()),
        }
    }
}

fn of_answer(answer: &DbError, message: &str) -> Fault {
    match answer {
        DbError::Unauthorized | DbError::AuthenticationError => blocked(UNAUTHORIZED, message),
        DbError::Invalid | DbError::SyntaxError | DbError::ConfigError | DbError::FunctionFailure { .. } => {
            blocked(REFUSED, message)
        }
        _ => Fault::Again(format!("{answer}: {message}")),
    }
}

fn blocked(code: &'static str, message: &str) -> Fault {
    let remedy = match code {
        UNAUTHORIZED => "grant MODIFY on the keyspace to cassandra_sink.username",
        _ => {
            "a table that was dropped or changed is made anew at the sink's next start, once it is out of the way; \
             a guardrail of the server is to be raised there"
        }
    };
    Fault::Blocked(Reason {
        code,
        message: message.to_owned(),
        remedy,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use scylla::frame::types::Consistency;

    use super::*;

    fn of(answer: DbError) -> Fault {
        let attempt = RequestAttemptError::DbError(answer, "its words".to_owned());
        Fault::from(&ExecutionError::LastAttemptError(attempt))
    }

    #[test]
    fn what_passes_is_tried_again() {
        let unavailable = DbError::Unavailable {
            consistency: Consistency::LocalQuorum,
            required: 2,
            alive: 1,
        };
        for answer in [
            unavailable,
            DbError::Overloaded,
            DbError::IsBootstrapping,
            DbError::ServerError,
        ] {
            let Fault::Again(message) = of(answer) else {
                panic!("blocked")
            };
            assert!(message.ends_with(": its words"), "{message}");
        }
        let timeout = ExecutionError::RequestTimeout(Duration::from_secs(1));
        assert!(matches!(Fault::from(&timeout), Fault::Again(_)));
        assert!(matches!(Fault::from(&ExecutionError::EmptyPlan), Fault::Again(_)));
    }

    #[test]
    fn what_a_person_must_see_to_blocks_the_table() {
        for (answer, expected) in [
            (DbError::Invalid, REFUSED),
            (DbError::SyntaxError, REFUSED),
            (DbError::Unauthorized, UNAUTHORIZED),
            (DbError::AuthenticationError, UNAUTHORIZED),
        ] {
            let Fault::Blocked(reason) = of(answer) else {
                panic!("tried again")
            };
            assert_eq!((reason.code, reason.message.as_str()), (expected, "its words"));
            assert!(REASONS.contains(&reason.code));
        }
    }
}
