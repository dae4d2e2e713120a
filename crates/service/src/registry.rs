//! Look-ups in the schema registry before a service starts.

use std::time::Duration;

use anyhow::bail;
use millrace_codec::{Registry, RegistryConfig, RegistryError};
use millrace_settings::SchemaRegistry;

/// Pause between two rounds of attempts at a registry that is away.
const PAUSE: Duration = Duration::from_secs(1);

/// The registry of the settings.
#[must_use]
pub fn config(settings: &SchemaRegistry) -> RegistryConfig {
    RegistryConfig {
        url: settings.url.clone(),
        username: settings.username.clone(),
        password: settings.password.clone(),
        timeout_ms: settings.timeout_ms,
    }
}

/// The id of our schema of a topic's values. Waits for a registry that is away: to end and be started again would gain
/// nothing.
///
/// # Errors
/// The subject is not registered, or our schema is not compatible with what it has.
pub async fn schema_id(registry: &Registry, topic: &str, schema: &str) -> anyhow::Result<u32> {
    loop {
        match look_up(registry, topic, schema).await {
            Err(error) if error.downcast_ref().is_some_and(RegistryError::is_retriable) => {
                tracing::warn!(%error, "waiting for the schema registry");
                tokio::time::sleep(PAUSE).await;
            }
            outcome => return outcome,
        }
    }
}

async fn look_up(registry: &Registry, topic: &str, schema: &str) -> anyhow::Result<u32> {
    let subject = format!("{topic}-value");
    if registry.latest(&subject).await?.is_none() {
        bail!(
            "the schema registry at {} has no subject {subject}: `millrace init` must run first",
            registry.url()
        );
    }
    // The newest version need not be ours. Registering gives the id that our version has, and changes nothing where it is
    // there.
    Ok(registry.register(&subject, schema).await?)
}
