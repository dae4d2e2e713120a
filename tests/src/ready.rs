//! Waiting until a part of the stack serves.

use std::time::Duration;

use anyhow::Result;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::metadata::MetadataBroker;

use crate::wait_until;

/// How long one request may take.
const ATTEMPT: Duration = Duration::from_secs(20);

/// Waits until `count` brokers are in the cluster.
///
/// # Errors
/// They are not there within `limit`.
pub async fn brokers(bootstrap_servers: &str, count: usize, limit: Duration) -> Result<()> {
    let what = format!("{count} brokers at {bootstrap_servers}");
    known(bootstrap_servers, &what, limit, move |ids| ids.len() >= count).await
}

/// Waits until the broker `id` at `server` knows itself to be in the cluster.
///
/// # Errors
/// It does not within `limit`.
pub async fn broker(server: &str, id: i32, limit: Duration) -> Result<()> {
    let what = format!("broker {id} at {server}");
    known(server, &what, limit, move |ids| ids.contains(&id)).await
}

/// Waits until the ids of the brokers that are up are enough.
async fn known(
    servers: &str,
    what: &str,
    limit: Duration,
    enough: impl Fn(&[i32]) -> bool + Copy,
) -> Result<()> {
    let client: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("log_level", "0")
        .create()?;
    let client = std::sync::Arc::new(client);
    wait_until(what, limit, || {
        let client = client.clone();
        async move {
            let look = move || client.fetch_metadata(None, Duration::from_secs(5));
            let found = tokio::task::spawn_blocking(look).await?;
            let ids: Vec<i32> = found.map_or_else(
                |_| Vec::new(),
                |found| found.brokers().iter().map(MetadataBroker::id).collect(),
            );
            Ok(enough(&ids).then_some(()))
        }
    })
    .await
}

/// Waits until a GET of `url` succeeds.
///
/// # Errors
/// It does not within `limit`.
pub async fn answers(url: &str, limit: Duration) -> Result<()> {
    wait_until(&format!("an answer of {url}"), limit, || async move {
        // A port that a container publishes takes connections before the server in it does, and
        // drops them: one attempt was seen to wait for ever.
        let answer = tokio::time::timeout(ATTEMPT, reqwest::get(url)).await;
        let is_success = answer.is_ok_and(|answer| answer.is_ok_and(|it| it.status().is_success()));
        Ok(is_success.then_some(()))
    })
    .await
}
