//! librdkafka's log and errors as tracing events.

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

/// Passes a line of librdkafka's log on.
pub(crate) fn bridge_log(level: RDKafkaLogLevel, facility: &str, message: &str) {
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

/// Passes an error event on. The end of a partition is reported as one and is none; a lost connection is librdkafka's to
/// mend, and is a warning.
pub(crate) fn bridge_error(error: &KafkaError, reason: &str) {
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
