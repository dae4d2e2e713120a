//! How far consumer groups have read.

use anyhow::Result;
use millrace_kafka::admin::Lookup;
use millrace_kafka::topic_name;
use millrace_settings::{Kafka, Settings};

use crate::pipeline::LIMIT;
use crate::wait_until;

/// The end of each partition of `topic` (before the prefix).
///
/// # Errors
/// The brokers do not tell within [`LIMIT`].
pub async fn ends(settings: &Settings, topic: &str) -> Result<Vec<i64>> {
    let name = topic_name(&settings.kafka, topic);
    ask(&settings.kafka, &format!("the ends of {topic}"), move |lookup| {
        lookup.end_offsets(&name).ok()
    })
    .await
}

/// Waits until `group` has committed all that is in `topic` by now (both before the prefix),
/// whatever comes meanwhile.
///
/// # Errors
/// It has not within [`LIMIT`].
pub async fn wait_until_read(settings: &Settings, group: &str, topic: &str) -> Result<()> {
    wait_until_read_of(settings, group, topic, |_| true).await
}

/// As [`wait_until_read`], of the partitions that are `wanted`.
///
/// # Errors
/// As of [`wait_until_read`].
pub async fn wait_until_read_of(
    settings: &Settings,
    group: &str,
    topic: &str,
    wanted: fn(i32) -> bool,
) -> Result<()> {
    committed(settings, group, topic, wanted, |end, committed| {
        committed >= Some(end)
    })
    .await
}

/// Waits until what `group` has committed is where `topic` ends by now (both before the prefix),
/// and not beyond it.
///
/// # Errors
/// It is not within [`LIMIT`].
pub async fn wait_until_at_the_end(settings: &Settings, group: &str, topic: &str) -> Result<()> {
    let is_there = |end, committed: Option<i64>| committed.unwrap_or(0) == end;
    committed(settings, group, topic, |_| true, is_there).await
}

async fn committed(
    settings: &Settings,
    group: &str,
    topic: &str,
    wanted: fn(i32) -> bool,
    is_it: fn(i64, Option<i64>) -> bool,
) -> Result<()> {
    let ends = ends(settings, topic).await?;
    let name = topic_name(&settings.kafka, topic);
    let full_group = topic_name(&settings.kafka, group);
    ask(
        &settings.kafka,
        &format!("{group} to have read {topic}"),
        move |lookup| {
            // An offset that a transaction is about to change is an error.
            let committed = lookup.committed_offsets(&full_group, &name).ok()?;
            let mut all = (0..).zip(ends.iter().zip(&committed));
            all.all(|(number, (end, committed))| !wanted(number) || is_it(*end, *committed))
                .then_some(())
        },
    )
    .await
}

/// Looks until `look` gives something: brokers that are busy do not always answer in time.
async fn ask<T: Send + 'static>(
    kafka: &Kafka,
    what: &str,
    look: impl Fn(&Lookup) -> Option<T> + Clone + Send + 'static,
) -> Result<T> {
    wait_until(what, LIMIT, || async {
        let (kafka, look) = (kafka.clone(), look.clone());
        let looked = tokio::task::spawn_blocking(move || anyhow::Ok(look(&Lookup::connect(&kafka)?)));
        looked.await?
    })
    .await
}
