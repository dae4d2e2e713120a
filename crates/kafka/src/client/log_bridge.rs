//! librdkafka's log and errors as tracing events.

use std::sync::{Mutex, PoisonError};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tracing::{debug, error, info, warn};

/// A client context that only passes librdkafka's log on.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogBridge;

impl ClientContext for LogBridge {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        bridge_log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        bridge_error(&error, reason);
    }
}

impl ConsumerContext for LogBridge {}

/// As [`LogBridge`], and keeps what the client said last: a call that failed knows no more than
/// that nobody answered, where the client knows that a certificate is not trusted.
#[derive(Debug, Default)]
pub(crate) struct LastError(Mutex<Option<String>>);

impl LastError {
    /// Takes the last error's words, if there was one since the last call.
    pub(crate) fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl ClientContext for LastError {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        bridge_log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        bridge_error(&error, reason);
        // That all brokers are down follows from what was said of each before.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
        }
    }
}

impl ConsumerContext for LastError {}

/// Passes a line of librdkafka's log on.
pub fn bridge_log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error => {
            error!(target: "librdkafka", facility, "{message}");
        }
        RDKafkaLogLevel::Warning => warn!(target: "librdkafka", facility, "{message}"),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => info!(target: "librdkafka", facility, "{message}"),
        RDKafkaLogLevel::Debug => debug!(target: "librdkafka", facility, "{message}"),
    }
}

/// Passes an error event on. The end of a partition is reported as one and is none; a lost
/// connection is librdkafka's to mend, and is a warning.
pub fn bridge_error(error: &KafkaError, reason: &str) {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::PartitionEOF) => {}
        Some(
            RDKafkaErrorCode::BrokerTransportFailure
            | RDKafkaErrorCode::AllBrokersDown
            | RDKafkaErrorCode::Resolve
            | RDKafkaErrorCode::OperationTimedOut,
        ) => warn!(target: "librdkafka", %error, "{reason}"),
        _ => error!(target: "librdkafka", %error, "{reason}"),
    }
}
