//! What one attempt's failure means: try again, or not.

use millrace_http::explain;

/// The section of the settings that a connection comes from.
const SECTION: &str = "schema_registry";

/// One attempt that did not succeed.
pub(crate) enum Failure {
    /// `status` is the HTTP status, where there was an answer.
    Retry {
        status: Option<u16>,
        cause: String,
    },
    Status {
        status: u16,
        message: String,
    },
}

impl Failure {
    pub(crate) fn no_answer(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Retry {
            status: None,
            cause: explain(error, SECTION),
        }
    }
}

pub(crate) fn by_status(status: u16, message: String) -> Failure {
    // 408 is a time-out, 429 asks for patience.
    let again = status >= 500 || [408, 429].contains(&status);
    if again {
        Failure::Retry {
            status: Some(status),
            cause: format!("status {status}: {message}"),
        }
    } else {
        Failure::Status { status, message }
    }
}
