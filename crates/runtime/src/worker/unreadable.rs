//! Partitions that cannot be read: a batch that is corrupt, too large, or of a codec that this
//! client does not know.
//!
//! Such a partition is paused where it is and tried again at growing intervals, and the worker's
//! others go on and commit. What was processed of it stays; nothing is passed over, as each try
//! seeks to the record that is next.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use millrace_kafka_batch::Report;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::InputRecord;

/// Pauses before the second try, and the longest one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// What a client reported in place of a record.
#[derive(Debug)]
pub(super) struct Unreadable {
    since: Instant,
    pub(super) offset: i64,
    pub(super) reason: String,
    /// The pause before the next try.
    pub(super) pause: Duration,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Reported, and not paused yet.
    Reported,
    /// Paused; what was fetched of it before is passed over.
    Paused { until: Instant },
    /// Read again: the next record, or report, says whether it can be.
    Tried,
}

impl Unreadable {
    pub(super) fn seconds(&self) -> f64 {
        self.since.elapsed().as_secs_f64()
    }

    /// What a person is to know and to do.
    pub(super) fn what(&self, topic: &str, partition: i32) -> String {
        format!(
            "partition {partition} of {topic} cannot be read at offset {}: {}. The other partitions go on. A batch that is \
             larger than the client takes needs a higher receive.message.max.bytes in worker.consumer_properties; a codec \
             or format that it does not know, a newer release; for a corrupt one see docs/operations.md",
            self.offset, self.reason
        )
    }
}

/// The partitions of a worker that cannot be read.
#[derive(Debug, Default)]
pub(super) struct UnreadablePartitions(BTreeMap<i32, Unreadable>);

impl UnreadablePartitions {
    /// What of a batch can be read, and reports that are not about reading one partition.
    pub(super) fn readable<'b, I>(&mut self, items: I) -> Readable<'_, I>
    where
        I: Iterator<Item = Result<InputRecord<'b>, Report>>,
    {
        Readable {
            unreadable: self,
            items,
        }
    }

    /// Whether a record of this partition is to be processed.
    #[cold]
    pub(super) fn takes(&self, partition: i32) -> bool {
        self.0
            .get(&partition)
            .is_none_or(|unreadable| unreadable.state == State::Tried)
    }

    /// Whether the report is that a position is out of the log's range, of a partition that stands
    /// at a batch that is corrupt: behind it librdkafka goes on at an offset that it has read out
    /// of the batch's bytes. The next try seeks to the right one, and is believed.
    #[cold]
    fn has_lost_its_place(&self, report: &Report) -> bool {
        let code = RDKafkaErrorCode::AutoOffsetReset;
        report.error == KafkaError::MessageConsumption(code) && !self.takes(report.partition)
    }

