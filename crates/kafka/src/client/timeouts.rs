//! The timeouts of a worker, checked against each other.

use std::time::Duration;

use millrace_settings::Worker;

use super::ConfigError;

/// The timeouts of a worker that depend on each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// librdkafka's `message.timeout.ms`: how long a record may wait for its acknowledgement.
    pub message_ms: u64,
    /// Kafka's `transaction.timeout.ms`.
    pub transaction_ms: u64,
    /// Kafka's `session.timeout.ms`.
    pub session_ms: u64,
    /// How long a drain may take.
    pub drain_ms: u64,
}

/// The key of the message timeout in the settings.
const MESSAGE: &str = "worker.producer_properties.message.timeout.ms";
const TRANSACTION: &str = "worker.transaction_timeout_ms";
const SESSION: &str = "worker.session_timeout_ms";
const DRAIN: &str = "worker.drain_timeout_ms";
const COMMIT: &str = "worker.commit_interval_ms";

impl Timeouts {
    /// The timeouts of `worker`; the message timeout is two thirds of the transaction's unless
    /// given.
    ///
    /// # Errors
    /// They are not in order: message below transaction below session, drain below session, commit
    /// interval below transaction.
    pub fn of(worker: &Worker) -> Result<Self, ConfigError> {
        let message_ms = message_timeout_ms(worker)?.unwrap_or(worker.transaction_timeout_ms * 2 / 3);
        let timeouts = Self {
            message_ms,
            transaction_ms: worker.transaction_timeout_ms,
            session_ms: worker.session_timeout_ms,
            drain_ms: worker.drain_timeout_ms,
        };
        let order = [
            (
                (MESSAGE, timeouts.message_ms),
                (TRANSACTION, timeouts.transaction_ms),
                "a record would outlive its transaction",
            ),
            (
                (TRANSACTION, timeouts.transaction_ms),
                (SESSION, timeouts.session_ms),
                "a dead worker's transaction would still be open when its partitions have moved on",
            ),
            (
                (DRAIN, timeouts.drain_ms),
                (SESSION, timeouts.session_ms),
                "a worker that drains would be taken for dead",
            ),
            (
                (COMMIT, worker.commit_interval_ms),
                (TRANSACTION, timeouts.transaction_ms),
                "every transaction would be aborted before its commit",
            ),
        ];
        for ((lower, lower_ms), (upper, upper_ms), why) in order {
            if lower_ms >= upper_ms {
                return Err(ConfigError::Timeouts {
                    lower,
                    lower_ms,
                    upper,
                    upper_ms,
                    why,
                });
            }
        }
        Ok(timeouts)
    }

    /// librdkafka's `max.poll.interval.ms`: how long a worker may be away from its consumer. It is
    /// always between two polls for less than a commit and an abort take; the rest is a margin.
    #[must_use]
    pub fn max_poll_interval(&self) -> Duration {
        Duration::from_millis((self.session_ms * 2).max(90_000))
    }

    /// librdkafka's `connections.max.idle.ms` of a transactional producer. While it waits for a
    /// group coordinator that has gone, librdkafka looks for the new one only when any of its
    /// connections changes its state (librdkafka issue 5511): so one that has nothing to say is
    /// closed, well within a transaction's time.
    pub(crate) fn max_idle_ms(&self) -> u64 {
        (self.transaction_ms / 4).clamp(1_000, 10_000)
    }
}

fn message_timeout_ms(worker: &Worker) -> Result<Option<u64>, ConfigError> {
    for name in ["message.timeout.ms", "delivery.timeout.ms"] {
        if let Some(value) = worker.producer_properties.get(name) {
            return value.parse().map(Some).map_err(|_| ConfigError::Number {
                key: format!("worker.producer_properties.{name}"),
                value: value.clone(),
            });
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_in_order() {
        let timeouts = Timeouts::of(&Worker::default()).unwrap();
        assert!(
            timeouts.message_ms < timeouts.transaction_ms && timeouts.transaction_ms < timeouts.session_ms
        );
    }

    #[test]
    fn a_wrong_order_names_both_keys_and_values() {
        let refusal = |change: &dyn Fn(&mut Worker)| {
            let mut worker = Worker::default();
            change(&mut worker);
            Timeouts::of(&worker).unwrap_err().to_string()
        };
        let transaction = refusal(&|worker| worker.transaction_timeout_ms = 45_000);
        for part in [TRANSACTION, SESSION, "45000 ms"] {
            assert!(transaction.contains(part), "{transaction}");
        }
        let drain = refusal(&|worker| worker.drain_timeout_ms = 46_000);
        assert!(
            drain.contains(DRAIN) && drain.contains("46000") && drain.contains("45000"),
            "{drain}"
        );
        let message = refusal(&|worker| {
            worker
                .producer_properties
                .insert("delivery.timeout.ms".to_owned(), "30000".to_owned());
        });
        assert!(
            message.contains("message.timeout.ms") && message.contains(TRANSACTION),
            "{message}"
        );
        let number = refusal(&|worker| {
            worker
                .producer_properties
                .insert("message.timeout.ms".to_owned(), "soon".to_owned());
        });
        assert!(number.contains("\"soon\""), "{number}");
    }
}
