//! Waiting until every broker knows of what was made.
//!
//! A broker learns of a new topic from the controllers' log, each in its own time, and a slow one
//! is some seconds behind. A client asks any of them, so that one call may see a topic which the
//! next is told does not exist.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use millrace_settings::Kafka;

use super::{AdminError, Lookup};

/// How long brokers may take to learn of new topics.
const LIMIT: Duration = Duration::from_secs(60);
/// How long one broker may take to answer.
const CALL: Duration = Duration::from_secs(5);
/// Time between two looks at one broker.
const LOOK: Duration = Duration::from_millis(100);
/// A broker that has not answered so often is passed over: it is on its way out, or cannot be
/// reached from here.
const MAX_SILENCES: u32 = 3;

/// A broker as the cluster tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broker {
    pub(super) id: i32,
    /// Host and port.
    pub(super) address: String,
}

/// Waits until every broker that is up knows every one of `topics`, given by their full names.
///
/// # Errors
/// The cluster does not answer; or a broker that does has not heard of a topic in time.
pub(super) fn wait_until_known(kafka: &Kafka, lookup: &Lookup, topics: &[&str]) -> Result<(), AdminError> {
    if topics.is_empty() {
        return Ok(());
    }
    let deadline = Instant::now() + LIMIT;
    for broker in lookup.addresses()? {
        // A client that knows no other broker asks this one.
        let only = Kafka {
            bootstrap_servers: broker.address.clone(),
            ..kafka.clone()
        };
        let lookup = Lookup::connect(&only)?.within(CALL);
        wait_for(&broker, topics, deadline, || lookup.topic_names_of(broker.id))?;
    }
    Ok(())
}

/// Waits until a broker knows all of `topics`. `ask` gives the names of those that it knows, `None`
/// where it was another that answered.
fn wait_for(
    broker: &Broker,
    topics: &[&str],
    deadline: Instant,
    mut ask: impl FnMut() -> Result<Option<BTreeSet<String>>, AdminError>,
) -> Result<(), AdminError> {
    let mut silences = 0;
    loop {
        let is_unknown =
            |known: &BTreeSet<String>| topics.iter().find(|topic| !known.contains(**topic)).copied();
        let missing = match ask() {
            Ok(Some(known)) => match is_unknown(&known) {
                Some(missing) => Some(missing),
                None => return Ok(()),
            },
            answer => {
                silences += 1;
                if silences >= MAX_SILENCES {
                    let reason = answer
                        .err()
                        .map_or("others answer".to_owned(), |error| error.to_string());
                    tracing::warn!(
                        broker = broker.id,
                        address = broker.address,
                        reason,
                        "a broker does not say whether it knows the new topics"
                    );
                    return Ok(());
                }
                None
            }
        };
        if let Some(topic) = missing
            && Instant::now() > deadline
        {
            return Err(AdminError::Unheard {
                topic: topic.to_owned(),
                broker: broker.id,
                address: broker.address.clone(),
                limit: LIMIT,
            });
        }
        std::thread::park_timeout(LOOK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Answer = Result<Option<BTreeSet<String>>, AdminError>;

    fn knows(topics: &[&str]) -> Answer {
        Ok(Some(topics.iter().map(|topic| (*topic).to_owned()).collect()))
    }

    fn silent() -> Answer {
        Err(AdminError::UnknownTopic("any".to_owned()))
    }

    /// What comes of a broker's answers, and how many of them were not asked for.
    fn waited(answers: Vec<Answer>, limit: Duration) -> (Result<(), AdminError>, usize) {
        let broker = Broker {
            id: 2,
            address: "kafka-2:9092".to_owned(),
        };
        let mut answers = answers.into_iter();
        let ended = wait_for(&broker, &["a", "b"], Instant::now() + limit, || {
            answers.next().expect("an answer more")
        });
        (ended, answers.len())
    }

    #[test]
    fn a_broker_that_lags_is_waited_for() {
        let answers = vec![
            knows(&[]),
            knows(&["b", "c"]),
            silent(),
            knows(&["a", "b"]),
            knows(&[]),
        ];
        let (ended, left) = waited(answers, LIMIT);
        assert!(ended.is_ok());
        assert_eq!(left, 1, "the fourth answer ends it");
    }

    #[test]
    fn one_that_never_hears_of_a_topic_is_named_with_it() {
        let (ended, _) = waited(vec![knows(&["a"])], Duration::ZERO);
        let said = ended.unwrap_err().to_string();
        for part in ["topic b", "broker 2", "kafka-2:9092"] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }

    #[test]
    fn one_that_does_not_answer_holds_nobody_up() {
        let (ended, left) = waited(vec![silent(), Ok(None), silent(), knows(&[])], Duration::ZERO);
        assert!(ended.is_ok());
        assert_eq!(left, 1);
    }
}
