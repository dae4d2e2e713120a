//! A pipeline apart from any other: names, folders, ports, servers, and what `init` makes.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use millrace_catalog::Service;
use millrace_settings::Settings;
use millrace_stack::{LocalStack, Ports};

use super::fleet::Fleet;
use super::program::Program;
use millrace::init;

/// Gives a pipeline names of its own, folders below `folder`, and free ports, so that it runs
/// beside any other.
///
/// # Errors
/// No ports are free.
pub fn set_apart(settings: &mut Settings, prefix: &str, folder: &Path) -> anyhow::Result<()> {
    prefix.clone_into(&mut settings.kafka.topic_prefix);
    prefix.clone_into(&mut settings.elasticsearch.index_prefix);
    settings.snapshots.url = folder.join("snapshots");
    settings.producer.ledger_dir = folder.join("ledger");
    settings.lake_sink.url = folder.join("lake");
    let mut ports = Ports::take(Service::ALL.len() + 1)?.into_iter();
    settings.gateway.port = ports.next().context("a port was taken")?;
    for (service, port) in Service::ALL.into_iter().zip(ports) {
        settings.set_metrics_port(service, port);
    }
    Ok(())
}

/// Has a pipeline use the servers of a stack.
pub fn connect(settings: &mut Settings, stack: &LocalStack) {
    settings.kafka.bootstrap_servers = stack.bootstrap_servers();
    settings.schema_registry.url = stack.registry_url();
    settings.elasticsearch.url = stack.elasticsearch_url();
}

/// Creates topics, schemas and templates; none of the services runs yet.
///
/// # Errors
/// `init` fails, or there are no free ports.
pub async fn prepare(settings: &Settings, program: Program, folder: &Path) -> anyhow::Result<Fleet> {
    let options = init::Options {
        kibana_timeout: Duration::ZERO,
        ..init::Options::default()
    };
    init::run(settings, &options).await.context("`init` failed")?;
    Fleet::new(settings, program, folder)
}
