//! Partitions that cannot be read: a batch that is corrupt, too large, or of a codec that this
//! client does not know.
//!
//! librdkafka fetches such a batch again and again, and the other partitions go on. It reports that
//! something could not be read, and not what: the place is found by what stands still meanwhile.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::acknowledgement::PartitionKey;

/// Least time between two lines in the log about one partition.
const TELL_INTERVAL: Duration = Duration::from_secs(60);

/// Reports of the client that one partition could not be read, and where partitions stand.
#[derive(Debug, Default)]
pub(super) struct Unreadable {
    /// The last report since the last look.
    report: Option<String>,
    standing: BTreeMap<PartitionKey, Standing>,
}

/// A partition that has stood still from one look to the next while something could not be read.
#[derive(Debug)]
struct Standing {
    offset: i64,
    since: Instant,
    /// What the client last reported; `None` until it has stood still over a second look.
    reason: Option<String>,
    told: Option<Instant>,
}

impl Unreadable {
    /// Takes what the client reports in place of a record. Whether it needs no line in the log: it
    /// is about reading one partition, and so was one since the last look.
    pub(super) fn report(&mut self, error: &KafkaError) -> bool {
        use RDKafkaErrorCode as Code;
        let KafkaError::MessageConsumption(code) = error else {
            return false;
        };
        let is_of_reading = matches!(
            code,
            Code::BadCompression
                | Code::BadMessage
                | Code::InvalidMessage
                | Code::InvalidMessageSize
                | Code::MessageSizeTooLarge
                | Code::NotImplemented
                | Code::Underflow
                | Code::UnsupportedCompressionType
        );
        is_of_reading && self.report.replace(code.to_string()).is_some()
    }

    /// Looks at every partition that is assigned: the next offset to fetch, where there is
    /// something to fetch and nothing of it has come. Two looks with the same offset, and a report
    /// before each, and it cannot be read.
    pub(super) fn look(
        &mut self,
        partitions: impl Iterator<Item = (PartitionKey, Option<i64>)>,
        now: Instant,
    ) {
        let Some(reason) = self.report.take() else {
            return self.standing.clear();
        };
        let mut before = std::mem::take(&mut self.standing);
        for (key, offset) in partitions {
            let Some(offset) = offset else { continue };
            let known = before.remove(&key).filter(|known| known.offset == offset);
            let standing = match known {
                Some(known) => Standing {
                    reason: Some(reason.clone()),
                    ..known
                },
                None => Standing {
                    offset,
                    since: now,
                    reason: None,
                    told: None,
                },
            };
            self.standing.insert(key, standing);
        }
    }

    /// Those that cannot be read, each with its offset, the client's word, and for how long.
    pub(super) fn found(&self, now: Instant) -> impl Iterator<Item = (PartitionKey, i64, &str, Duration)> {
        self.standing.iter().filter_map(move |(key, it)| {
            let reason = it.reason.as_deref()?;
            Some((*key, it.offset, reason, now.saturating_duration_since(it.since)))
        })
    }

    /// Whether it is time for a line in the log about a partition.
    pub(super) fn is_to_be_told(&mut self, key: PartitionKey, now: Instant) -> bool {
        self.standing.get_mut(&key).is_some_and(|it| {
            let is_due = it
                .told
                .is_none_or(|told| now.saturating_duration_since(told) >= TELL_INTERVAL);
            if is_due {
                it.told = Some(now);
            }
            is_due
        })
    }
}

/// What a person is to know and to do.
pub(super) fn what(section: &str, (topic, partition): (&str, i32), offset: i64, reason: &str) -> String {
    format!(
        "partition {partition} of {topic} cannot be read at offset {offset}: {reason}. The other partitions go on. A batch \
         that is larger than the client takes needs a higher receive.message.max.bytes in {section}.consumer_properties; \
         a codec or format that it does not know, a newer release; for a corrupt one see docs/operations.md"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::SourceId;

    const BAD: KafkaError = KafkaError::MessageConsumption(RDKafkaErrorCode::BadCompression);

    fn key(partition: i32) -> PartitionKey {
        PartitionKey {
            source: SourceId(0),
            partition,
        }
    }

    fn found(unreadable: &Unreadable, now: Instant) -> Vec<(i32, i64, u64)> {
        let found = unreadable.found(now);
        found
            .map(|(key, offset, _, time)| (key.partition, offset, time.as_secs()))
            .collect()
    }

    #[test]
    fn what_stands_still_over_two_looks_with_reports_cannot_be_read() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut unreadable = Unreadable::default();
        let look = |unreadable: &mut Unreadable, seconds, offsets: [Option<i64>; 3]| {
            let partitions = (0..).map(key).zip(offsets);
            unreadable.look(partitions, at(seconds));
            found(unreadable, at(seconds))
        };
        assert!(
            !unreadable.report(&BAD) && unreadable.report(&BAD),
            "the first is told"
        );
        assert_eq!(
            look(&mut unreadable, 0, [Some(10), Some(7), None]),
            [],
            "it may get on"
        );
        unreadable.report(&BAD);
        assert_eq!(look(&mut unreadable, 5, [Some(10), Some(9), None]), [(0, 10, 5)]);
        assert!(unreadable.is_to_be_told(key(0), at(5)) && !unreadable.is_to_be_told(key(0), at(64)));
        unreadable.report(&BAD);
        assert_eq!(
            look(&mut unreadable, 65, [Some(10), None, Some(4)]),
            [(0, 10, 65)]
        );
        assert!(unreadable.is_to_be_told(key(0), at(65)), "again after a minute");
        unreadable.report(&BAD);
        assert_eq!(look(&mut unreadable, 70, [Some(31), None, None]), [], "it got on");
    }

    #[test]
    fn without_a_report_a_partition_is_only_slow() {
        let now = Instant::now();
        let mut unreadable = Unreadable::default();
        for _ in 0..3 {
            unreadable.look([(key(0), Some(10))].into_iter(), now);
            assert_eq!(found(&unreadable, now), []);
        }
        for other in [
            KafkaError::MessageConsumption(RDKafkaErrorCode::BrokerTransportFailure),
            KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset),
            KafkaError::MessageConsumptionFatal(RDKafkaErrorCode::Fenced),
        ] {
            assert!(!unreadable.report(&other), "{other}");
        }
    }

    #[test]
    fn a_person_is_told_the_place_and_what_to_do() {
        let what = what(
            "elastic_sink",
            ("financial_transactions", 3),
            10,
            "BadCompression",
        );
        for part in [
            "partition 3 of financial_transactions cannot be read at offset 10: BadCompression",
            "receive.message.max.bytes in elastic_sink.consumer_properties",
        ] {
            assert!(what.contains(part), "{what}");
        }
    }
}
