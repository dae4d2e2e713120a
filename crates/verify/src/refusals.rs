//! Which transactions the jobs have to refuse although they can be read.
//!
//! What is refused follows settings that may be changed over a running stream. The first stage's
//! control topic says with which of them each record was read.

use std::collections::BTreeMap;

use millrace_domain::Transaction;
use millrace_engine::EventTimeBounds;
use millrace_kafka::Misplaced;
use millrace_runtime::control::{ControlLog, Directive};
use millrace_settings::{Aggregator, MisplacedRecords};
use rdkafka::Timestamp;
use rdkafka::message::{BorrowedMessage, Message as _};
use serde::Deserialize;

/// What makes a dead letter of a transaction.
#[derive(Debug)]
pub(super) struct Refusals {
    /// Of the settings: where no control record says what held.
    settings: EventTimeBounds,
    /// Number of the topic's partitions.
    partitions: i32,
    histories: BTreeMap<i32, History>,
}

/// What held in a partition.
#[derive(Debug, Default)]
struct History {
    log: ControlLog,
    /// From which offset on, in order; made of the log when it is asked for.
    bounds: Option<Vec<(i64, EventTimeBounds)>>,
}

/// What of a policy of the first stage is of interest here.
#[derive(Deserialize)]
struct Policy {
    bounds: EventTimeBounds,
}

impl Refusals {
    /// Those of `settings`, for a topic of `partitions`.
    pub(super) fn of(settings: &Aggregator, partitions: i32) -> Self {
        let limits = settings.event_time.limits();
        Self {
            settings: EventTimeBounds {
                max_future_ms: limits.max_future_ms,
                earliest_ms: limits.earliest_ms,
                refuses_misplaced: settings.misplaced_records == MisplacedRecords::DeadLetter,
                partitions: Some(partitions),
            },
            partitions,
            histories: BTreeMap::new(),
        }
    }

    /// Takes note of a record of the first stage's control topic.
    pub(super) fn heard(&mut self, partition: i32, payload: &[u8]) {
        let history = self.histories.entry(partition).or_default();
        // What is none of this release's kinds is of no matter here; `--repeat` tells of it.
        if history.log.add(payload).is_ok() {
            history.bounds = None;
        }
    }

    /// Whether a transaction is refused at its place.
    pub(super) fn refuse(&mut self, transaction: &Transaction, message: &BorrowedMessage<'_>) -> bool {
        let bounds = self.bounds_at(message.partition(), message.offset());
        self.is_refused(bounds, transaction, message)
    }

    /// Whether a transaction is refused at its place in the topic that is rekeyed, by the settings.
    pub(super) fn refuse_of_origin(&self, transaction: &Transaction, message: &BorrowedMessage<'_>) -> bool {
        self.is_refused(self.settings, transaction, message)
    }

    fn is_refused(
        &self,
        bounds: EventTimeBounds,
        transaction: &Transaction,
        message: &BorrowedMessage<'_>,
    ) -> bool {
        let appended_ms = match message.timestamp() {
            Timestamp::LogAppendTime(ms) => Some(ms),
            // A producer's stamp bounds nothing.
            Timestamp::CreateTime(_) | Timestamp::NotAvailable => None,
        };
        let user_id = transaction.user_id.text();
        let user_id = user_id.as_bytes();
        let partitions = bounds.partitions.unwrap_or(self.partitions);
        transaction
            .check_event_time(appended_ms, bounds.limits())
            .is_err()
            || bounds.refuses_misplaced
                && Misplaced::of(user_id, message.key(), message.partition(), partitions).is_some()
    }

    /// What the record at an offset was read with.
    fn bounds_at(&mut self, partition: i32, offset: i64) -> EventTimeBounds {
        let Some(history) = self.histories.get_mut(&partition) else {
            return self.settings;
        };
        let log = &history.log;
        let bounds = history.bounds.get_or_insert_with(|| bounds_of(log));
        let after = bounds.partition_point(|(from, _)| *from <= offset);
        match after.checked_sub(1) {
            Some(at) => bounds[at].1,
            None => self.settings,
        }
    }
}

/// What held in a partition, from which offset on, in order.
fn bounds_of(log: &ControlLog) -> Vec<(i64, EventTimeBounds)> {
    let of = |policy: &str| serde_json::from_str::<Policy>(policy).map(|policy| policy.bounds);
    let first = log.policy_at(0).and_then(|policy| of(policy).ok());
    let mut bounds: Vec<_> = first.map(|bounds| (i64::MIN, bounds)).into_iter().collect();
    let mut directives = log.directives(0, 0, i64::MAX);
    while let Some((offset, directive)) = directives.take() {
        if let Directive::Configure(policy) = directive
            && let Ok(of_policy) = of(&policy)
        {
            bounds.push((offset, of_policy));
        }
    }
    bounds
}

#[cfg(test)]
mod tests {
    use millrace_runtime::control::ControlRecord;

    use super::*;

    fn policy(refuses_misplaced: bool, max_future_ms: i64) -> String {
        format!(
            r#"{{"window_ms":60000,"bounds":{{"max_future_ms":{max_future_ms},"refuses_misplaced":{refuses_misplaced},"partitions":5}}}}"#
        )
    }

    fn change(offset: i64, before: Option<&str>, policy: &str) -> String {
        ControlRecord::Configure {
            offset,
            nth: 0,
            before: before.map(str::to_owned),
            policy: policy.to_owned(),
            closed_until_ms: None,
        }
        .to_json()
    }

    #[test]
    fn each_record_is_judged_by_what_held_when_it_was_read() {
        let mut refusals = Refusals::of(&Aggregator::default(), 5);
        let judged = |refusals: &mut Refusals, partition, offset| {
            let bounds = refusals.bounds_at(partition, offset);
            (bounds.refuses_misplaced, bounds.max_future_ms)
        };
        let (count, refuse) = (policy(false, 1), policy(true, 2));
        refusals.heard(0, change(0, None, &count).as_bytes());
        refusals.heard(0, change(10, Some(&count), &refuse).as_bytes());
        refusals.heard(0, b"of another release");
        assert_eq!(judged(&mut refusals, 0, 9), (false, 1));
        assert_eq!(judged(&mut refusals, 0, 10), (true, 2));
        refusals.heard(0, change(20, Some(&refuse), &count).as_bytes());
        assert_eq!(judged(&mut refusals, 0, 19), (true, 2));
        assert_eq!(judged(&mut refusals, 0, 20), (false, 1));
        // Retention has deleted what it was given with.
        refusals.heard(1, change(10, Some(&count), &refuse).as_bytes());
        assert_eq!(judged(&mut refusals, 1, 9), (false, 1));
        // Set back, and told to go on: what was said of what is behind it does not hold.
        refusals.heard(1, change(5, Some(&count), &policy(false, 3)).as_bytes());
        assert_eq!(judged(&mut refusals, 1, 4), (false, 1));
        assert_eq!(judged(&mut refusals, 1, 12), (false, 3));
        let max_future_ms = Aggregator::default().event_time.max_future_ms;
        assert_eq!(
            judged(&mut refusals, 2, 0),
            (false, max_future_ms),
            "the settings"
        );
    }
}
