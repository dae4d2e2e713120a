//! Reading the values of which something is written.

use millrace_contract::reader::Contract;
use millrace_contract::{DecodeError, ReadError, Reader};
use millrace_registry::{Registry, RegistryError, SchemaFetcher};
use millrace_settings::Settings;

use crate::registry::{self, TopicSchemas};

/// A value, or what is wrong with it.
///
/// # Errors
/// Nothing is known of the value, as the registry cannot be asked for its schema.
pub fn value<T: Contract>(reader: &Reader<T>, bytes: &[u8]) -> Result<Result<T, DecodeError>, RegistryError> {
    match reader.read(bytes) {
        Ok(value) => Ok(Ok(value)),
        Err(ReadError::Invalid(error)) => Ok(Err(error)),
        Err(ReadError::Registry(error)) => Err(error),
    }
}

/// What `open` makes of the newest schemas of each topic, by its full name. Waits for a registry
/// that is away.
///
/// # Errors
/// The registry's settings are wrong, or it refuses.
pub async fn readers<L, R>(
    settings: &Settings,
    lines: impl IntoIterator<Item = (String, L)>,
    open: impl Fn(L, &TopicSchemas) -> R,
) -> anyhow::Result<Vec<R>> {
    let config = registry::config(&settings.schema_registry);
    let (client, fetcher) = (Registry::new(config.clone())?, SchemaFetcher::new(config));
    let mut readers = Vec::new();
    for (topic, line) in lines {
        let schemas = TopicSchemas::ask(&client, &fetcher, &topic).await?;
        readers.push(open(line, &schemas));
    }
    Ok(readers)
}
