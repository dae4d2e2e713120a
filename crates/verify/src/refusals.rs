//! Which transactions the jobs have to refuse although they can be read.

use millrace_domain::{EventTimeLimits, Transaction};
use millrace_kafka::Misplaced;
use millrace_settings::{Aggregator, MisplacedRecords};
use rdkafka::Timestamp;
use rdkafka::message::{BorrowedMessage, Message as _};

/// The aggregator's settings that make a dead letter of a transaction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refusals {
    limits: EventTimeLimits,
    /// Number of the topic's partitions, where a transaction that lies elsewhere than those of its
    /// user is refused.
    partitions: Option<i32>,
}

impl Refusals {
    /// Those of `settings`, for a topic of `partitions`.
    pub(super) fn of(settings: &Aggregator, partitions: i32) -> Self {
        let refuses_misplaced = settings.misplaced_records == MisplacedRecords::DeadLetter;
        Self {
            limits: EventTimeLimits {
                earliest_ms: Some(settings.event_time.earliest_time.ms()),
                max_future_ms: settings.event_time.max_future_ms,
            },
            partitions: refuses_misplaced.then_some(partitions),
        }
    }

    /// Whether a transaction is refused at its place.
    pub(super) fn refuse(&self, transaction: &Transaction, message: &BorrowedMessage<'_>) -> bool {
        let appended_ms = match message.timestamp() {
            Timestamp::LogAppendTime(ms) => Some(ms),
            // A producer's stamp bounds nothing.
            Timestamp::CreateTime(_) | Timestamp::NotAvailable => None,
        };
        let user_id = transaction.user_id.text();
        let user_id = user_id.as_bytes();
        transaction.check_event_time(appended_ms, self.limits).is_err()
            || self.partitions.is_some_and(|partitions| {
                Misplaced::of(user_id, message.key(), message.partition(), partitions).is_some()
            })
    }
}
