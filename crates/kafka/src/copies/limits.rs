//! How large a copy its topic takes.

use millrace_settings::Kafka;
use rdkafka::ClientConfig;

use crate::admin;

/// What a topic is taken to take until the cluster has been asked, or if it does not say: a little
/// less than Kafka's own default.
const DEFAULT_BYTES: usize = 1_000_000;
/// The cluster is not asked for the sake of a smaller copy: nearly every topic takes it, and a
/// refusal tells otherwise.
const WITHOUT_ASKING_BYTES: usize = 65_536;
/// A topic that takes no copy of this size takes none.
const LEAST_BYTES: usize = 2_048;

/// What the topics of copies take. The cluster is asked for a topic's `max.message.bytes` when the
/// first large copy comes, and again when it has refused one. Where it does not say (that needs the
/// right to describe the topic's settings), what is refused is tried again with half of the size.
#[derive(Debug)]
pub struct TopicLimits {
    kafka: Kafka,
    client_bytes: usize,
    topics: Vec<TopicLimit>,
}

#[derive(Debug)]
struct TopicLimit {
    topic: String,
    bytes: usize,
    is_asked: bool,
}

impl TopicLimits {
    /// For copies that a producer with this configuration sends.
    #[must_use]
    pub fn new(kafka: &Kafka, producer: &ClientConfig) -> Self {
        let client_bytes = producer.get("message.max.bytes");
        Self {
            kafka: kafka.clone(),
            client_bytes: client_bytes
                .and_then(|bytes| bytes.parse().ok())
                .unwrap_or(DEFAULT_BYTES),
            topics: Vec::new(),
        }
    }

    /// Bytes that a batch for `topic` may have, where a copy of `wanted_bytes` is to be sent. May
    /// ask the cluster, for some seconds.
    pub fn of(&mut self, topic: &str, wanted_bytes: usize) -> usize {
        let (at, client_bytes) = (self.find(topic), self.client_bytes);
        if wanted_bytes > WITHOUT_ASKING_BYTES && !self.topics[at].is_asked {
            self.topics[at].is_asked = true;
            if let Some(bytes) = self.ask(topic) {
                self.topics[at].bytes = bytes;
            }
        }
        self.topics[at].bytes.min(client_bytes)
    }

    /// The cluster has refused a copy for `topic` because of its size. Whether a smaller one is
    /// worth a try.
    pub fn refused(&mut self, topic: &str) -> bool {
        let Some(at) = self.topics.iter().position(|known| known.topic == topic) else {
            return false;
        };
        let before = self.topics[at].bytes.min(self.client_bytes);
        self.topics[at].is_asked = true;
        let said = self.ask(topic).filter(|bytes| *bytes < before);
        self.topics[at].bytes = said.unwrap_or(before / 2);
        self.topics[at].bytes >= LEAST_BYTES
    }

    fn find(&mut self, topic: &str) -> usize {
        let known = self.topics.iter().position(|known| known.topic == topic);
        known.unwrap_or_else(|| {
            self.topics.push(TopicLimit {
                topic: topic.to_owned(),
                bytes: DEFAULT_BYTES,
                is_asked: false,
            });
            self.topics.len() - 1
        })
    }

    fn ask(&self, topic: &str) -> Option<usize> {
        match admin::max_message_bytes(&self.kafka, topic) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                tracing::warn!(topic, %error, "not known how large a record the topic takes");
                None
            }
        }
    }
}
