//! Whether a record lies where the records of its user lie.
//!
//! Everything that is kept of a user (ids for deduplication, distinct users, the fraud rules'
//! profiles) is kept for each partition alone. So records of a user must lie in one partition: that
//! of murmur2 of `userId`, where every Java client puts a record that has `userId` as its key. One
//! without a key, with another key, or from a client with another partitioner lies elsewhere most
//! of the time, and then a payment sent twice counts twice and a user counts as several.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::{InputRecord, JobMetrics, Outbox, SourcePartitions};
use millrace_kafka_batch::partition_for;

/// Shortest time between two lines in the log about one partition.
const WARNING_INTERVAL: Duration = Duration::from_secs(600);

/// Why a record lies elsewhere, as far as its key tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It has no key, and was put anywhere.
    NoKey,
    /// Its key is not its `userId`.
    OtherKey,
    /// Its key is its `userId`: the client's partitioner is not murmur2, or the topic has got more
    /// partitions since.
    OtherPartitioner,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::NoKey, Self::OtherKey, Self::OtherPartitioner];

    /// A short name, fit for a metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoKey => "no_key",
            Self::OtherKey => "other_key",
            Self::OtherPartitioner => "other_partitioner",
        }
    }
}

/// A record that lies elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Misplaced {
    /// Why.
    pub reason: Reason,
    /// Where it lies.
    pub partition: i32,
    /// Where the records of its user lie.
    pub expected: i32,
}

impl Misplaced {
    /// The bounded name of a dead letter's reason.
    pub const CODE: &'static str = "misplaced";

    /// Compares a record's partition, of `partitions`, with that of its user. `None` where it lies
    /// right, and where the topic has got more partitions than are known.
    #[inline]
    #[must_use]
    pub fn of(user_id: &[u8], key: Option<&[u8]>, partition: i32, partitions: i32) -> Option<Self> {
        let expected = partition_for(user_id, partitions);
        if expected == partition {
            return None;
        }
        Self::elsewhere(user_id, key, partition, expected).filter(|_| partition < partitions)
    }

    #[cold]
    fn elsewhere(user_id: &[u8], key: Option<&[u8]>, partition: i32, expected: i32) -> Option<Self> {
        let reason = match key {
            None | Some([]) => Reason::NoKey,
            Some(key) if key == user_id => Reason::OtherPartitioner,
            Some(_) => Reason::OtherKey,
        };
        Some(Self {
            reason,
            partition,
            expected,
        })
    }
}

impl fmt::Display for Misplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (partition, expected) = (self.partition, self.expected);
        let why = match self.reason {
            Reason::NoKey => "the record has no key, which must be its userId",
            Reason::OtherKey => "the record's key is not its userId",
            Reason::OtherPartitioner => {
                "the producer's partitioner is not murmur2 (librdkafka: partitioner=murmur2_random), or partitions were \
                 added since"
            }
        };
        write!(
            f,
            "the record lies in partition {partition} and its user's records in {expected}: {why}"
        )
    }
}

/// Why a job that refuses misplaced records cannot go on where partitions were added.
pub const OUTGROWN: &str = "the topic has got more partitions, and records lie where their number puts them: the job has \
                            to be prepared for them";

/// Judges the records of a partition, and counts and tells of misplaced ones.
#[derive(Debug)]
pub struct Placement {
    source: Arc<SourcePartitions>,
    /// How many partitions the source has, as the policy says it.
    partitions: i32,
    /// How many it had before: records of that time lie where that number puts them.
    earlier: Option<i32>,
    metrics: JobMetrics,
    /// Misplaced records since the last line in the log, and when that was.
    untold: u64,
    told: Option<Instant>,
}

impl Placement {
    /// For one partition of the source, under a policy that says how many partitions that has;
    /// `None` for as many as were found.
    #[must_use]
    pub fn new(source: &Arc<SourcePartitions>, partitions: Option<i32>, metrics: JobMetrics) -> Self {
        Self {
            source: Arc::clone(source),
            partitions: partitions.unwrap_or(source.at_start()),
            earlier: None,
            metrics,
            untold: 0,
            told: None,
        }
    }

    /// Judges by another number of partitions from now on, as a policy says it. What lies where the
    /// number before puts it is told of no more.
    pub fn judge_by(&mut self, partitions: Option<i32>) {
        let partitions = partitions.unwrap_or(self.source.at_start());
        if partitions != self.partitions {
            self.earlier = Some(std::mem::replace(&mut self.partitions, partitions));
        }
    }

    /// Whether the source is known to have more partitions than this process was prepared for:
    /// nothing new is misplaced for sure then. What a replay repeats under the policy of before
    /// partitions were added, was.
    #[must_use]
    pub fn is_outgrown(&self) -> bool {
        self.source.have_grown()
    }

