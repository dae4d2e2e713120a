//! Which jobs have not read all there is: what they would bring cannot be called lost.

use millrace_catalog::{Group, Service, groups};
use millrace_kafka::admin::Lookup;
use millrace_kafka::log::TopicLog;
use millrace_kafka::topic_name;
use millrace_settings::{Kafka, Settings};

use crate::check::Waits;

/// What is behind, each as `GROUP on TOPIC partitions 0, 2`.
#[derive(Debug, Default)]
pub(super) struct Behind {
    /// Of the jobs that make the results.
    pub(super) jobs: Vec<String>,
    /// Of the sink into Elasticsearch.
    pub(super) sink: Vec<String>,
}

/// Asks the groups of all that is waited for what they have committed, and the topics whether
/// there is more.
///
/// # Errors
/// The brokers do not answer.
pub(super) fn behind(settings: &Settings, waits: &[Waits]) -> anyhow::Result<Behind> {
    let kafka = &settings.kafka;
    let lookup = Lookup::connect(kafka)?;
    let mut behind = Behind::default();
    let waits_for = |group: &Group| waits.iter().any(|it| it.jobs.contains(&group.reader));
    let groups = groups(settings.installation()).into_iter();
    for group in groups.filter(|group| group.is_job && waits_for(group)) {
        look(kafka, &lookup, &group.name, &group.topics, &mut behind.jobs)?;
    }
    let compared: Vec<_> = waits.iter().flat_map(|it| &it.documents).copied().collect();
    let sink = Service::ElasticSink.group();
    look(kafka, &lookup, &sink, &compared, &mut behind.sink)?;
    Ok(behind)
}

/// The jobs that have not read all there is, each as `GROUP on TOPIC, partitions 0, 2`: nothing
/// that one of these makes is missing for good.
///
/// # Errors
/// The brokers do not answer.
pub fn jobs_behind(settings: &Settings) -> anyhow::Result<Vec<String>> {
    let lookup = Lookup::connect(&settings.kafka)?;
    let mut behind = Vec::new();
    for group in groups(settings.installation())
        .into_iter()
        .filter(|group| group.is_job)
    {
        look(&settings.kafka, &lookup, &group.name, &group.topics, &mut behind)?;
    }
    Ok(behind)
}

fn look(
    kafka: &Kafka,
    lookup: &Lookup,
    group: &str,
    topics: &[&str],
    behind: &mut Vec<String>,
) -> anyhow::Result<()> {
    for topic in topics {
        let topic = topic_name(kafka, topic);
        let committed = lookup.committed_offsets(&topic_name(kafka, group), &topic)?;
        // A committed offset may be before the markers of transactions: only a record counts.
        let log = TopicLog::open(kafka, topic.clone())?;
        let unread = log.with_records_from((0..).zip(committed))?;
        if !unread.is_empty() {
            let partitions: Vec<_> = unread.iter().map(i32::to_string).collect();
            behind.push(format!(
                "{group} on {topic}, partitions {}",
                partitions.join(", ")
            ));
        }
    }
    Ok(())
}
