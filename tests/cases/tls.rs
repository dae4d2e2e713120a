//! Every service over a listener with TLS and a login.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use millrace_kafka::admin::Lookup;
use millrace_tests::TestContext;
use millrace_tests::pipeline::{self, LIMIT, Pipeline};
use millrace_tests::service::Service;

/// The whole pipeline logs in by SCRAM, and what comes out is verified; a client gets in by each of
/// the other ways.
pub(super) async fn services_log_in(mut context: TestContext) -> Result<()> {
    let secure = context
        .secure
        .clone()
        .context("the stack has no secure listener")?;
    let kafka = &mut context.settings.kafka;
    kafka.bootstrap_servers.clone_from(&secure.bootstrap_servers);
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        kafka.properties = secure.properties(mechanism);
        let asked = kafka.clone();
        let brokers = tokio::task::spawn_blocking(move || Lookup::connect(&asked)?.brokers()).await?;
        let brokers = brokers.with_context(|| format!("by {mechanism}"))?;
        ensure!(brokers.len() == 3, "{mechanism} finds the brokers {brokers:?}");
    }
    context.settings.aggregator.window_ms = 1_000;
    context.settings.aggregator.worker.idle_timeout_ms = 3_000;
    let pipeline = Pipeline::start(&context).await?;
    let arguments = ["service", "producer", "--count", "2000", "--rate", "1000"];
    Service::start(&context, "producer", &arguments)?
        .succeed(LIMIT)
        .await?;
    pipeline::verify(&context).await?;
    pipeline.stop().await
}

/// `init` says what is wrong with a connection: an authority that is not trusted, a wrong password,
/// and at once a property that librdkafka does not know or a file that is not there.
pub(super) async fn what_is_wrong_is_told(mut context: TestContext) -> Result<()> {
    let secure = context
        .secure
        .clone()
        .context("the stack has no secure listener")?;
    let kafka = &mut context.settings.kafka;
    kafka.bootstrap_servers.clone_from(&secure.bootstrap_servers);
    let waited = Duration::from_secs(6);
    for (name, property, value, words, is_final) in [
        (
            "authority",
            "ssl.ca.location",
            "",
            "certificate verify failed",
            false,
        ),
        (
            "password",
            "sasl.password",
            "wrong",
            "Authentication failed",
            false,
        ),
        (
            "name",
            "ssl.ca.lokation",
            "x",
            "kafka.properties.ssl.ca.lokation",
            true,
        ),
        (
            "file",
            "ssl.ca.location",
            "/nowhere/ca.pem",
            "ssl.ca.location",
            true,
        ),
        (
            "protocol",
            "security.protocol",
            "TLS",
            "kafka.properties.security.protocol",
            true,
        ),
    ] {
        let mut properties = secure.properties("SCRAM-SHA-512");
        if value.is_empty() {
            properties.remove(property);
        } else {
            properties.insert(property.to_owned(), value.to_owned());
        }
        context.settings.kafka.properties = properties;
        let started = Instant::now();
        let mut init = Service::start(&context, name, &["init", "--timeout", "6s"])?;
        if init.succeed(LIMIT).await.is_ok() {
            bail!("{name}: init succeeded");
        }
        let output = init.output();
        ensure!(output.contains(words), "{name}: {words:?} is not in\n{output}");
        if is_final {
            ensure!(
                started.elapsed() < waited && !output.contains("is it running"),
                "{name}: what no wait can mend was waited for\n{output}"
            );
        }
    }
    Ok(())
}