    /// Judges a record of a user, by the policy's number of partitions. What is misplaced is
    /// counted and told of, but for a replay's, which was before, and for what lies right by the
    /// number before or by one that was not known.
    #[inline]
    pub fn check(
        &mut self,
        record: &InputRecord<'_>,
        user_id: &[u8],
        outbox: &dyn Outbox,
    ) -> Option<Misplaced> {
        let misplaced = Misplaced::of(user_id, record.key, record.partition, self.partitions)?;
        if !outbox.is_replay() && !self.is_of_another_time(record, user_id, misplaced) {
            self.tell(record, misplaced);
        }
        Some(misplaced)
    }

    /// Whether the record lies where its user's records lie by the number of partitions before this
    /// one or after it.
    #[cold]
    fn is_of_another_time(&self, record: &InputRecord<'_>, user_id: &[u8], misplaced: Misplaced) -> bool {
        let is_right = |partitions| partition_for(user_id, partitions) == record.partition;
        if self.earlier.is_some_and(is_right) {
            return true;
        }
        if misplaced.reason == Reason::OtherPartitioner {
            self.source.look_for_record();
        }
        self.source.known() > self.partitions && is_right(self.source.known())
    }

    #[cold]
    fn tell(&mut self, record: &InputRecord<'_>, misplaced: Misplaced) {
        self.metrics.misplaced(misplaced.reason);
        self.untold += 1;
        if self.told.is_some_and(|told| told.elapsed() < WARNING_INTERVAL) {
            return;
        }
        self.told = Some(Instant::now());
        tracing::warn!(
            topic = record.topic,
            partition = record.partition,
            offset = record.offset,
            reason = misplaced.reason.as_str(),
            records = std::mem::take(&mut self.untold),
            "{misplaced}; unless such records are refused, duplicates are not found and users are counted twice"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &[u8] = b"alice";

    #[test]
    fn a_record_where_murmur2_puts_its_user_is_right_whatever_its_key() {
        let right = partition_for(ALICE, 5);
        for key in [None, Some(&b""[..]), Some(ALICE), Some(b"bob")] {
            assert_eq!(Misplaced::of(ALICE, key, right, 5), None);
        }
    }

    #[test]
    fn anywhere_else_it_is_not_and_its_key_says_why() {
        let right = partition_for(ALICE, 5);
        for partition in (0..5).filter(|partition| *partition != right) {
            let reason = |key| Misplaced::of(ALICE, key, partition, 5).map(|found| found.reason);
            assert_eq!(reason(None), Some(Reason::NoKey));
            assert_eq!(reason(Some(b"")), Some(Reason::NoKey));
            assert_eq!(reason(Some(b"bob")), Some(Reason::OtherKey));
            assert_eq!(reason(Some(ALICE)), Some(Reason::OtherPartitioner));
        }
        // Of more partitions than are known, nothing is.
        assert_eq!(Misplaced::of(ALICE, None, 5, 5), None);
    }

    struct Sink;

    impl Outbox for Sink {
        fn send(&mut self, _: crate::OutputRecord<'_>) {}
        fn copy(&mut self, _: &InputRecord<'_>, _: &str, _: &[(&str, &[u8])]) {}
        fn dead_letter(&mut self, _: &InputRecord<'_>, _: &'static str, _: &str) {}
        fn is_replay(&self) -> bool {
            false
        }
    }

    /// A record of Alice's in this partition.
    fn in_partition(partition: i32) -> InputRecord<'static> {
        InputRecord {
            topic: "in",
            partition,
            offset: 0,
            timestamp_ms: 0,
            is_append_time: true,
            key: Some(ALICE),
            payload: None,
            headers: crate::RecordHeaders::NONE,
        }
    }

    #[test]
    fn what_lies_right_by_the_number_of_before_is_judged_by_the_policy_and_not_told() {
        let metrics = JobMetrics::of("placement-test").unwrap();
        let source = Arc::new(SourcePartitions::fixed(8));
        let mut placement = Placement::new(&source, Some(5), metrics);
        let (by_five, by_eight) = (partition_for(ALICE, 5), partition_for(ALICE, 8));
        assert!(by_five != by_eight);
        assert!(!placement.is_outgrown(), "it is a replay of before");
        assert_eq!(placement.check(&in_partition(by_five), ALICE, &Sink), None);
        placement.judge_by(Some(8));
        assert_eq!(placement.check(&in_partition(by_eight), ALICE, &Sink), None);
        let of_before = placement.check(&in_partition(by_five), ALICE, &Sink);
        assert_eq!(of_before.map(|misplaced| misplaced.expected), Some(by_eight));
        assert!(placement.told.is_none(), "it was right when it was written");
        let elsewhere = (0..8)
            .find(|number| ![by_five, by_eight].contains(number))
            .unwrap();
        assert!(placement.check(&in_partition(elsewhere), ALICE, &Sink).is_some());
        assert!(placement.told.is_some());
        source.found(9);
        assert!(placement.is_outgrown());
    }
}
