//! Which records of a transaction were not acknowledged.

use std::sync::{Mutex, PoisonError};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{DeliveryResult, ProducerContext};

use crate::client::{bridge_error, bridge_log};

/// A record that was not acknowledged.
#[derive(Debug, Clone)]
pub(super) struct Undelivered {
    pub(super) topic: String,
    pub(super) code: Option<RDKafkaErrorCode>,
    pub(super) reason: String,
}

/// Keeps the first failed delivery of a transaction.
#[derive(Default)]
pub(super) struct Deliveries {
    failed: Mutex<Option<Undelivered>>,
}

impl Deliveries {
    fn fail(&self, failure: Undelivered) {
        self.failed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(failure);
    }

    /// The first failure since the last call.
    pub(super) fn take(&self) -> Option<Undelivered> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        bridge_log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        bridge_error(&error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, message)) = result {
            self.fail(Undelivered {
                topic: message.topic().to_owned(),
                code: error.rdkafka_error_code(),
                reason: error.to_string(),
            });
        }
    }
}

/// Whether the cluster would refuse the same record again, however long one waits.
pub(super) fn is_permanent(code: Option<RDKafkaErrorCode>) -> bool {
    matches!(
        code,
        Some(
            RDKafkaErrorCode::MessageSizeTooLarge
                | RDKafkaErrorCode::InvalidMessageSize
                | RDKafkaErrorCode::InvalidRecord
                | RDKafkaErrorCode::InvalidTimestamp
                | RDKafkaErrorCode::InvalidTopic
                | RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::UnknownPartition
                | RDKafkaErrorCode::UnsupportedCompressionType
        )
    )
}
