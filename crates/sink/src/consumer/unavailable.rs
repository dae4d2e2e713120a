//! Topics that cannot be read at all: deleted, or no longer this user's to read.
//!
//! librdkafka says once that a topic it subscribed to is not available, and gives its partitions
//! up; the others go on. So the brokers are asked which topic it is, and then again and again until
//! it is there.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::TopicPartitionListElem;

use crate::sink::Sink;
use crate::spec::{Source, SourceId};

use super::context::SinkContext;
use super::unreadable::is_to_be_told;

/// Time between two questions.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// How long a report is looked into: another broker may not know yet what it says.
const SUSPICION: Duration = Duration::from_secs(60);

/// How long a broker may take to answer.
const CALL: Duration = Duration::from_secs(5);

/// The topics that cannot be read.
#[derive(Debug, Default)]
pub(super) struct Unavailable {
    suspected_until: Option<Instant>,
    looked: Option<Instant>,
    topics: BTreeMap<SourceId, Topic>,
}

/// A topic that cannot be read.
#[derive(Debug)]
struct Topic {
    reason: String,
    since: Instant,
    told: Option<Instant>,
    /// The partitions that this sink had of it.
    partitions: Vec<i32>,
}

/// A topic that cannot be read, as it is to be told.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found<'a> {
    pub(super) source: SourceId,
    pub(super) reason: &'a str,
    pub(super) time: Duration,
    pub(super) partitions: &'a [i32],
}

impl Unavailable {
    /// Takes what the client reports in place of a record, which may be that a topic is not there.
    pub(super) fn report(&mut self, error: &KafkaError, now: Instant) {
        use RDKafkaErrorCode as Code;
        let is_of_a_topic = matches!(
            error,
            KafkaError::MessageConsumption(
                Code::TopicAuthorizationFailed
                    | Code::UnknownTopicOrPartition
                    | Code::UnknownTopic
                    | Code::UnknownPartition
            )
        );
        if is_of_a_topic {
            self.suspected_until = Some(now + SUSPICION);
            self.looked = None;
        }
    }

    /// Whether the brokers are to be asked; so it is at intervals while there is reason to.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        self.suspected_until.take_if(|until| *until <= now);
        let has_reason = self.suspected_until.is_some() || !self.topics.is_empty();
        let is_early = |looked: Instant| now.saturating_duration_since(looked) < LOOK_INTERVAL;
        if !has_reason || self.looked.is_some_and(is_early) {
            return false;
        }
        self.looked = Some(now);
        true
    }

    /// Takes what the brokers say of a topic: why it cannot be read, or that it can. `partitions`
    /// are those that this sink has of it now, which it keeps for as long.
    pub(super) fn look(
        &mut self,
        source: SourceId,
        reason: Option<String>,
        partitions: Vec<i32>,
        now: Instant,
    ) {
        let Some(reason) = reason else {
            self.topics.remove(&source);
            return;
        };
        let topic = self.topics.entry(source).or_insert_with(|| Topic {
            reason: String::new(),
            since: now,
            told: None,
            partitions: Vec::new(),
        });
        topic.reason = reason;
        if !partitions.is_empty() {
            topic.partitions = partitions;
        }
    }

    /// Those that cannot be read.
    pub(super) fn found(&self, now: Instant) -> impl Iterator<Item = Found<'_>> {
        self.topics.iter().map(move |(source, topic)| Found {
            source: *source,
            reason: &topic.reason,
            time: now.saturating_duration_since(topic.since),
            partitions: &topic.partitions,
        })
    }

    /// Whether it is time for a line in the log about a topic.
    pub(super) fn is_to_be_told(&mut self, source: SourceId, now: Instant) -> bool {
        let topic = self.topics.get_mut(&source);
        topic.is_some_and(|it| is_to_be_told(&mut it.told, now))
    }
}

/// What a person is to know and to do.
pub(super) fn what(topic: &str, partitions: &[i32], reason: &str) -> String {
    let place = match partitions {
        [] => topic.to_owned(),
        [partition] => format!("partition {partition} of {topic}"),
        several => {
            let numbers: Vec<_> = several.iter().map(i32::to_string).collect();
            format!("partitions {} of {topic}", numbers.join(", "))
        }
    };
    format!(
        "{place} cannot be read: {reason}. The other topics go on. Where it was deleted, `millrace init` makes it anew; a \
         user needs the rights to read and describe it (docs/operations.md)"
    )
}