    #[cold]
    fn report(&mut self, report: Report) {
        let reason = match report.reason.is_empty() {
            true => report.error.to_string(),
            false => report.reason,
        };
        let known = self.0.remove(&report.partition);
        let (since, pause) = match known {
            Some(known) => {
                let pause = match known.state {
                    State::Tried => (known.pause * 2).min(MAX_PAUSE),
                    // One of several that were on their way.
                    State::Reported | State::Paused { .. } => known.pause,
                };
                (known.since, pause)
            }
            None => (Instant::now(), FIRST_PAUSE),
        };
        let unreadable = Unreadable {
            since,
            offset: report.offset,
            reason,
            pause,
            state: State::Reported,
        };
        self.0.insert(report.partition, unreadable);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (i32, &Unreadable)> {
        self.0.iter().map(|(number, unreadable)| (*number, unreadable))
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those that are to be paused.
    pub(super) fn reported(&self) -> Vec<i32> {
        let reported = self.iter().filter(|(_, it)| it.state == State::Reported);
        reported.map(|(number, _)| number).collect()
    }

    /// Those whose pause is over.
    pub(super) fn due(&self, now: Instant) -> Vec<i32> {
        let is_due = |it: &Unreadable| matches!(it.state, State::Paused { until } if until <= now);
        let due = self.iter().filter(|(_, it)| is_due(it));
        due.map(|(number, _)| number).collect()
    }

    /// A partition is paused, to go on at `next`: a batch may begin before what is next of it.
    pub(super) fn paused(&mut self, number: i32, next: i64, now: Instant) -> Option<&Unreadable> {
        let unreadable = self.0.get_mut(&number)?;
        unreadable.offset = unreadable.offset.max(next);
        unreadable.state = State::Paused {
            until: now + unreadable.pause,
        };
        Some(unreadable)
    }

    pub(super) fn tried(&mut self, number: i32) {
        if let Some(unreadable) = self.0.get_mut(&number) {
            unreadable.state = State::Tried;
        }
    }

    /// Forgets those that were read again, beyond what could not be, and those of which `position`
    /// knows nothing: they are another's, or are being restored, which seeks and resumes them.
    /// Their numbers.
    pub(super) fn forget(&mut self, mut position: impl FnMut(i32) -> Option<i64>) -> Vec<i32> {
        let mut is_over = |number, it: &Unreadable| {
            position(number).is_none_or(|next| it.state == State::Tried && next > it.offset)
        };
        let over = self.iter().filter(|(number, it)| is_over(*number, it));
        let over: Vec<i32> = over.map(|(number, _)| number).collect();
        self.0.retain(|number, _| !over.contains(number));
        over
    }
}

/// What of a batch can be read. A loop of its own and not `filter_map`, which hands each record on
/// through three calls that are not inlined: a fiftieth of all that the aggregator does.
#[derive(Debug)]
pub(super) struct Readable<'u, I> {
    unreadable: &'u mut UnreadablePartitions,
    items: I,
}

impl<'b, I> Iterator for Readable<'_, I>
where
    I: Iterator<Item = Result<InputRecord<'b>, Report>>,
{
    type Item = I::Item;

    #[inline]
    fn next(&mut self) -> Option<I::Item> {
        loop {
            match self.items.next()? {
                Ok(record) if self.unreadable.is_empty() || self.unreadable.takes(record.partition) => {
                    return Some(Ok(record));
                }
                Ok(_) => {}
                Err(report) if is_of_one_partition(&report.error) => self.unreadable.report(report),
                Err(report) if self.unreadable.has_lost_its_place(&report) => {}
                Err(report) => return Some(Err(report)),
            }
        }
    }
}

/// Whether a report says that one partition cannot be read, and not that the consumer cannot go on.
fn is_of_one_partition(error: &KafkaError) -> bool {
    match error {
        KafkaError::MessageConsumption(code) => *code != RDKafkaErrorCode::AutoOffsetReset,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(partition: i32, offset: i64, code: RDKafkaErrorCode) -> Report {
        Report {
            partition,
            offset,
            reason: "decompression failed".to_owned(),
            error: KafkaError::MessageConsumption(code),
        }
    }

    fn readable(partitions: &mut UnreadablePartitions, report: Report) -> usize {
        partitions.readable(std::iter::once(Err(report))).count()
    }

    #[test]
    fn a_report_stops_its_partition_alone() {
        let mut partitions = UnreadablePartitions::default();
        let bad = || report(3, 17, RDKafkaErrorCode::BadCompression);
        assert_eq!(readable(&mut partitions, bad()), 0);
        assert_eq!(partitions.reported(), [3]);
        assert!(!partitions.takes(3) && partitions.takes(4));
        let (_, unreadable) = partitions.iter().next().unwrap();
        let what = unreadable.what("in", 3);
        for part in [
            "partition 3 of in",
            "offset 17",
            "decompression failed",
            "worker.consumer_properties",
        ] {
            assert!(what.contains(part), "{what}");
        }
    }

    #[test]
    fn tries_come_at_growing_intervals_until_a_record_can_be_read() {
        let mut partitions = UnreadablePartitions::default();
        let bad = || report(3, 17, RDKafkaErrorCode::BadMessage);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            readable(&mut partitions, bad());
            // Another that was on its way.
            readable(&mut partitions, bad());
            let now = Instant::now();
            let pause = partitions.paused(3, 15, now).unwrap().pause;
            pauses.push(pause.as_secs());
            assert!(partitions.due(now).is_empty() && !partitions.takes(3));
            assert_eq!(partitions.due(now + pause), [3]);
            assert!(partitions.forget(|_| Some(18)).is_empty(), "not before a seek");
            partitions.tried(3);
            assert!(partitions.takes(3));
            assert!(partitions.forget(|_| Some(17)).is_empty());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(partitions.forget(|_| Some(18)), [3]);
        assert!(partitions.is_empty() && partitions.takes(3));
    }

    #[test]
    fn a_batch_may_begin_before_what_is_next_or_have_no_offset() {
        for offset in [12, -1] {
            let mut partitions = UnreadablePartitions::default();
            readable(&mut partitions, report(3, offset, RDKafkaErrorCode::BadMessage));
            assert_eq!(partitions.paused(3, 15, Instant::now()).unwrap().offset, 15);
            partitions.tried(3);
            assert!(partitions.forget(|_| Some(15)).is_empty());
            assert_eq!(partitions.forget(|_| None), [3], "given up, or restored");
        }
    }

    #[test]
    fn a_position_that_is_read_out_of_a_corrupt_batch_is_not_believed() {
        let mut partitions = UnreadablePartitions::default();
        readable(&mut partitions, report(3, 17, RDKafkaErrorCode::BadMessage));
        let lost = |partition| report(partition, 1 << 60, RDKafkaErrorCode::AutoOffsetReset);
        assert_eq!(readable(&mut partitions, lost(3)), 0);
        assert_eq!(readable(&mut partitions, lost(4)), 1, "another's is");
        let now = Instant::now();
        let unreadable = partitions.paused(3, 15, now).unwrap();
        assert_eq!(unreadable.offset, 17);
        assert_eq!(readable(&mut partitions, lost(3)), 0, "it was on its way");
        partitions.tried(3);
        assert_eq!(
            readable(&mut partitions, lost(3)),
            1,
            "retention has overtaken it"
        );
    }

    #[test]
    fn what_the_consumer_cannot_go_on_after_is_passed_on() {
        let mut partitions = UnreadablePartitions::default();
        assert_eq!(
            readable(&mut partitions, report(3, 17, RDKafkaErrorCode::AutoOffsetReset)),
            1
        );
        let fatal = Report {
            error: KafkaError::MessageConsumptionFatal(RDKafkaErrorCode::Fatal),
            ..report(3, 17, RDKafkaErrorCode::Fatal)
        };
        assert_eq!(readable(&mut partitions, fatal), 1);
        assert!(partitions.is_empty());
    }
}
