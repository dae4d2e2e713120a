//! What of the compose file can be started: pulling and building what is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use millrace_catalog::{self as catalog, When};
use millrace_telemetry::Shutdown;

use super::Options;
use super::compose::{Compose, FOR_PROJECT, PROJECT, Service};
use super::images::{self, Missing};
use super::reporter::Reporter;

/// The one-shot service, which ends when it is done: Compose starts it for those that wait for it.
pub(super) const INIT: &str = "init";
/// The servers without one of which there is no pipeline.
const SERVERS: [&str; 8] = [
    "controller-1",
    "controller-2",
    "controller-3",
    "broker-1",
    "broker-2",
    "broker-3",
    "schema-registry",
    "elasticsearch",
];

/// Without one of these there is no pipeline.
pub(super) fn core() -> impl Iterator<Item = &'static str> {
    let services = catalog::Service::ALL
        .into_iter()
        .filter(|service| service.spec().when == When::Always);
    SERVERS
        .into_iter()
        .chain([INIT])
        .chain(services.map(catalog::Service::name))
}

/// Building all Rust services on a small machine.
const BUILD_TIMEOUT: Duration = Duration::from_secs(3600);

/// What is to be started.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) compose: Compose,
    pub(super) services: Vec<String>,
}

/// Whether Docker is used.
#[derive(Debug)]
pub(super) enum Choice {
    /// So.
    Use(Box<Plan>),
    /// It cannot, and why.
    Cannot(String),
    /// A stop was asked for meanwhile.
    Stopped,
}

/// Finds out whether the core can be started with Docker, pulling and building what is missing.
pub(super) async fn make(
    options: &Options,
    reporter: &Reporter,
    shutdown: &Shutdown,
) -> anyhow::Result<Choice> {
    let project = if options.duration.is_some() {
        FOR_PROJECT
    } else {
        PROJECT
    };
    let compose = match Compose::find(project).await {
        Ok(compose) => compose,
        Err(reason) => return Ok(Choice::Cannot(format!("{reason:#}"))),
    };
    let services = compose.services().await?;
    tokio::select! {
        choice = choose(compose, &services, options, reporter) => choice,
        () = shutdown.wait() => Ok(Choice::Stopped),
    }
}

async fn choose(
    compose: Compose,
    services: &BTreeMap<String, Service>,
    options: &Options,
    reporter: &Reporter,
) -> anyhow::Result<Choice> {
    let is_core = |name: &str| core().any(|core| core == name);
    let pulled = |wanted_core: bool| -> BTreeSet<String> {
        let wanted = services.iter().filter(|(name, service)| {
            service.is_default() && !service.is_built() && is_core(name) == wanted_core
        });
        wanted.filter_map(|(_, service)| service.image.clone()).collect()
    };
    let on_pull = |image: &str| reporter.line(&format!("pulling {image}"));
    reporter.waiting("looking for the images");
    let missing = images::pull_missing(&pulled(true), on_pull).await;
    if let Some((image, reason)) = missing.first_key_value() {
        return Ok(Choice::Cannot(format!(
            "the image {image} cannot be had ({reason})"
        )));
    }
    if let Err(error) = build(&compose, services, options.no_build, reporter).await {
        return Ok(Choice::Cannot(format!(
            "Millrace's own images cannot be built: {error:#}"
        )));
    }
    let missing: Missing = images::pull_missing(&pulled(false), on_pull).await;
    let (mut chosen, left_out) = images::choose(services, &missing);
    for (name, reason) in &left_out {
        reporter.line(&format!("{name} is left out: {reason}"));
    }
    if let Some(name) = core().find(|name| !chosen.iter().any(|chosen| chosen == name)) {
        return Ok(Choice::Cannot(format!(
            "the compose file has no service {name} that can be started"
        )));
    }
    chosen.retain(|name| name != INIT);
    Ok(Choice::Use(Box::new(Plan {
        compose,
        services: chosen,
    })))
}

/// Builds each image of ours once. An image of older sources would refuse, or misread, what these
/// sources write; where nothing has changed a build takes seconds.
async fn build(
    compose: &Compose,
    services: &BTreeMap<String, Service>,
    only_missing: bool,
    reporter: &Reporter,
) -> anyhow::Result<()> {
    let mut by_image: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, service) in services {
        if let Some(image) = &service.image
            && service.is_built()
            && service.is_default()
            && !(only_missing && images::is_here(image).await)
        {
            by_image.insert(image, name);
        }
    }
    if by_image.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = by_image.keys().copied().collect();
    reporter.line(&format!(
        "building {}: minutes at first, seconds if nothing changed",
        names.join(", ")
    ));
    reporter.waiting(&format!("building {}", names.join(", ")));
    let wanted: Vec<&str> = by_image.into_values().collect();
    compose.build(&wanted, BUILD_TIMEOUT).await
}
