//! Waiting until a part of the stack serves.

use std::time::Duration;

use anyhow::Result;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::wait_until;

/// Waits until `count` brokers are in the cluster.
///
/// # Errors
/// They are not there within `limit`.
pub async fn brokers(bootstrap_servers: &str, count: usize, limit: Duration) -> Result<()> {
    let client: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap_servers)
        .set("log_level", "0")
        .create()?;
    let client = std::sync::Arc::new(client);
    wait_until(&format!("{count} brokers at {bootstrap_servers}"), limit, || {
        let client = client.clone();
        async move {
            let look = move || {
                client
                    .fetch_metadata(None, Duration::from_secs(1))
                    .map(|found| found.brokers().len())
            };
            let found = tokio::task::spawn_blocking(look).await?;
            Ok(found.is_ok_and(|found| found >= count).then_some(()))
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
        let answer = reqwest::get(url).await;
        Ok(answer
            .is_ok_and(|answer| answer.status().is_success())
            .then_some(()))
    })
    .await
}
