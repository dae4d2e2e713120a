//! What one attempt's failure means: try again, or not.

use schema_registry_converter::error::SRCError;
use schema_registry_converter::schema_registry_common::RawError;

/// One attempt that did not succeed.
pub(super) enum Failure {
    Retry(String),
    Status { status: u16, message: String },
}

pub(super) fn by_status(status: u16, message: String) -> Failure {
    // 408 is a time-out, 429 asks for patience.
    let again = status >= 500 || [408, 429].contains(&status);
    if again {
        Failure::Retry(format!("status {status}: {message}"))
    } else {
        Failure::Status { status, message }
    }
}

/// The converter keeps the HTTP status in its text alone, as `… failed with status 404 Not Found`.
pub(super) fn converter_failure(error: &SRCError) -> Failure {
    let raw = std::error::Error::source(error).and_then(|source| source.downcast_ref::<RawError>());
    let message = raw.map_or_else(|| chain(error), |raw| raw.message.clone());
    let status = error
        .error
        .split_once("failed with status ")
        .and_then(|(_, rest)| rest.get(..3)?.parse().ok());
    match status {
        Some(status) => by_status(status, message),
        None if error.retriable => Failure::Retry(message),
        None => Failure::Status { status: 0, message },
    }
}

/// An error with what caused it: an HTTP client's own message rarely says more than that it failed.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
