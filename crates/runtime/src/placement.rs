//! Judges whether records lie where the records of their users lie: see
//! [`millrace_kafka::placement`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace_kafka::placement::{Misplaced, Reason};
use millrace_kafka::{InputRecord, SourcePartitions, partition_for};

use crate::{JobMetrics, Outbox};

/// Shortest time between two lines in the log about one partition.
const WARNING_INTERVAL: Duration = Duration::from_secs(600);

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

    struct Sink;

    impl Outbox for Sink {
        fn send(&mut self, _: millrace_kafka::OutputRecord<'_>) {}
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
            headers: millrace_kafka::RecordHeaders::NONE,
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
