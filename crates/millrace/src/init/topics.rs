//! The topics of the contracts.

use std::time::Duration;

use millrace_domain::topic;
use millrace_kafka::admin::{Extended, Lookup, TopicChange, ensure_topics, extend_controls};
use millrace_settings::Kafka;

use super::wait::{Deadline, Failure};
use super::{Outcome, Steps};

pub(super) async fn create(kafka: &Kafka, deadline: &Deadline, steps: &mut Steps) -> anyhow::Result<()> {
    let service = format!("Kafka at {}", kafka.bootstrap_servers);
    deadline
        .until_final(&service, || enough_brokers(kafka, deadline.left()))
        .await?;
    let creating = kafka.clone();
    let changes = tokio::task::spawn_blocking(move || ensure_topics(&creating, &topic::ALL)).await??;
    for (name, change) in changes {
        let outcome = match change {
            TopicChange::Created => Outcome::Created,
            TopicChange::ConfigUpdated => Outcome::Updated,
            TopicChange::Unchanged => Outcome::Unchanged,
        };
        steps.add(format!("topic {name}"), outcome);
    }
    let extending = kafka.clone();
    for extended in tokio::task::spawn_blocking(move || extend_controls(&extending)).await?? {
        let Extended {
            topic,
            from,
            to,
            input,
        } = extended;
        let subject = format!("topic {topic}, from {from} to {to} partitions, as {input} has");
        steps.add(subject, Outcome::Updated);
    }
    Ok(())
}

/// A cluster that is starting answers before all of its brokers are there, and would refuse to make a topic.
async fn enough_brokers(kafka: &Kafka, left: Duration) -> Result<(), Failure> {
    let asked = kafka.clone();
    // Less than the wait has, so that the client's own reason is heard.
    let limit = left.mul_f64(0.7);
    let brokers = tokio::task::spawn_blocking(move || Lookup::connect(&asked)?.within(limit).brokers())
        .await
        .map_err(Failure::passing)?
        .map_err(|error| match error.is_final() {
            true => Failure::Final(error.into()),
            false => Failure::passing(error),
        })?;
    let wanted = usize::try_from(kafka.replication_factor).unwrap_or(1);
    if brokers.len() < wanted {
        return Err(Failure::passing(format!(
            "{} of the {wanted} brokers that kafka.replication_factor needs are running",
            brokers.len()
        )));
    }
    Ok(())
}
