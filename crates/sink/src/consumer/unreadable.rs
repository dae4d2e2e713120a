//! Partitions that cannot be read: a batch that is corrupt, too large, or of a codec that this
//! client does not know; or the broker refuses the partition, as to a user without the right.
//!
//! librdkafka fetches such a batch again and again, and the other partitions go on. It reports that
//! something could not be read, and not what: the place is found by what stands still meanwhile. A
//! refusal it reports once: the places are those of which a fetch gave no offsets, for as long.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::acknowledgement::PartitionKey;

/// Least time between two lines in the log about one partition, or one topic.
const TELL_INTERVAL: Duration = Duration::from_secs(60);

/// Reports of the client that one partition could not be read, and where partitions stand.
#[derive(Debug, Default)]
pub(super) struct Unreadable {
    /// The last report of a batch since the last look.
    report: Option<String>,
    /// The last report of a refusal, with the looks since then that found none.
    refusal: Option<(String, u8)>,
    standing: BTreeMap<PartitionKey, Standing>,
}

/// Where a partition stands that gets nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stand {
    /// There is something to fetch from this offset on, and it does not come.
    Still(i64),
    /// The broker has answered the last fetch, from this offset on, with an error.
    Refused(i64),
}

/// Looks without a refused partition after which a report of a refusal is about none.
const REFUSAL_LOOKS: u8 = 2;

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
        let KafkaError::MessageConsumption(code) = error else {
            return false;
        };
        if is_of_a_batch(*code) {
            return self.report.replace(code.to_string()).is_some();
        }
        if is_of_the_broker(*code) {
            let reason = code.to_string();
            let is_known = self.refusal.as_ref().is_some_and(|(known, _)| *known == reason);
            self.refusal = Some((reason, 0));
            return is_known;
        }
        false
    }

    /// Looks at every partition that is assigned, and where it stands, if it gets nothing. Two
    /// looks with the same offset, and it cannot be read: of a batch with a report before each.
    pub(super) fn look(
        &mut self,
        partitions: impl Iterator<Item = (PartitionKey, Option<Stand>)>,
        now: Instant,
    ) {
        let report = self.report.take();
        let mut before = std::mem::take(&mut self.standing);
        let mut is_any_refused = false;
        for (key, stand) in partitions {
            let (offset, reason) = match stand {
                None => continue,
                Some(Stand::Still(offset)) => (offset, report.as_ref()),
                Some(Stand::Refused(offset)) => {
                    is_any_refused = true;
                    (offset, self.refusal.as_ref().map(|(reason, _)| reason))
                }
            };
            let Some(reason) = reason else { continue };
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
        if let Some((_, looks)) = &mut self.refusal {
            *looks = if is_any_refused { 0 } else { *looks + 1 };
        }
        self.refusal.take_if(|(_, looks)| *looks >= REFUSAL_LOOKS);
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
        let standing = self.standing.get_mut(&key);
        standing.is_some_and(|it| is_to_be_told(&mut it.told, now))
    }
}

/// Whether it is time for a line in the log about what was told of at `told`, which is noted.
pub(super) fn is_to_be_told(told: &mut Option<Instant>, now: Instant) -> bool {
    let is_due = told.is_none_or(|told| now.saturating_duration_since(told) >= TELL_INTERVAL);
    if is_due {
        *told = Some(now);
    }
    is_due
}

/// Whether the client cannot read what it has fetched.
fn is_of_a_batch(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::BadCompression
            | Code::BadMessage
            | Code::InvalidMessage
            | Code::InvalidMessageSize
            | Code::MessageSizeTooLarge
            | Code::NotImplemented
            | Code::Underflow
            | Code::UnsupportedCompressionType
    )
}

/// Whether a broker has said so: codes of the protocol are above 0, the client's own below.
fn is_of_the_broker(code: RDKafkaErrorCode) -> bool {
    code as i32 > 0
}

/// What a person is to know and to do.
pub(super) fn what(section: &str, (topic, partition): (&str, i32), offset: i64, reason: &str) -> String {
    format!(
        "partition {partition} of {topic} cannot be read at offset {offset}: {reason}. The other partitions go on. A batch \
         that is larger than the client takes needs a higher receive.message.max.bytes in {section}.consumer_properties; \
         a codec or format that it does not know, a newer release; a user without the right to read the topic, that right; \
         for a corrupt one see docs/operations.md"
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
            let stands = offsets.map(|offset| offset.map(Stand::Still));
            let partitions = (0..).map(key).zip(stands);
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
            let stands = [
                (key(0), Some(Stand::Still(10))),
                (key(1), Some(Stand::Refused(10))),
            ];
            unreadable.look(stands.into_iter(), now);
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

    /// The client reports a refusal once, and those that it is about get no offsets until it ends.
    #[test]
    fn what_a_broker_refuses_cannot_be_read_until_it_is_given() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut unreadable = Unreadable::default();
        let refused = KafkaError::MessageConsumption(RDKafkaErrorCode::TopicAuthorizationFailed);
        assert!(!unreadable.report(&refused), "the first is told");
        assert!(unreadable.report(&refused), "the next partition's");
        let look = |unreadable: &mut Unreadable, seconds, stands: [Option<Stand>; 2]| {
            unreadable.look((0..).map(key).zip(stands), at(seconds));
            found(unreadable, at(seconds))
        };
        let refused = Some(Stand::Refused(7));
        assert_eq!(
            look(&mut unreadable, 0, [None, None]),
            [],
            "the fetch is not counted yet"
        );
        for (seconds, expected) in [(5, vec![]), (10, vec![(1, 7, 5)]), (15, vec![(1, 7, 10)])] {
            let others = Some(Stand::Still(seconds as i64));
            assert_eq!(look(&mut unreadable, seconds, [others, refused]), expected);
        }
        assert!(unreadable.is_to_be_told(key(1), at(15)));
        assert_eq!(look(&mut unreadable, 20, [None, None]), [], "it was given");
        look(&mut unreadable, 25, [None, None]);
        // A leader that changes is no refusal.
        for seconds in [30, 35] {
            assert_eq!(look(&mut unreadable, seconds, [None, refused]), []);
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
