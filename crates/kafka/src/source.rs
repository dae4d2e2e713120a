//! How many partitions the source has. Kafka lets some be added at any time, and what a process has
//! found out at its start is behind then.

use std::fmt;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use millrace_settings::Kafka;

use crate::admin::{AdminError, Lookup};

/// How long the cluster may take to answer.
const CALL: Duration = Duration::from_secs(2);
/// Time between two looks that records give rise to: the first, and the longest that it doubles to.
const AFTER_RECORD: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The partitions of a topic, as one process knows them.
pub struct SourcePartitions {
    /// Whom to ask, and for which topic (its full name); nobody where the number is fixed.
    asked: Option<(Kafka, String)>,
    at_start: i32,
    known: AtomicI32,
    client: Mutex<Client>,
}

struct Client {
    lookup: Option<Lookup>,
    /// When a record may have it ask again, and the pause after that.
    next: Instant,
    pause: Duration,
}

impl SourcePartitions {
    /// Those of `topic`, a full name, which was found to have `partitions`.
    #[must_use]
    pub fn new(kafka: &Kafka, topic: &str, partitions: i32) -> Self {
        Self {
            asked: Some((kafka.clone(), topic.to_owned())),
            ..Self::fixed(partitions)
        }
    }

    /// Partitions of which nobody is asked.
    #[must_use]
    pub fn fixed(partitions: i32) -> Self {
        Self {
            asked: None,
            at_start: partitions,
            known: AtomicI32::new(partitions),
            client: Mutex::new(Client {
                lookup: None,
                next: Instant::now(),
                pause: AFTER_RECORD.0,
            }),
        }
    }

    /// How many there were when the process looked first: all that it has set up is for these.
    #[must_use]
    pub fn at_start(&self) -> i32 {
        self.at_start
    }

    /// How many there are, as far as is known.
    #[must_use]
    pub fn known(&self) -> i32 {
        self.known.load(Ordering::Relaxed)
    }

    /// Whether some were added since.
    #[must_use]
    pub fn have_grown(&self) -> bool {
        self.known() > self.at_start
    }

    /// Takes the word of somebody else that there are so many, as if the cluster had said so.
    pub fn found(&self, partitions: i32) {
        self.known.fetch_max(partitions, Ordering::Relaxed);
    }

    /// Asks the cluster for a record's sake, which seems to lie in the wrong partition: now and
    /// then, and more seldom the more often nothing comes of it.
    pub fn look_for_record(&self) {
        let Ok(mut client) = self.client.try_lock() else {
            return;
        };
        let now = Instant::now();
        if self.have_grown() || now < client.next {
            return;
        }
        self.ask(&mut client);
        client.next = Instant::now() + client.pause;
        client.pause = (client.pause * 2).min(AFTER_RECORD.1);
    }

    /// Asks the cluster.
    pub fn look(&self) {
        self.ask(&mut self.client.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn ask(&self, client: &mut Client) {
        let Some((kafka, topic)) = &self.asked else {
            return;
        };
        match count(client, kafka, topic) {
            Ok(partitions) => {
                let before = self.known.fetch_max(partitions, Ordering::Relaxed);
                if partitions > before {
                    tracing::warn!(topic, before, partitions, "partitions were added");
                }
            }
            // Who needs the cluster hears of it anyway.
            Err(error) => tracing::debug!(%error, topic, "the number of partitions is not known"),
        }
    }
}

fn count(client: &mut Client, kafka: &Kafka, topic: &str) -> Result<i32, AdminError> {
    let lookup = match client.lookup.take() {
        Some(lookup) => lookup,
        None => Lookup::connect(kafka)?.within(CALL),
    };
    let found = lookup.topic(topic);
    client.lookup = Some(lookup);
    Ok(i32::try_from(found?.partitions.len()).unwrap_or(i32::MAX))
}

impl fmt::Debug for SourcePartitions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourcePartitions")
            .field("at_start", &self.at_start)
            .field("known", &self.known())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_of_which_nobody_is_asked_do_not_grow() {
        let source = SourcePartitions::fixed(5);
        source.look();
        source.look_for_record();
        assert_eq!((source.at_start(), source.known()), (5, 5));
        assert!(!source.have_grown());
        source.found(8);
        assert!(source.have_grown());
        assert_eq!(source.at_start(), 5, "what was set up is for these");
    }
}
