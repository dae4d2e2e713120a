//! Every service over a listener with TLS and a login.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use millrace_catalog::payments::topic;
use millrace_kafka::admin::Lookup;
use millrace_kafka::topic_name;
use millrace_settings::Kafka;
use millrace_telemetry::exposition;
use millrace_tests::pipeline::{self, LIMIT, Pipeline};
use millrace_tests::results::{alert, send_alerts};
use millrace_tests::service::Service;
use millrace_tests::sink::{self, ALERTS, INDEX, Sink, indexed_in};
use millrace_tests::{TestContext, sample, wait_until};

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

/// The right to read one topic is taken from a running sink: first that alone, then with the right
/// to see it. It is not ready and names the topic, and reads the others; once the right is given
/// back, it reads on by itself.
pub(super) async fn a_right_that_is_taken_is_told(mut context: TestContext) -> Result<()> {
    let secure = context
        .secure
        .clone()
        .context("the stack has no secure listener")?;
    sink::prepare(&mut context.settings);
    let login = Kafka {
        bootstrap_servers: secure.bootstrap_servers.clone(),
        properties: secure.properties("SCRAM-SHA-512"),
        ..context.settings.kafka.clone()
    };
    let without = std::mem::replace(&mut context.settings.kafka, login);
    let mut sink = Sink::start(&context).await?;
    // Without a login the test's own clients have every right.
    context.settings.kafka = without;
    let settings = &context.settings;
    let topic = topic_name(&settings.kafka, topic::ANOMALIES);
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let now_ms = i64::try_from(now.as_millis())?;
    send_alerts(&context, std::iter::once(alert(0, now_ms))).await?;
    indexed_in(settings, ALERTS, "*", 1).await?;

    let user = secure.principal();
    let taken = [["--allow-principal", "Describe"], ["--deny-principal", "All"]];
    for (number, [principal, operation]) in (1..).zip(taken) {
        let right = [principal, &user, "--operation", operation];
        rights(&context, "--add", &right).await?;
        sink.blocked(&[&topic, "cannot be read", "Topic authorization failed"])
            .await?;
        let text = pipeline::metrics_text(settings.elastic_sink.metrics_port).await?;
        let unreadable = exposition::samples(&text, "millrace_unreadable_seconds").filter(|it| {
            it.label("partition")
                .is_some_and(|label| label.starts_with(&topic))
        });
        ensure!(unreadable.count() == 3, "each partition of {topic}: {text}");
        sink::send(settings, std::iter::once(sample::transaction(number, now_ms))).await?;
        indexed_in(settings, INDEX, "*", number.into()).await?;
        let said = format!("{operation}: {}", sink.output());
        ensure!(said.contains(&topic) && said.contains("cannot be read"), "{said}");

        rights(&context, "--remove", &["--force"]).await?;
        sink.ready().await?;
        send_alerts(&context, std::iter::once(alert(number, now_ms))).await?;
        indexed_in(settings, ALERTS, "*", u64::from(number) + 1).await?;
    }
    sink.stop().await
}

/// Adds a right to the topic of alerts, or removes all of them.
async fn rights(context: &TestContext, action: &str, more: &[&str]) -> Result<()> {
    let tools = context.kafka_tools.clone().context("Kafka's tools")?;
    let topic = topic_name(&context.settings.kafka, topic::ANOMALIES);
    let servers = ["--bootstrap-server", &context.settings.kafka.bootstrap_servers];
    let what = [action, "--topic", &topic];
    let arguments = servers.iter().chain(&what).chain(more);
    let arguments: Vec<String> = arguments.map(|&one| one.to_owned()).collect();
    tokio::task::spawn_blocking(move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        tools.run("org.apache.kafka.tools.AclCommand", &arguments)
    })
    .await??;
    Ok(())
}
