//! Which jobs have not read all there is: what they would bring cannot be called lost.

use millrace_domain::topic;
use millrace_kafka::admin::Lookup;
use millrace_kafka::topic_name;
use millrace_settings::{Kafka, Settings};

use super::log::TopicLog;
use crate::status::groups_of;

/// What is behind, each as `GROUP on TOPIC partitions 0, 2`.
#[derive(Debug, Default)]
pub(super) struct Behind {
    /// Of the jobs that make the results.
    pub(super) jobs: Vec<String>,
    /// Of the sink into Elasticsearch.
    pub(super) sink: Vec<String>,
}

/// Asks the groups what they have committed, and the topics whether there is more.
///
/// # Errors
/// The brokers do not answer.
pub(super) fn behind(settings: &Settings) -> anyhow::Result<Behind> {
    let kafka = &settings.kafka;
    let lookup = Lookup::connect(kafka)?;
    let mut behind = Behind::default();
    let (mut sink, detector) = (None, "millrace-detect");
    for (group, topics) in groups_of(settings) {
        match *group {
            millrace_elastic_sink::consumer::GROUP => sink = Some(*group),
            group if group == detector => {}
            group => look(kafka, &lookup, group, topics, &mut behind.jobs)?,
        }
    }
    let compared = [topic::AGGREGATES, topic::ANOMALIES];
    if let Some(sink) = sink {
        look(kafka, &lookup, sink, &compared, &mut behind.sink)?;
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
