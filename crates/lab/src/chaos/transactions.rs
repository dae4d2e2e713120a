//! Transactions that nobody ends: what they hold back is never read.

use std::time::Duration;

use anyhow::{Context as _, Result};
use millrace_catalog::{groups, topics};
use millrace_kafka::admin::{Lookup, bounds};
use millrace_kafka::client::{LogBridge, reader_config};
use millrace_kafka::topic_name;
use millrace_settings::Settings;
use rdkafka::consumer::BaseConsumer;

use crate::wait::wait_until;

const CALL: Duration = Duration::from_secs(10);

/// Waits until no transaction is open, on any topic or in any group's offsets: then the last stable
/// offset of each partition is its end, and every committed offset can be read. Gives the
/// partitions where it is not so after `limit`.
///
/// # Errors
/// The brokers do not answer.
pub async fn lingering(settings: &Settings, limit: Duration) -> Result<Vec<String>> {
    let open = std::cell::RefCell::new(Vec::new());
    let waited = wait_until("the end of every transaction", limit, || async {
        let settings = settings.clone();
        let found = tokio::task::spawn_blocking(move || look(&settings)).await??;
        let none = found.is_empty();
        open.replace(found);
        Ok(none.then_some(()))
    });
    let waited = waited.await;
    let open = open.into_inner();
    match waited {
        Err(error) if open.is_empty() => Err(error),
        _ => Ok(open),
    }
}

fn look(settings: &Settings) -> Result<Vec<String>> {
    let (kafka, installation) = (&settings.kafka, settings.installation());
    let lookup = Lookup::connect(kafka)?;
    let reader = |isolation: &str| -> Result<BaseConsumer<LogBridge>> {
        let mut config = reader_config(kafka, &format!("{}millrace-chaos", kafka.topic_prefix))?;
        config.set("isolation.level", isolation);
        Ok(config.create_with_context(LogBridge)?)
    };
    let (stable, all) = (reader("read_committed")?, reader("read_uncommitted")?);
    let mut open = Vec::new();
    for spec in topics(installation) {
        let name = topic_name(kafka, spec.name);
        for partition in lookup.topic(&name)?.partitions {
            let end = |reader: &BaseConsumer<LogBridge>| {
                let found = bounds(reader, &name, partition.number, CALL);
                found
                    .map(|(_, end)| end)
                    .with_context(|| format!("the end of {name}-{}", partition.number))
            };
            let (stable, end) = (end(&stable)?, end(&all)?);
            if stable != end {
                open.push(format!("{name}-{}: {stable} of {end}", partition.number));
            }
        }
    }
    for group in groups(installation) {
        let (group, topics) = (topic_name(kafka, &group.name), &group.topics);
        for topic in topics {
            // An offset that a transaction is about to change is an error.
            if let Err(error) = lookup.committed_offsets(&group, &topic_name(kafka, topic)) {
                open.push(format!("{group} on {topic}: {error}"));
            }
        }
    }
    Ok(open)
}
