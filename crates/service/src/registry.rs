//! Look-ups in the schema registry before a service starts.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::bail;
use millrace_catalog::value_subject;
use millrace_contract::reader::Contract;
use millrace_contract::{AnyContract, AnyReader, Reader};
use millrace_registry::{Found, Registry, RegistryConfig, RegistryError, SchemaFetcher, WriterSchema};
use millrace_settings::SchemaRegistry;

/// Pause between two rounds of attempts at a registry that is away.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a registry that was away may take to read its store.
const BACK: Duration = Duration::from_secs(60);

/// The registry of the settings.
#[must_use]
pub fn config(settings: &SchemaRegistry) -> RegistryConfig {
    RegistryConfig {
        url: settings.url.clone(),
        username: settings.username.clone(),
        password: settings.password.clone(),
        timeout_ms: settings.timeout_ms,
        tls: tls(&settings.tls),
    }
}

/// Whom the settings say to trust.
#[must_use]
pub fn tls(settings: &millrace_settings::Tls) -> millrace_http::Tls {
    let path = |file: &Option<String>| file.as_ref().map(PathBuf::from);
    millrace_http::Tls {
        ca_file: path(&settings.ca_file),
        certificate_file: path(&settings.certificate_file),
        key_file: path(&settings.key_file),
    }
}

/// The id of our schema of a topic's values. Waits for a registry that is away: to end and be
/// started again would gain nothing. One that comes back may not know its subjects for a moment,
/// until it has read its own store.
///
/// # Errors
/// The subject is not registered, or our schema is not compatible with what it has.
pub async fn schema_id(registry: &Registry, topic: &str, schema: &str) -> anyhow::Result<u32> {
    let subject = value_subject(topic);
    let mut was_away: Option<Instant> = None;
    loop {
        match look_up(registry, &subject, schema).await {
            Ok(Some(id)) => return Ok(id),
            Ok(None) if was_away.is_some_and(|since| since.elapsed() < BACK) => {
                tracing::warn!(
                    subject,
                    "the schema registry is back, and has no such subject yet"
                );
            }
            Ok(None) => bail!(
                "the schema registry at {} has no subject {subject}: `millrace init` must run first",
                registry.url()
            ),
            Err(error) if error.is_retriable() => {
                tracing::warn!(%error, "waiting for the schema registry");
                was_away = Some(Instant::now());
            }
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// A reader of a topic's values: see [`TopicSchemas`].
///
/// # Errors
/// The registry refuses.
pub async fn reader<T: Contract>(
    registry: &Registry,
    fetcher: &SchemaFetcher,
    topic: &str,
) -> anyhow::Result<Reader<T>> {
    Ok(TopicSchemas::ask(registry, fetcher, topic).await?.reader())
}

/// The schemas of a topic's values: the newest one, and who is asked for others.
#[derive(Debug, Clone)]
pub struct TopicSchemas {
    fetcher: SchemaFetcher,
    newest: Option<(u32, WriterSchema)>,
}

impl TopicSchemas {
    /// Those that `fetcher` gives, and `newest`, where there is one, with its id.
    #[must_use]
    pub const fn new(fetcher: SchemaFetcher, newest: Option<(u32, WriterSchema)>) -> Self {
        Self { fetcher, newest }
    }

    /// Those of a topic by its full name. Waits for a registry that is away, as [`schema_id`] does.
    ///
    /// # Errors
    /// The registry refuses.
    pub async fn ask(registry: &Registry, fetcher: &SchemaFetcher, topic: &str) -> anyhow::Result<Self> {
        let newest = newest_schema(registry, topic).await?;
        Ok(Self::new(fetcher.clone(), newest))
    }

    /// As [`Self::reader`], of a contract whose records' type is not known here.
    #[must_use]
    pub fn any(&self, contract: &AnyContract) -> Box<dyn AnyReader> {
        contract.reader(Box::new(self.fetcher.clone()), self.newest.as_ref())
    }

    /// A reader that has the newest schema already: then a registry that goes away holds nothing
    /// up. A topic without a schema is read all the same: its values may bring one.
    #[must_use]
    pub fn reader<T: Contract>(&self) -> Reader<T> {
        let reader = Reader::new(self.fetcher.clone());
        match &self.newest {
            Some((id, schema)) => reader.with_schema(*id, schema),
            None => reader,
        }
    }
}

/// The newest schema of a topic's values, with its id; `None` where there is none, or not whole.
/// Waits for a registry that is away.
///
/// # Errors
/// The registry refuses.
async fn newest_schema(registry: &Registry, topic: &str) -> anyhow::Result<Option<(u32, WriterSchema)>> {
    loop {
        match registry.newest_writer_schema(&value_subject(topic)).await {
            Ok(Some((id, Found::Whole(schema)))) => return Ok(Some((id, schema))),
            Ok(_) => return Ok(None),
            Err(error) if error.is_retriable() => {
                tracing::warn!(%error, "waiting for the schema registry");
            }
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn look_up(registry: &Registry, subject: &str, schema: &str) -> Result<Option<u32>, RegistryError> {
    if registry.latest(subject).await?.is_none() {
        return Ok(None);
    }
    // The newest version need not be ours. Registering gives the id that our version has, and
    // changes nothing where it is there.
    registry.register(subject, schema).await.map(Some)
}
