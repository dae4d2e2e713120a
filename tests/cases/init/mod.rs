//! `millrace init` against the real stack: it owns what it made, and nothing else.

mod subjects;
mod templates;
mod topics;
mod trust;

use anyhow::{Context as _, Result, bail, ensure};
use millrace_catalog::{Installation, TopicSpec, payments::topic, topic_spec, topics};
use millrace_kafka::{admin, topic_name};
use millrace_registry::Registry;
use millrace_tests::pipeline::registry_config;
use millrace_tests::service::Service;
use millrace_tests::{TestContext, elastic, pipeline, topics as logs};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use reqwest::Method;

pub(super) use subjects::leaves_subjects_of_others_alone;
pub(super) use templates::{
    gives_indices_new_fields, leaves_edits_of_templates_alone, leaves_templates_of_others_alone,
};
pub(super) use topics::{
    applies_a_retention_of_ones_own, leaves_topics_of_others_alone, refuses_a_compacted_topic,
};
pub(super) use trust::trusts_whom_it_is_told_to;

/// The second run changes nothing.
pub(super) async fn is_idempotent(context: TestContext) -> Result<()> {
    let first = pipeline::init(&context).await?;
    ensure!(
        first.contains("created") && !first.contains("unchanged"),
        "the first run creates:\n{first}"
    );
    let both = pipeline::init(&context).await?;
    let second = both.strip_prefix(&first).unwrap_or(&both);
    ensure!(
        second.contains("unchanged"),
        "the second run finds things as they should be:\n{second}"
    );
    for line in second.lines() {
        let is_calm = line.ends_with("unchanged") || line.contains("skipped");
        ensure!(is_calm, "the second run has news: {line}");
    }
    Ok(())
}

/// A topic with other partitions is refused with both numbers, until it is deleted.
pub(super) async fn refuses_other_partitions(context: TestContext) -> Result<()> {
    let spec = topics(Installation::default())[0];
    let ensure_with = async |partitions: i32| {
        let kafka = context.settings.kafka.clone();
        let wanted = TopicSpec { partitions, ..spec };
        let done = tokio::task::spawn_blocking(move || admin::ensure_topics(&kafka, &[wanted])).await?;
        logs::known_to_all_brokers(&context.settings).await?;
        anyhow::Ok(done)
    };
    ensure_with(2).await??;
    let Err(refused) = ensure_with(spec.partitions).await? else {
        bail!("2 partitions passed for {}", spec.partitions)
    };
    let message = refused.to_string();
    let names_both = message.contains('2') && message.contains('5') && message.contains(spec.name);
    ensure!(
        names_both,
        "the error names the topic and both numbers: {message}"
    );
    let kafka = context.settings.kafka.clone();
    tokio::task::spawn_blocking(move || admin::delete_topics(&kafka, &topics(Installation::default())))
        .await??;
    logs::known_to_all_brokers(&context.settings).await?;
    ensure_with(2).await??;
    Ok(())
}

async fn ensure_nothing_was_made(context: &TestContext) -> Result<()> {
    let late = setting(context, topic::LATE, "retention.ms").await;
    ensure!(late.is_err(), "a topic was made");
    let registry = Registry::new(registry_config(context))?;
    let labels = format!(
        "{}-value",
        topic_name(&context.settings.kafka, topic::FRAUD_LABELS)
    );
    ensure!(
        registry.latest(&labels).await?.is_none(),
        "a schema was registered"
    );
    let (url, prefix) = (
        &context.settings.elasticsearch.url,
        &context.settings.elasticsearch.index_prefix,
    );
    let path = format!("_index_template/{prefix}millrace-transactions");
    let (status, answer) = elastic::call(url, Method::GET, &path, None).await?;
    ensure!(status == 404, "a template was put: {answer}");
    Ok(())
}

async fn ensure_settings(context: &TestContext, wanted: &[(&str, &str, &str)]) -> Result<()> {
    for (name, key, value) in wanted {
        let found = setting(context, name, key).await?;
        ensure!(found == *value, "{key} of {name} is {found}, not {value}");
    }
    Ok(())
}

fn named(name: &str) -> Result<&'static TopicSpec> {
    let found = topic_spec(name);
    found.with_context(|| format!("no topic {name}"))
}

fn client(context: &TestContext) -> Result<AdminClient<DefaultClientContext>> {
    Ok(ClientConfig::new()
        .set("bootstrap.servers", &context.settings.kafka.bootstrap_servers)
        .create()?)
}

/// Makes a topic as another tool would.
async fn prepare(context: &TestContext, name: &str, config: &[(&str, &str)]) -> Result<()> {
    let full = topic_name(&context.settings.kafka, name);
    let new = NewTopic::new(&full, named(name)?.partitions, TopicReplication::Fixed(3));
    let new = config.iter().fold(new, |new, (key, value)| new.set(key, value));
    for made in client(context)?
        .create_topics([&new], &AdminOptions::new())
        .await?
    {
        made.map_err(|(name, code)| anyhow::anyhow!("{name}: {code}"))?;
    }
    logs::known_to_all_brokers(&context.settings).await
}

async fn setting(context: &TestContext, topic: &str, key: &str) -> Result<String> {
    let name = topic_name(&context.settings.kafka, topic);
    let resource = ResourceSpecifier::Topic(&name);
    let found = client(context)?
        .describe_configs([&resource], &AdminOptions::new())
        .await?;
    let resource = found.into_iter().next().context("no answer")?;
    let resource = resource.map_err(|code| anyhow::anyhow!("{name}: {code}"))?;
    let value = resource.get(key).and_then(|entry| entry.value.clone());
    value.with_context(|| format!("{topic} has no {key}"))
}

/// Runs `millrace init` with these arguments, and waits until every broker knows what it has done;
/// what it printed.
async fn command(context: &TestContext, name: &str, arguments: &[&str], fails: bool) -> Result<String> {
    let arguments = [&["init", "--kibana-timeout", "0s"], arguments].concat();
    let mut service = Service::start(context, name, &arguments)?;
    match fails {
        true => service.fail(pipeline::LIMIT).await?,
        false => service.succeed(pipeline::LIMIT).await?,
    }
    logs::known_to_all_brokers(&context.settings).await?;
    Ok(service.output())
}
