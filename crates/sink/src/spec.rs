//! What a sink reads, and within which bounds.

use std::collections::BTreeMap;
use std::time::Duration;

use millrace_settings::Kafka;

use crate::acknowledgement::PartitionKey;
use crate::batch::Limits;
use crate::retry::Backoff;

/// How the metrics of a sink, and what it says, name things.
#[derive(Debug, Clone, Copy)]
pub struct Names {
    /// The service, as `elastic-sink`: the label `operator`, the header `service` of dead letters,
    /// the thread.
    pub service: &'static str,
    /// The section of the settings, as `elastic_sink`.
    pub section: &'static str,
    /// The store, as `Elasticsearch`.
    pub store: &'static str,
    /// What is written, as `documents`.
    pub items: &'static str,
    /// What it is written to, as `index`: a label of the metric of what waits.
    pub target: &'static str,
    /// Several of these, as `indices`.
    pub targets: &'static str,
    /// Every label of a target.
    pub target_labels: &'static [&'static str],
    /// Every label of a source, read or not.
    pub source_labels: &'static [&'static str],
    /// Every reason why a target may take nothing.
    pub reasons: &'static [&'static str],
}

/// A topic by its place in [`Spec::sources`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub usize);

/// A topic that is read.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its full name.
    pub topic: String,
    /// The full name of the topic of its dead letters.
    pub dead_letters: String,
    /// Its label in metrics, one of [`Names::source_labels`].
    pub label: &'static str,
}

/// What a sink reads, and within which bounds.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The cluster.
    pub kafka: Kafka,
    /// The full name of the consumer group.
    pub group: String,
    /// The process's name among those of the group.
    pub instance: String,
    /// The key of the settings that sets the name.
    pub instance_key: &'static str,
    /// The topics that are read.
    pub sources: Vec<Source>,
    /// When a batch is complete.
    pub limits: Limits,
    /// Batches that are written at once, at least 1.
    pub in_flight: usize,
    /// Bytes of records that may wait for their targets; at that many nothing more is read.
    pub set_aside_bytes: usize,
    /// Pauses between attempts.
    pub backoff: Backoff,
    /// How long a stop, and a rebalance, wait for what is in flight.
    pub drain_timeout: Duration,
    /// Further librdkafka properties of the consumer.
    pub consumer_properties: BTreeMap<String, String>,
}

impl Spec {
    /// The full names of the topics.
    #[must_use]
    pub fn topics(&self) -> Vec<&str> {
        self.sources.iter().map(|source| source.topic.as_str()).collect()
    }
}

/// The source of a topic, by its full name.
pub(crate) fn find(sources: &[Source], topic: &str) -> Option<SourceId> {
    let at = sources.iter().position(|source| source.topic == topic)?;
    Some(SourceId(at))
}

/// The source of a partition.
pub(crate) fn source(sources: &[Source], partition: PartitionKey) -> &Source {
    // Ids are made by `find`, of the same list.
    &sources[partition.source.0]
}
