//! Cassandra beside the local stack, where the settings enable its sink.

use millrace_catalog::Service;
use millrace_settings::Settings;
use millrace_stack::{Cassandra, CassandraOptions, Progress, StackError};

use super::{Options, ports};
use crate::state::State;

/// Starts a node at the configured address; none where nobody writes to it.
pub(super) async fn start(
    settings: &Settings,
    options: &Options,
    state: &State,
    tell: impl Fn(Progress) + Send + 'static,
) -> anyhow::Result<Option<Cassandra>> {
    if !settings
        .services()
        .any(|service| service == Service::CassandraSink)
    {
        return Ok(None);
    }
    let port = ports::of_cassandra(&settings.cassandra_sink.contact_points)?;
    let mut wanted = CassandraOptions::new(state.root(), port)?;
    if let Some(dir) = &options.cache_dir {
        wanted.cache_dir.clone_from(dir);
    }
    Ok(Some(Cassandra::start(wanted, tell).await?))
}

/// The error of its end, if it has ended by itself.
pub(super) fn exited(cassandra: &mut Option<Cassandra>) -> Option<StackError> {
    cassandra.as_mut()?.exited()
}

/// Stops it, where it was started.
pub(super) async fn stop(cassandra: Option<Cassandra>) -> Result<(), StackError> {
    match cassandra {
        Some(cassandra) => cassandra.stop().await,
        None => Ok(()),
    }
}
