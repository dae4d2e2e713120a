//! The topics of the contracts.

use millrace_domain::topic;
use millrace_kafka::admin::{Lookup, TopicChange, ensure_topics};
use millrace_settings::Kafka;

use super::wait::Deadline;
use super::{Outcome, Steps};

pub(super) async fn create(kafka: &Kafka, deadline: &Deadline, steps: &mut Steps) -> anyhow::Result<()> {
    let service = format!("Kafka at {}", kafka.bootstrap_servers);
    deadline.until_answer(&service, || enough_brokers(kafka)).await?;
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
    Ok(())
}

/// A cluster that is starting answers before all of its brokers are there, and would refuse to make a topic.
async fn enough_brokers(kafka: &Kafka) -> Result<(), String> {
    let asked = kafka.clone();
    let brokers = tokio::task::spawn_blocking(move || Lookup::connect(&asked)?.brokers())
        .await
        .map_err(|error| error.to_string())?
        .map_err(|error| error.to_string())?;
    let wanted = usize::try_from(kafka.replication_factor).unwrap_or(1);
    if brokers.len() < wanted {
        return Err(format!(
            "{} of the {wanted} brokers that kafka.replication_factor needs are running",
            brokers.len()
        ));
    }
    Ok(())
}
