//! Every service over a listener with TLS and a login.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use millrace_kafka::admin::Lookup;
use millrace_settings::Kafka;
use millrace_tests::pipeline::{self, LIMIT, Pipeline};
use millrace_tests::service::Service;
use millrace_tests::{TestContext, wait_until};

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
        let brokers = brokers(kafka).await;
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

/// The brokers that a client of these settings finds; one look is short, for a slow machine.
pub(super) async fn brokers(kafka: &Kafka) -> Result<Vec<i32>> {
    wait_until("the brokers to answer", LIMIT, || {
        let asked = kafka.clone();
        async move {
            let look = tokio::task::spawn_blocking(move || Lookup::connect(&asked)?.brokers());
            match look.await? {
                Ok(brokers) => Ok(Some(brokers)),
                Err(error) if error.is_final() => Err(error.into()),
                Err(error) => {
                    eprintln!("the brokers do not answer yet: {error}");
                    Ok(None)
                }
            }
        }
    })
    .await
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
    // A slow machine's client needs a while to hear of what is wrong; what cannot be mended is told
    // before any wait is over.
    let (short, long) = (Duration::from_secs(30), Duration::from_secs(120));
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
        let waited = if is_final { long } else { short };
        let timeout = format!("{}s", waited.as_secs());
        let mut init = Service::start(&context, name, &["init", "--timeout", &timeout])?;
        init.fail(LIMIT).await?;
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
