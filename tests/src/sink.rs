//! The Elasticsearch sink alone: transactions written to its topic by hand, and a look at what it
//! makes of them.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use millrace_catalog::{dead_letter, payments::topic};
use millrace_domain::Transaction;
use millrace_settings::Settings;
use millrace_telemetry::exposition;
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::Value;

use crate::pipeline::{self, LIMIT, metrics_text};
use crate::service::Service;
use crate::{TestContext, elastic, topics, wait_until};

/// The index of the transactions, before prefix and month.
pub const INDEX: &str = "millrace-transactions";
/// That of the aggregates.
pub const MINUTES: &str = "millrace-aggregates";
/// That of the anomalies.
pub const ALERTS: &str = "millrace-anomalies";

/// A sink that is running.
pub struct Sink {
    service: Service,
    port: u16,
}

/// Settings for a sink that indexes every transaction and does not wait long before it tries again.
pub fn prepare(settings: &mut Settings) {
    settings.elastic_sink.transaction_share = 1.0;
    settings.elastic_sink.retry_max_ms = 1_000;
    settings.elastic_sink.bulk_interval_ms = 50;
}

impl Sink {
    /// Runs `init`, starts the sink, and waits until it is ready.
    ///
    /// # Errors
    /// One of them fails; with the end of its log.
    pub async fn start(context: &TestContext) -> Result<Self> {
        pipeline::init(context).await?;
        let mut sink = Self::again(context)?;
        sink.service.ready(sink.port).await?;
        Ok(sink)
    }

    /// Starts the sink, and does not wait.
    ///
    /// # Errors
    /// The process cannot be started.
    pub fn again(context: &TestContext) -> Result<Self> {
        Ok(Self {
            service: Service::start(context, "elastic-sink", &["service", "elastic-sink"])?,
            port: context.settings.elastic_sink.metrics_port,
        })
    }

    /// Waits until it is ready.
    ///
    /// # Errors
    /// It ends, or is not ready within a minute.
    pub async fn ready(&mut self) -> Result<()> {
        self.service.ready(self.port).await
    }

    /// Waits until it is not ready for a reason that has all of `words` in it.
    ///
    /// # Errors
    /// It does not say so within the limit.
    pub async fn blocked(&self, words: &[&str]) -> Result<()> {
        let url = format!("http://127.0.0.1:{}/health/ready", self.port);
        wait_until(&format!("a readiness that says {words:?}"), LIMIT, || async {
            // Before its start and at its end it does not answer.
            let Ok(answer) = reqwest::get(&url).await else {
                return Ok(None);
            };
            let (status, said) = (answer.status(), answer.text().await?);
            let is_blocked = !status.is_success() && words.iter().all(|word| said.contains(word));
            Ok(is_blocked.then_some(()))
        })
        .await
        .with_context(|| self.service.output())
    }

    /// The sum of a metric's series that have a label of this value.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn metric(&self, name: &str, value: &str) -> Result<f64> {
        let text = metrics_text(self.port).await?;
        let labels = ["index", "outcome", "reason"];
        let wanted = exposition::samples(&text, name).filter(|sample| {
            value.is_empty() || labels.iter().any(|label| sample.label(label) == Some(value))
        });
        Ok(wanted.map(|sample| sample.value).sum())
    }

    /// All it has written to its log.
    #[must_use]
    pub fn output(&self) -> String {
        self.service.output()
    }

    /// Stops it as an operator would.
    ///
    /// # Errors
    /// It does not end well within a minute.
    pub async fn stop(self) -> Result<()> {
        self.service.stop().await
    }
}

/// Writes transactions to their topic, as JSON, and waits until they are there.
///
/// # Errors
/// Kafka does not take them.
pub async fn send(settings: &Settings, transactions: impl Iterator<Item = Transaction>) -> Result<()> {
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", &settings.kafka.bootstrap_servers)
        .set("partitioner", "murmur2_random")
        .create()?;
    let name = format!("{}{}", settings.kafka.topic_prefix, topic::TRANSACTIONS);
    let sent = transactions.map(|transaction| {
        let mut value = Vec::new();
        millrace_domain::codec::json::encode(&transaction, &mut value);
        let (producer, name) = (producer.clone(), name.clone());
        async move {
            let key = transaction.user_id.text();
            let key = key.as_str();
            let record = FutureRecord::to(&name).key(key).payload(&value);
            producer
                .send(record, Duration::from_secs(30))
                .await
                .map_err(|(error, _)| error)
        }
    });
    futures::future::try_join_all(sent).await?;
    Ok(())
}

/// Waits until `count` transactions are in the month's index, or in all where `month` is `*`; more
/// are an error.
///
/// # Errors
/// They are not there within the limit.
pub async fn indexed(settings: &Settings, month: &str, count: u64) -> Result<()> {
    indexed_in(settings, INDEX, month, count).await
}

/// As [`indexed`], of the documents in `index`.
///
/// # Errors
/// As of [`indexed`].
pub async fn indexed_in(settings: &Settings, index: &str, month: &str, count: u64) -> Result<()> {
    let query = serde_json::json!({"size": 0, "track_total_hits": true});
    let what = format!("{count} documents in {index}-{month}");
    wait_until(&what, LIMIT, || async {
        let path = format!("{index}-{month}/_search?allow_no_indices=true&ignore_unavailable=true");
        let _ = call(
            settings,
            reqwest::Method::POST,
            &format!("{index}-*/_refresh"),
            None,
        )
        .await?;
        let (_, found) = call(settings, reqwest::Method::POST, &path, Some(&query)).await?;
        let found = found["hits"]["total"]["value"].as_u64().unwrap_or(0);
        ensure!(
            found <= count,
            "{found} documents in {index}-{month}, more than {count}"
        );
        Ok((found == count).then_some(()))
    })
    .await
}

/// Calls Elasticsearch; `path` follows the prefix of the test's indices.
///
/// # Errors
/// It does not answer.
pub async fn call(
    settings: &Settings,
    method: reqwest::Method,
    path: &str,
    body: Option<&Value>,
) -> Result<(u16, Value)> {
    let path = format!("{}{path}", settings.elasticsearch.index_prefix);
    elastic::call(&settings.elasticsearch.url, method, &path, body).await
}

/// Calls Elasticsearch and wants a success.
///
/// # Errors
/// It does not answer, or refuses.
pub async fn must(
    settings: &Settings,
    method: reqwest::Method,
    path: &str,
    body: Option<&Value>,
) -> Result<Value> {
    match call(settings, method, path, body).await? {
        (200..300, answer) => Ok(answer),
        (status, answer) => bail!("{path}: {status}: {answer}"),
    }
}

/// Checks that no transaction was dead-lettered.
///
/// # Errors
/// Some were.
pub async fn no_dead_letters(context: &TestContext) -> Result<()> {
    let found = topics::read(&context.settings, &dead_letter(topic::TRANSACTIONS)).await?;
    let first = found.first().and_then(|record| record.header("error"));
    ensure!(
        found.is_empty(),
        "{} dead letters, the first: {first:?}",
        found.len()
    );
    Ok(())
}
