//! Records of other people's writers, through the running services.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use millrace_catalog::{dead_letter, payments::topic};
use millrace_contract::framing;
use millrace_domain::codec::{AggregateReader, json, transaction};
use millrace_domain::{Transaction, schema};
use millrace_kafka::partition_for;
use millrace_tests::pipeline::{self, LIMIT, Pipeline};
use millrace_tests::registry_proxy::RegistryProxy;
use millrace_tests::service::Service;
use millrace_tests::{TestContext, sample, topics, wait_until};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::{Value, json};

const WINDOW_MS: i64 = 10_000;
/// The registry refuses it, and it alone.
const REFUSED: u32 = 777_777;
/// Times in seconds, and records elsewhere than their user's.
const SECONDS: u32 = 3;
const MISPLACED: u32 = 4;
/// Records of a schema that refers to others.
const REFERRING: u32 = 50;

/// Every form that is read is counted, every other one is a dead letter that names its reason, and
/// no service ends: neither of a schema id that the registry refuses, nor of anything else.
pub(super) async fn are_read_or_named(mut context: TestContext) -> Result<()> {
    context.settings.aggregator.window_ms = WINDOW_MS;
    context.settings.aggregator.worker.idle_timeout_ms = 3_000;
    let registry = context.settings.schema_registry.url.clone();
    let proxy = RegistryProxy::start(&registry).await?;
    proxy.refuse(REFUSED);
    context.settings.schema_registry.url = proxy.url;
    let pipeline = Pipeline::start(&context).await?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let start_ms = i64::try_from(now.as_millis())? / WINDOW_MS * WINDOW_MS - 60_000;

    let mut numbers = 0..;
    let mut next = || {
        let number = numbers.next().unwrap_or_default();
        sample::transaction(number, start_ms + i64::from(number))
    };
    let good = good(&context, &registry, &mut next).await?;
    let count = good.len() as u64 + u64::from(MISPLACED);
    let mut bad: Vec<(Transaction, Vec<u8>)> = Vec::new();
    for _ in 0..SECONDS {
        let mut sent = next();
        sent.transaction_time_ms /= 1_000;
        bad.push((sent, text(&sent).into_bytes()));
    }
    let sent = next();
    let micros = text(&sent).replace(
        &sent.transaction_time_ms.to_string(),
        &(start_ms * 1_000).to_string(),
    );
    bad.push((sent, micros.into_bytes()));
    bad.push((next(), framed(REFUSED, &next())));
    send(&context, good.iter().chain(&bad), |_| None)?;
    let misplaced: Vec<_> = (0..MISPLACED)
        .map(|_| next())
        .map(|sent| (sent, text(&sent).into_bytes()))
        .collect();
    send(&context, misplaced.iter(), |sent| {
        Some((partition_for(sent.user_id.text().as_bytes(), 5) + 1) % 5)
    })?;

    wait_for_purchases(&context, count).await?;
    check_reasons(&context).await?;
    let metric = "millrace_misplaced_records_total";
    for (service, operator) in [("aggregator", "aggregate-partial"), ("detector", "detect")] {
        wait_until(&format!("the misplaced records in {service}"), LIMIT, || async {
            let found = pipeline.metric(service, metric, Some(operator)).await?;
            // What is read again after a commit that failed counts again.
            ensure!(
                found < count as f64,
                "{service} has found {found} misplaced records"
            );
            Ok((found >= f64::from(MISPLACED)).then_some(()))
        })
        .await?;
        let said = pipeline.output(service)?;
        ensure!(
            said.contains("duplicates are not found"),
            "{service} warns: {said}"
        );
    }
    // A table may break the line anywhere.
    let status = Service::start(&context, "status", &["status"])?;
    wait_until("status to tell of records elsewhere", LIMIT, || async {
        let shown = status.output();
        Ok((shown.contains("lie elsewhere") && shown.contains("no_key")).then_some(()))
    })
    .await?;
    pipeline.stop().await
}

