//! What is to be done about a topic that is there already: found × wanted, without I/O.
//!
//! docs/operations.md has the table for those who run it.

use millrace_contract::topic::{MAX_COPY_BYTES, TopicSpec};
use millrace_domain::plan::{Consent, Difference, Need};
use millrace_settings::Kafka;

/// What a broker's own default takes, in bytes: a batch of the client's default size fits into it.
const DEFAULT_MAX_BYTES: u32 = 1_048_588;

/// A setting as the cluster gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) value: String,
    /// Whether it was set for this topic; else it is the brokers' default.
    pub(super) is_own: bool,
}

/// A new topic's limit on size, where the brokers' own, `brokers_max_bytes`, is below what a client
/// sends.
pub(super) fn limit_of_new(
    spec: &TopicSpec,
    brokers_max_bytes: Option<u32>,
) -> Option<(&'static str, String)> {
    let is_too_low = brokers_max_bytes.is_some_and(|bytes| bytes < DEFAULT_MAX_BYTES);
    (is_too_low && needs_default_limit(spec)).then(|| ("max.message.bytes", DEFAULT_MAX_BYTES.to_string()))
}

/// Whether a topic takes batches of Millrace's, and no copies, which need more.
fn needs_default_limit(spec: &TopicSpec) -> bool {
    !spec.takes_copies && !spec.is_written_by_others
}

/// The settings that a new topic is made with.
pub(super) fn settings_of_new(kafka: &Kafka, spec: &TopicSpec) -> Vec<(&'static str, String)> {
    let timestamps = match spec.log_append_time {
        true => "LogAppendTime",
        false => "CreateTime",
    };
    let mut settings = vec![
        ("min.insync.replicas", kafka.min_insync_replicas.to_string()),
        ("message.timestamp.type", timestamps.to_owned()),
    ];
    if spec.compacted {
        settings.push(("cleanup.policy", "compact".to_owned()));
    } else {
        settings.push(("cleanup.policy", "delete".to_owned()));
        settings.push(("retention.ms", kafka.retention_ms.to_string()));
    }
    if spec.takes_copies {
        settings.push(("max.message.bytes", MAX_COPY_BYTES.to_string()));
    }
    settings
}

/// What is looked at of a topic that is there: what a new one is made with, and what the brokers'
/// defaults give a new one where somebody has set it for this topic.
pub(super) fn settings_of_existing(kafka: &Kafka, spec: &TopicSpec) -> Vec<(&'static str, String)> {
    let mut settings = settings_of_new(kafka, spec);
    if !spec.compacted {
        settings.push(("retention.bytes", "-1".to_owned()));
    }
    if needs_default_limit(spec) {
        settings.push(("max.message.bytes", DEFAULT_MAX_BYTES.to_string()));
    }
    settings
}

/// What is to be done about `setting`; `None` where it is as it should be, or does no harm.
pub(super) fn difference(
    spec: &TopicSpec,
    setting: &str,
    found: &Found,
    wanted: &str,
    consent: Consent,
) -> Option<Difference> {
    if found.value == wanted {
        return None;
    }
    let rule = rule(spec, setting, found, wanted)?;
    Some(Difference::decide(setting, (&found.value, wanted), rule, consent))
}

fn rule(spec: &TopicSpec, setting: &str, found: &Found, wanted: &str) -> Option<(Need, &'static str)> {
    let (there, here) = (number(&found.value), number(wanted));
    Some(match setting {
        "message.timestamp.type" if spec.log_append_time => (
            Need::Required,
            "event times are bounded by the broker's time of append, which a producer's clock must not set",
        ),
        "message.timestamp.type" => (Need::Optional, "the pipeline does not depend on it"),
        "cleanup.policy" if spec.compacted => (
            Need::Deletes,
            "records are deleted by age or size, where the newest of each key is to be kept for ever",
        ),
        "cleanup.policy" => (
            Need::RequiredDeletes,
            "compaction removes records that a recovery reads again. Choose another kafka.topic_prefix, or have its \
             records deleted by age",
        ),
        "retention.ms" if lasts(there) > lasts(here) => (
            Need::Deletes,
            "records are kept for longer than kafka.retention_ms says",
        ),
        "retention.ms" if spec.is_written_by_others => (
            Need::Optional,
            "records are deleted sooner than kafka.retention_ms says, and a recovery can read no others again",
        ),
        "retention.ms" => (Need::Required, "records are kept for kafka.retention_ms"),
        "retention.bytes" if found.is_own => (
            Need::Optional,
            "records are deleted by size, maybe sooner than kafka.retention_ms says",
        ),
        "min.insync.replicas" if there < here => (
            Need::Optional,
            "with fewer replicas in sync than kafka.min_insync_replicas says, what was acknowledged can be lost",
        ),
        "min.insync.replicas" => (
            Need::Optional,
            "nothing can be written with as few replicas in sync as kafka.min_insync_replicas says",
        ),
        "max.message.bytes" if there > here => return None,
        // The wanted limit is above Kafka's default, so that whoever has set one meant it.
        "max.message.bytes" if spec.takes_copies && found.is_own => {
            (Need::Optional, "copies of larger records are cut to it")
        }
        "max.message.bytes" if spec.takes_copies => (
            Need::Required,
            "a copy is as large as its record and the headers that say where it came from",
        ),
        "max.message.bytes" => (
            Need::Required,
            "a batch of the client's default size is refused by less, and the service stands still",
        ),
        _ => return None,
    })
}

/// What is to be said of a topic's number of replicas.
pub(super) fn replicas(found: usize, wanted: i32) -> Option<Difference> {
    if usize::try_from(wanted).unwrap_or(0) <= found {
        return None;
    }
    let reason = "fewer brokers may fail than kafka.replication_factor allows for. `kafka-reassign-partitions.sh` adds \
                  replicas";
    let values = (&*found.to_string(), &*wanted.to_string());
    let rule = (Need::Fixed, reason);
    Some(Difference::decide(
        "replication factor",
        values,
        rule,
        Consent::default(),
    ))
}

/// Whether a topic may have so many partitions: users add some, and reading a key's newest record
/// needs its place.
pub(super) fn takes_partitions(spec: &TopicSpec, found: usize) -> bool {
    match usize::try_from(spec.partitions) {
        Ok(wanted) if spec.compacted => found == wanted,
        Ok(wanted) => found >= wanted,
        Err(_) => false,
    }
}

/// What is to be said of a topic's number of partitions. `init` adds none: it would send keys
/// elsewhere than their history.
pub(super) fn partitions(spec: &TopicSpec, found: usize) -> Option<Difference> {
    if takes_partitions(spec, found) {
        return None;
    }
    let reason = "keys would be elsewhere than their history. Delete the topic, or set kafka.topic_prefix to start \
                  beside it";
    let values = (&*found.to_string(), &*spec.partitions.to_string());
    let rule = (Need::Impossible, reason);
    Some(Difference::decide(
        "number of partitions",
        values,
        rule,
        Consent::default(),
    ))
}

fn number(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// How long a retention lasts, in milliseconds; a negative one lasts for ever.
fn lasts(retention_ms: Option<i64>) -> i64 {
    retention_ms.map_or(i64::MAX, |ms| if ms < 0 { i64::MAX } else { ms })
}

#[cfg(test)]
mod tests;
