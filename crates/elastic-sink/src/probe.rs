//! Asks Elasticsearch now and again whether it is there.

use std::time::Duration;

use millrace_sink::Reachability;
use reqwest::Method;

use crate::client::{Elasticsearch, explain};

/// Time between two calls that ask whether the server is there.
pub(crate) const PROBE_INTERVAL: Duration = Duration::from_secs(2);

/// Asks the server for ever, and tells the readiness.
pub async fn watch(reachability: Reachability, client: Elasticsearch) {
    loop {
        let reason = match client.request(Method::HEAD, &[]).send().await {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("Elasticsearch answers with status {}", answer.status())),
            Err(error) => Some(format!("Elasticsearch does not answer: {}", explain(&error))),
        };
        reachability.probe(reason);
        tokio::time::sleep(PROBE_INTERVAL).await;
    }
}