/// Each bad record is one dead letter whose text says what would be right.
async fn check_reasons(context: &TestContext) -> Result<()> {
    let mut reasons: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for letter in topics::read(&context.settings, &dead_letter(topic::TRANSACTIONS)).await? {
        let header = |name: &str| letter.header(name).context("a dead letter has its reason");
        reasons
            .entry(header("error.code")?)
            .or_default()
            .push(header("error")?);
    }
    let codes: Vec<_> = reasons
        .iter()
        .map(|(code, letters)| (code.as_str(), letters.len()))
        .collect();
    let expected = [
        ("before_earliest_time", SECONDS as usize),
        ("refused_schema", 1),
        ("time_out_of_range", 1),
    ];
    ensure!(codes == expected, "{reasons:?}");
    let says = |code: &str, text: &str| {
        ensure!(
            reasons[code][0].contains(text),
            "{:?} does not say {text:?}",
            reasons[code]
        );
        Ok(())
    };
    says("before_earliest_time", "seconds for milliseconds?")?;
    says("time_out_of_range", "microseconds for milliseconds?")?;
    says("refused_schema", "refuses schema id 777777: 403: denied")
}

/// Values that are read, each as its writer writes it.
async fn good(
    context: &TestContext,
    registry: &str,
    next: &mut impl FnMut() -> Transaction,
) -> Result<Vec<(Transaction, Vec<u8>)>> {
    let mut values = Vec::new();
    for (before, after) in [("", ""), ("\n", ""), (" ", ""), ("\u{feff}", ""), ("", "\n")] {
        let sent = next();
        values.push((sent, format!("{before}{}{after}", text(&sent)).into_bytes()));
    }
    let sent = next();
    let more = text(&sent).replacen('{', r#"{"channel":"web","tags":[{"x":1}],"#, 1);
    values.push((sent, more.into_bytes()));
    let sent = next();
    let amount = format!("\"amount\":{}", sent.amount);
    values.push((
        sent,
        text(&sent)
            .replace(&amount, "\"amount\":0.30000000000000004")
            .into_bytes(),
    ));

    let prefix = &context.settings.kafka.topic_prefix;
    let kind = json!({"type": "enum", "name": "TransactionType", "namespace": "shared", "symbols": ["purchase", "refund"]});
    let kind_subject = format!("{prefix}shared-transaction-type");
    register(registry, &kind_subject, &json!({"schema": kind.to_string()})).await?;
    let ours: Value = serde_json::from_str(schema::TRANSACTION)?;
    let with = |field: &str, kind: Value| {
        let mut other = ours.clone();
        for found in other["fields"].as_array_mut().into_iter().flatten() {
            if found["name"] == field {
                found["type"] = kind.clone();
            }
        }
        other.to_string()
    };
    let referring = with("transactionType", "shared.TransactionType".into());
    let id = register_referring(registry, prefix, &referring, &kind_subject).await?;
    for _ in 0..REFERRING {
        let sent = next();
        let mut value = framed(id, &sent);
        // The channel, whose kind is the second one.
        value.push(2);
        values.push((sent, value));
    }
    let float = json!({"schema": with("amount", "float".into())});
    let id = register(registry, &format!("{prefix}float-value"), &float).await?;
    let sent = next();
    let mut value = framed(id, &sent);
    let at = value
        .windows(8)
        .position(|bytes| bytes == sent.amount.to_f64().to_le_bytes());
    let at = at.context("the amount is in the value")?;
    value.splice(at..at + 8, 57.16_f32.to_le_bytes());
    values.push((sent, value));
    let text_schema =
        json!({"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"}).to_string();
    let text_schema = json!({"schema": text_schema, "schemaType": "JSON"});
    let id = register(registry, &format!("{prefix}json-value"), &text_schema).await?;
    let (sent, mut value) = (next(), Vec::new());
    framing::write_header(id, &mut value);
    json::encode(&sent, &mut value);
    values.push((sent, value));
    Ok(values)
}

/// Registers a schema whose transaction type is one of another subject's, with a field more, of a
/// type of a second one's that is made of a third one's.
async fn register_referring(registry: &str, prefix: &str, schema: &str, kind_subject: &str) -> Result<u32> {
    let [medium_subject, channel_subject] = ["medium", "channel"].map(|it| format!("{prefix}shared-{it}"));
    let medium = json!({"type": "enum", "name": "Medium", "namespace": "shared", "symbols": ["shop", "web"]});
    register(registry, &medium_subject, &json!({"schema": medium.to_string()})).await?;
    let reference = |name: &str, subject: &str| json!({"name": format!("shared.{name}"), "subject": subject, "version": 1});
    let channel = json!({
        "type": "record", "name": "Channel", "namespace": "shared",
        "fields": [{"name": "medium", "type": "shared.Medium"}],
    });
    let channel =
        json!({"schema": channel.to_string(), "references": [reference("Medium", &medium_subject)]});
    register(registry, &channel_subject, &channel).await?;
    let mut schema: Value = serde_json::from_str(schema)?;
    let fields = schema["fields"].as_array_mut().context("a record has fields")?;
    fields.push(json!({"name": "channel", "type": "shared.Channel"}));
    let references = json!([
        reference("TransactionType", kind_subject),
        reference("Channel", &channel_subject)
    ]);
    let referring = json!({"schema": schema.to_string(), "references": references});
    register(registry, &format!("{prefix}references-value"), &referring).await
}

pub(super) async fn register(registry: &str, subject: &str, schema: &Value) -> Result<u32> {
    let request = reqwest::Client::new().post(format!("{registry}/subjects/{subject}/versions"));
    let answer = request.json(schema).send().await?.error_for_status()?;
    let answer: Value = answer.json().await?;
    Ok(u32::try_from(answer["id"].as_u64().context("an id")?)?)
}

fn text(sent: &Transaction) -> String {
    let mut bytes = Vec::new();
    json::encode(sent, &mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

pub(super) fn framed(id: u32, sent: &Transaction) -> Vec<u8> {
    let mut value = Vec::new();
    transaction::encode_framed(id, sent, &mut value);
    value
}

/// Sends values, with their users as keys, or without a key to the partition that `elsewhere`
/// names.
pub(super) fn send<'a>(
    context: &TestContext,
    values: impl Iterator<Item = &'a (Transaction, Vec<u8>)>,
    elsewhere: impl Fn(&Transaction) -> Option<i32>,
) -> Result<()> {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &context.settings.kafka.bootstrap_servers)
        .set("partitioner", "murmur2_random")
        // Nothing is there twice, although an answer may be late.
        .set("enable.idempotence", "true")
        .create()?;
    let name = format!("{}{}", context.settings.kafka.topic_prefix, topic::TRANSACTIONS);
    for (sent, value) in values {
        let user_id = sent.user_id.text();
        let record = BaseRecord::<[u8], [u8]>::to(&name).payload(value);
        let record = match elsewhere(sent) {
            Some(partition) => record.partition(partition),
            None => record.key(user_id.as_bytes()),
        };
        let sent = producer.send(record).map_err(|(error, _)| error);
        sent.context("sending a sample")?;
    }
    Ok(producer.flush(Duration::from_secs(60))?)
}

/// Waits until the aggregates have that many purchases, and no more.
async fn wait_for_purchases(context: &TestContext, wanted: u64) -> Result<()> {
    wait_until(&format!("{wanted} purchases"), LIMIT, || async {
        let aggregates = topics::read(&context.settings, topic::AGGREGATES).await?;
        let reader = AggregateReader::new(pipeline::schemas(context));
        let count = tokio::task::spawn_blocking(move || {
            let mut count = 0;
            for record in &aggregates {
                count += reader.read(&record.payload)?.totals.purchase_count;
            }
            anyhow::Ok(count)
        })
        .await??;
        ensure!(count <= wanted, "{count} purchases, more than {wanted}");
        Ok((count == wanted).then_some(()))
    })
    .await
}
