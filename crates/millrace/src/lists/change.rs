//! What a command makes of the entries, and how it is written.

use std::time::Duration;

use anyhow::{Context as _, bail};
use millrace_detector::list_topic::ListTopic;
use millrace_domain::{ListEntry, ListKey};
use millrace_fraud::Listings;
use millrace_rules::MAX_REASON_LEN;
use millrace_settings::Settings;
use rdkafka::message::OwnedHeaders;

use super::taken;
use crate::rules;
use crate::sender::{Outgoing, Sender};

/// Entries that are put, and such that are taken away.
#[derive(Debug, Default)]
pub(crate) struct Change {
    pub(crate) put: Vec<ListEntry>,
    pub(crate) removed: Vec<ListKey>,
}

/// The topic, and all entries in it.
///
/// # Errors
/// Kafka or the registry do not answer, or `init` has not run.
pub(crate) async fn read(settings: &Settings) -> anyhow::Result<(ListTopic, Listings)> {
    let topic = ListTopic::open_if_any(settings).await?.with_context(|| {
        let prefix = &settings.kafka.topic_prefix;
        format!("there is no topic {prefix}lists: `millrace init` creates it")
    })?;
    let read = move || topic.read().map(|read| (topic, read.listings));
    tokio::task::spawn_blocking(read).await?
}

/// Makes a change of the entries that there are, in one transaction, so that either all of it holds
/// or nothing. Only one command at a time can: whoever starts later ends the other's transaction.
/// With a limit, whether every partition of the detector goes by it within that time.
///
/// # Errors
/// Kafka or the registry do not answer, or the change is refused: then nothing is written.
pub(crate) async fn make(
    settings: &Settings,
    draft: impl FnOnce(&Listings) -> anyhow::Result<Change>,
    wait: Option<Duration>,
) -> anyhow::Result<(Change, Option<bool>)> {
    // Before anything is asked of Kafka's transactions: a missing topic is the likelier reason.
    read(settings).await?;
    let kafka = settings.kafka.clone();
    let sender = tokio::task::spawn_blocking(move || Sender::start(&kafka, "lists")).await??;
    let (topic, mut listings) = read(settings).await?;
    let change = draft(&listings)?;
    for key in &change.removed {
        listings.remove(key);
    }
    for entry in &change.put {
        check(entry)?;
        let put = listings.put(entry.clone());
        put.with_context(|| format!("{}: nothing was changed", entry.key))?;
    }
    rules::check_lists(settings, &listings)
        .await
        .context("nothing was changed")?;
    let outgoing = outgoing(&topic, &change);
    if !outgoing.is_empty() {
        tokio::task::spawn_blocking(move || sender.send(&outgoing))
            .await?
            .context("the change may have been made or not: `millrace lists show` tells")?;
    }
    let has_taken = match wait {
        Some(limit) => Some(taken::wait(settings, &change, limit).await?),
        None => None,
    };
    Ok((change, has_taken))
}

fn check(entry: &ListEntry) -> anyhow::Result<()> {
    let reason = entry.reason.trim();
    if reason.is_empty() || reason.len() > MAX_REASON_LEN {
        bail!("{}: a reason says why in 1 to {MAX_REASON_LEN} bytes", entry.key);
    }
    Ok(())
}

fn outgoing(topic: &ListTopic, change: &Change) -> Vec<Outgoing> {
    let record = |key: &ListKey, payload| Outgoing {
        topic: topic.name().to_owned(),
        partition: Some(0),
        key: Some(key.to_string().into_bytes()),
        payload,
        headers: OwnedHeaders::new(),
    };
    let removed = change.removed.iter().map(|key| record(key, None));
    let put = change.put.iter().map(|entry| {
        let mut value = Vec::new();
        millrace_domain::codec::list_entry::encode_framed(topic.schema_id(), entry, &mut value);
        record(&entry.key, Some(value))
    });
    removed.chain(put).collect()
}
