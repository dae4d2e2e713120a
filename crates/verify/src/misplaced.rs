//! Records that lie elsewhere than the records of their user: among these, duplicates are not found
//! and users are counted twice, which the sums alone need not show.
//!
//! They are counted from the topic itself, whoever wrote them and whenever a job was started.
//! Records of before partitions were added lie where the smaller number puts them, and are right:
//! the first stage's control topic has each number under which it has worked.

use std::collections::BTreeSet;

use millrace_catalog::payments::AGGREGATE_PARTIAL;
use millrace_kafka::log::{LogError, TopicLog};
use millrace_kafka::{partition_for, topic_name};
use millrace_runtime::control::ControlRecord;
use millrace_settings::{MisplacedRecords, Settings};
use serde_json::Value;

use super::rows::Rows;

/// The row of them.
pub(super) const ROW: &str = "records elsewhere than murmur2 of userId puts them";

/// Counts them.
pub(super) struct Placement {
    /// How many partitions the topic has, and has had.
    partitions: BTreeSet<i32>,
    records: u64,
}

impl Placement {
    /// For a topic of so many partitions; `None` where such records are dead letters, which are
    /// compared as such.
    pub(super) fn of(settings: &Settings, partitions: i32) -> Option<Self> {
        match settings.aggregator.misplaced_records {
            MisplacedRecords::DeadLetter => None,
            MisplacedRecords::Count | MisplacedRecords::Rekey => Some(Self {
                partitions: BTreeSet::from([partitions]),
                records: 0,
            }),
        }
    }

    /// Takes note of a record of the first stage's control topic.
    pub(super) fn heard(&mut self, payload: &[u8]) {
        // What is none of this release's kinds is of no matter here; `--repeat` tells of it.
        let Ok(record) = ControlRecord::parse(payload) else {
            return;
        };
        let before = match &record {
            ControlRecord::Configure { before, .. } => before.as_deref(),
            _ => None,
        };
        let policies = before
            .into_iter()
            .chain(record.policy().map(|(policy, _)| policy));
        self.partitions.extend(policies.filter_map(partitions_of));
    }

    /// Takes a record of a user.
    pub(super) fn take(&mut self, user_id: &[u8], partition: i32) {
        let is_right = |&partitions: &i32| partition_for(user_id, partitions) == partition;
        self.records += u64::from(!self.partitions.iter().any(is_right));
    }

    /// How many there are.
    pub(super) fn records(&self) -> u64 {
        self.records
    }
}

/// The number of partitions that a policy of the first stage goes by.
fn partitions_of(policy: &str) -> Option<i32> {
    let policy: Value = serde_json::from_str(policy).ok()?;
    let partitions = i32::try_from(policy["bounds"]["partitions"].as_i64()?).ok()?;
    (partitions > 0).then_some(partitions)
}

/// The control topic in which the first stage says its policies; `None` before `init` has made it.
///
/// # Errors
/// The brokers are away.
pub(super) fn control(settings: &Settings) -> Result<Option<TopicLog>, LogError> {
    let name = AGGREGATE_PARTIAL.control(settings.rekeys());
    match TopicLog::open(&settings.kafka, topic_name(&settings.kafka, name)) {
        Ok(log) => Ok(Some(log)),
        Err(LogError::NoTopic { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The row. `found` is `None` where such records are dead letters; `is_read` is whether the topic
/// was read.
pub(super) fn compare(found: Option<u64>, is_read: bool, rows: &mut Rows) {
    match (found, is_read) {
        (None, _) => {}
        (Some(records), true) => rows.never(ROW, records),
        // Each is of a run with a ledger, and those put every record where murmur2 does.
        (Some(_), false) => rows.note(ROW, "not read: the ledgers account for every record"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Verdict;

    const ALICE: &[u8] = b"alice";

    fn policy(partitions: i32) -> String {
        format!(r#"{{"window_ms":60000,"bounds":{{"max_future_ms":1,"partitions":{partitions}}}}}"#)
    }

    fn count(placement: &mut Placement, partitions: impl IntoIterator<Item = i32>) -> u64 {
        let before = placement.records();
        for partition in partitions {
            placement.take(ALICE, partition);
        }
        placement.records() - before
    }

    #[test]
    fn a_record_in_any_other_partition_is_elsewhere() {
        let mut placement = Placement::of(&Settings::default(), 5).unwrap();
        assert_eq!(count(&mut placement, [partition_for(ALICE, 5)]), 0);
        assert_eq!(count(&mut placement, 0..5), 4);
        let mut settings = Settings::default();
        settings.aggregator.misplaced_records = MisplacedRecords::DeadLetter;
        assert!(Placement::of(&settings, 5).is_none());
    }

    #[test]
    fn what_fewer_partitions_put_there_is_right() {
        let (by_five, by_eight) = (partition_for(ALICE, 5), partition_for(ALICE, 8));
        assert_ne!(by_five, by_eight);
        let mut placement = Placement::of(&Settings::default(), 8).unwrap();
        assert_eq!(count(&mut placement, [by_five, by_eight]), 1);
        let change = ControlRecord::Configure {
            offset: 7,
            nth: 0,
            before: Some(policy(5)),
            policy: policy(8),
            closed_until_ms: None,
        };
        placement.heard(change.to_json().as_bytes());
        placement.heard(b"of another release");
        assert_eq!(count(&mut placement, [by_five, by_eight]), 0);
        assert_eq!(count(&mut placement, 0..8), 6);
        let watermark = ControlRecord::Policy {
            offset: 7,
            policy: policy(6),
            closed_until_ms: None,
        };
        placement.heard(watermark.to_json().as_bytes());
        assert!(placement.partitions.contains(&6));
    }

    #[test]
    fn any_record_elsewhere_fails_and_none_is_said_of_a_topic_that_was_not_read() {
        let judged = |found, is_read| {
            let mut rows = Rows::new(false);
            compare(found, is_read, &mut rows);
            let row = rows.checks.pop()?;
            Some((row.verdict, row.actual))
        };
        assert_eq!(judged(Some(0), true), Some((Verdict::Passed, "0".to_owned())));
        assert_eq!(judged(Some(890), true), Some((Verdict::Failed, "890".to_owned())));
        let (verdict, said) = judged(Some(0), false).unwrap();
        assert!(verdict == Verdict::Info && said.starts_with("not read"), "{said}");
        assert_eq!(judged(None, true), None);
    }
}
