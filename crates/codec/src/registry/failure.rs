//! What one attempt's failure means: try again, or not.

use millrace_http::explain;
use schema_registry_converter::error::SRCError;
use schema_registry_converter::schema_registry_common::RawError;

/// The section of the settings that a connection comes from.
const SECTION: &str = "schema_registry";

/// One attempt that did not succeed.
pub(super) enum Failure {
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
    pub(super) fn no_answer(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Retry {
            status: None,
            cause: explain(error, SECTION),
        }
    }
}

pub(super) fn by_status(status: u16, message: String) -> Failure {
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

/// The converter keeps the HTTP status in its text alone, as `… failed with status 404 Not Found`.
pub(super) fn converter_failure(error: &SRCError) -> Failure {
    let raw = std::error::Error::source(error).and_then(|source| source.downcast_ref::<RawError>());
    let message = raw.map_or_else(|| explain(error, SECTION), |raw| raw.message.clone());
    let status = error
        .error
        .split_once("failed with status ")
        .and_then(|(_, rest)| rest.get(..3)?.parse().ok());
    match status {
        Some(status) => by_status(status, message),
        None if error.retriable => Failure::Retry {
            status: None,
            cause: message,
        },
        None => Failure::Status { status: 0, message },
    }
}