/// Asks the brokers about every topic, where it is time to. One that nobody answers about stays as
/// it is.
///
/// # Errors
/// The client does not know what is assigned.
pub(super) fn look<S: Sink>(consumer: &BaseConsumer<SinkContext<S>>, sources: &[Source]) -> KafkaResult<()> {
    let now = Instant::now();
    // The lock is not held while brokers are asked.
    if !consumer.context().unavailable().is_due(now) {
        return Ok(());
    }
    let assignment = consumer.assignment()?;
    for (at, source) in sources.iter().enumerate() {
        let metadata = match consumer.fetch_metadata(Some(&source.topic), CALL) {
            Ok(metadata) => metadata,
            Err(error) => {
                tracing::debug!(%error, "whether topics can be read is not known");
                break;
            }
        };
        let topic = metadata.topics().iter().find(|it| it.name() == source.topic);
        let reason = match topic {
            None => Some(RDKafkaErrorCode::UnknownTopicOrPartition.to_string()),
            Some(topic) => topic
                .error()
                .map(|error| RDKafkaErrorCode::from(error).to_string()),
        };
        let elements = assignment.elements_for_topic(&source.topic);
        let partitions = elements.iter().map(TopicPartitionListElem::partition).collect();
        let mut unavailable = consumer.context().unavailable();
        unavailable.look(SourceId(at), reason, partitions, now);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(1_000);

    fn at(start: Instant, seconds: u64) -> Instant {
        start + START + Duration::from_secs(seconds)
    }

    fn of(code: RDKafkaErrorCode) -> KafkaError {
        KafkaError::MessageConsumption(code)
    }

    #[test]
    fn brokers_are_asked_after_a_report_and_until_the_topic_is_there() {
        let (start, mut topics) = (Instant::now(), Unavailable::default());
        assert!(!topics.is_due(at(start, 0)), "nothing is the matter");
        for other in [RDKafkaErrorCode::BadMessage, RDKafkaErrorCode::AllBrokersDown] {
            topics.report(&of(other), at(start, 0));
        }
        assert!(!topics.is_due(at(start, 0)));
        topics.report(&of(RDKafkaErrorCode::TopicAuthorizationFailed), at(start, 0));
        assert!(topics.is_due(at(start, 0)) && !topics.is_due(at(start, 4)));
        assert!(topics.is_due(at(start, 5)));
        let gone = || Some("gone".to_owned());
        topics.look(SourceId(1), gone(), vec![0, 2], at(start, 5));
        topics.look(SourceId(0), None, vec![1], at(start, 5));
        // Given up meanwhile, and long after the report.
        assert!(topics.is_due(at(start, 300)));
        topics.look(SourceId(1), gone(), Vec::new(), at(start, 300));
        let expected = Found {
            source: SourceId(1),
            reason: "gone",
            time: Duration::from_secs(295),
            partitions: &[0, 2],
        };
        assert_eq!(topics.found(at(start, 300)).collect::<Vec<_>>(), [expected]);
        topics.look(SourceId(1), None, vec![0], at(start, 305));
        assert_eq!(topics.found(at(start, 305)).count(), 0);
        assert!(!topics.is_due(at(start, 900)), "and is asked no more");
    }

    #[test]
    fn a_report_that_no_broker_confirms_is_forgotten() {
        let (start, mut topics) = (Instant::now(), Unavailable::default());
        topics.report(&of(RDKafkaErrorCode::UnknownTopicOrPartition), at(start, 0));
        assert!(topics.is_due(at(start, 0)) && topics.is_due(at(start, 59)));
        assert!(!topics.is_due(at(start, 70)));
    }

    #[test]
    fn a_topic_is_told_of_once_a_minute_with_its_partitions() {
        let (start, mut topics) = (Instant::now(), Unavailable::default());
        topics.look(SourceId(0), Some("gone".to_owned()), vec![3], at(start, 0));
        for (seconds, is_told) in [(0, true), (59, false), (60, true)] {
            assert_eq!(topics.is_to_be_told(SourceId(0), at(start, seconds)), is_told);
        }
        for (partitions, place) in [
            (&[][..], "payments cannot be read: gone"),
            (&[3], "partition 3 of payments cannot be read: gone"),
            (&[0, 2], "partitions 0, 2 of payments cannot be read: gone"),
        ] {
            let what = what("payments", partitions, "gone");
            assert!(
                what.starts_with(place) && what.contains("millrace init"),
                "{what}"
            );
        }
    }
}
