//! Records that lie elsewhere than their user's, put where these lie.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use millrace_catalog::{dead_letter, payments::topic};
use millrace_contract::framing;
use millrace_domain::codec::{AggregateReader, TransactionReader, json, transaction};
use millrace_domain::{ShortId, Transaction, TransactionId};
use millrace_kafka::partition_for;
use millrace_settings::MisplacedRecords;
use millrace_tests::checks::check_undisturbed;
use millrace_tests::pipeline::{self, LIMIT, Pipeline};
use millrace_tests::service::Service;
use millrace_tests::{TestContext, sample, topics, wait_until};
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

const WINDOW_MS: i64 = 10_000;
/// Payments of each way of writing, each sent twice.
const PAYMENTS: u32 = 500;
/// Of all of them, how far their event times are apart.
const STEP_MS: i64 = 40;
const BAD: usize = 7;

/// How the two copies of a payment are written.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// Both with the user as key, by murmur2.
    Right,
    /// The second by librdkafka's own partitioner.
    Crc,
    /// Without a key, the second to another partition.
    Null,
}

const WAYS: [(Way, &str); 3] = [
    (Way::Right, "m-right"),
    (Way::Crc, "m-crc"),
    (Way::Null, "m-null"),
];

pub(super) fn rekey(context: &mut TestContext) {
    let settings = &mut context.settings;
    settings.aggregator.misplaced_records = MisplacedRecords::Rekey;
    settings.detector.misplaced_records = MisplacedRecords::Rekey;
    settings.aggregator.window_ms = WINDOW_MS;
    // For as long, a broker may keep one of two copies back.
    settings.aggregator.worker.idle_timeout_ms = 10_000;
}

/// Payments that are sent twice, however their copies are written, count once, by one user each: as
/// JSON and as Avro, among records that are none, through kills of the job that rekeys, and from a
/// backlog, of which nothing is late.
pub(super) async fn copies_meet_in_one_partition(mut context: TestContext) -> Result<()> {
    rekey(&mut context);
    let mut pipeline = Pipeline::start(&context).await?;
    let now_ms = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let start_ms = now_ms / WINDOW_MS * WINDOW_MS - 120_000;
    let schema_id = schema_id(&context).await?;
    let half = PAYMENTS / 2;
    send(&context, 0..half, start_ms, schema_id)?;
    pipeline.crash(&context, "rekey").await?;
    send(&context, half..PAYMENTS, start_ms, schema_id)?;
    pipeline.crash(&context, "rekey").await?;

    wait_for_sums(&context).await?;
    let copies = f64::from(PAYMENTS) * 3.0;
    for (service, operator) in [("aggregator", "aggregate-partial"), ("detector", "detect")] {
        let count = |metric| pipeline.metric(service, metric, Some(operator));
        wait_until(&format!("the copies in {service}"), LIMIT, || async {
            // What is read again after a commit that failed counts again.
            Ok((count("millrace_duplicate_records_total").await? >= copies).then_some(()))
        })
        .await?;
        let misplaced = count("millrace_misplaced_records_total").await?;
        ensure!(
            misplaced == 0.0,
            "{service} has found {misplaced} records elsewhere"
        );
    }
    check_keyed(&context).await?;
    let settings = &context.settings;
    let letters = topics::read(settings, &dead_letter(topic::TRANSACTIONS)).await?;
    let sources: BTreeSet<_> = letters
        .iter()
        .map(|letter| (letter.header("source.partition"), letter.header("source.offset")))
        .collect();
    ensure!(
        letters.len() == BAD && sources.len() == BAD,
        "{} dead letters of {} records",
        letters.len(),
        sources.len()
    );
    for letter in &letters {
        ensure!(letter.header("service").as_deref() == Some("rekey"), "{letter:?}");
        ensure!(letter.header("trace").as_deref() == Some("bad"), "{letter:?}");
    }
    for name in [
        topic::LATE.to_owned(),
        dead_letter(topic::KEYED),
        dead_letter(topic::PARTIALS),
    ] {
        let found = topics::read(settings, &name).await?;
        ensure!(found.is_empty(), "{name} has {found:?}");
    }
    check_undisturbed(&context).await?;
    pipeline.stop().await
}

/// A job that has read one topic does not begin to read the other, and says what to do.
pub(super) async fn switching_over_a_run_is_refused(mut context: TestContext) -> Result<()> {
    rekey(&mut context);
    let now_ms = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let pipeline = Pipeline::start(&context).await?;
    let schema_id = schema_id(&context).await?;
    send(&context, 0..20, now_ms - 60_000, schema_id)?;
    topics::wait_for_records(&context.settings, topic::KEYED, 20 * 2 * WAYS.len()).await?;
    pipeline.stop().await?;
    let control = topics::read(&context.settings, topic::AGGREGATES_CONTROL).await?;

    for settings in [
        &mut context.settings.aggregator.misplaced_records,
        &mut context.settings.detector.misplaced_records,
    ] {
        *settings = MisplacedRecords::Count;
    }
    for name in ["aggregator", "detector"] {
        let service = Service::start(&context, name, &["service", name])?;
        wait_until(&format!("{name} to refuse"), LIMIT, || async {
            let said = service.output();
            Ok((said.contains("was rekeyed") && said.contains("--reset-offsets --to-offset")).then_some(()))
        })
        .await?;
    }
    let after = topics::read(&context.settings, topic::AGGREGATES_CONTROL).await?;
    ensure!(after == control, "something was written: {after:?}");
    Ok(())
}

/// Records of a user with headers and without, in turns, come out in the order in which they went
/// in: of two with one id, the first is the one that counts.
pub(super) async fn a_users_records_keep_their_order(mut context: TestContext) -> Result<()> {
    rekey(&mut context);
    let pipeline = Pipeline::start(&context).await?;
    let start_ms = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())? - 60_000;
    let name = format!("{}{}", context.settings.kafka.topic_prefix, topic::TRANSACTIONS);
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &context.settings.kafka.bootstrap_servers)
        .set("partitioner", "murmur2_random")
        // In order, and once, whatever has to be sent again.
        .set("enable.idempotence", "true")
        .create()?;
    let mut sent = Vec::new();
    for number in 0..PAYMENTS {
        let one = Transaction {
            user_id: ShortId::new("u-1", "test")?,
            ..payment(0, "m-1", number, start_ms)
        };
        let mut value = Vec::new();
        json::encode(&one, &mut value);
        let mut record = BaseRecord::<[u8], [u8]>::to(&name).key(b"u-1").payload(&value);
        if number % 7 == 3 {
            let trace = Header {
                key: "trace",
                value: Some("good"),
            };
            record = record.headers(OwnedHeaders::new().insert(trace));
        }
        producer.send(record).map_err(|(error, _)| error)?;
        sent.push(one.transaction_id);
    }
    producer.flush(Duration::from_secs(60))?;
    topics::wait_for_records(&context.settings, topic::KEYED, sent.len()).await?;
    let records = topics::read(&context.settings, topic::KEYED).await?;
    let reader = TransactionReader::new(pipeline::schemas(&context));
    let read = move || {
        let ids = records
            .iter()
            .map(|record| Ok(reader.read(&record.payload)?.transaction_id));
        ids.collect::<Result<Vec<_>>>()
    };
    let found = tokio::task::spawn_blocking(read).await??;
    let first = sent.iter().zip(&found).position(|(sent, found)| sent != found);
    ensure!(
        sent.len() == found.len() && first.is_none(),
        "{} of {} records; the first out of its order is {first:?}",
        found.len(),
        sent.len()
    );
    pipeline.stop().await
}

async fn schema_id(context: &TestContext) -> Result<u32> {
    let subject = format!(
        "{}{}-value",
        context.settings.kafka.topic_prefix,
        topic::TRANSACTIONS
    );
    let registry = millrace_registry::Registry::new(pipeline::registry_config(context))?;
    Ok(registry
        .latest(&subject)
        .await?
        .context("init has registered it")?
        .id)
}

fn payment(way: u32, merchant: &str, number: u32, start_ms: i64) -> Transaction {
    let mut sent = sample::transaction(number, start_ms + i64::from(number) * STEP_MS);
    let mut id = *sent.transaction_id.as_bytes();
    id[15] = u8::try_from(way).unwrap_or_default();
    sent.transaction_id = TransactionId::from_bytes(id);
    let short = |text: &str| ShortId::new(text, "test");
    sent.user_id = short(&format!("u-{way}-{number}")).unwrap_or(sent.user_id);
    sent.merchant_id = short(merchant).unwrap_or(sent.merchant_id);
    sent
}

/// Sends these payments in every way, each twice, one of two as Avro, and with the first of all
/// some that are none.
fn send(context: &TestContext, numbers: std::ops::Range<u32>, start_ms: i64, schema_id: u32) -> Result<()> {
    let producer = |partitioner: &str| -> Result<BaseProducer> {
        Ok(ClientConfig::new()
            .set("bootstrap.servers", &context.settings.kafka.bootstrap_servers)
            .set("partitioner", partitioner)
            .set("enable.idempotence", "true")
            .create()?)
    };
    let (murmur2, crc) = (producer("murmur2_random")?, producer("consistent_random")?);
    let name = format!("{}{}", context.settings.kafka.topic_prefix, topic::TRANSACTIONS);
    let trace = |value: &'static str| {
        OwnedHeaders::new().insert(Header {
            key: "trace",
            value: Some(value),
        })
    };
    if numbers.start == 0 && numbers.end > 20 {
        for number in 0..BAD {
            let bad = BaseRecord::<[u8], [u8]>::to(&name)
                .payload(b"{\"userId\":1}")
                .partition(i32::try_from(number % 5)?)
                .headers(trace("bad"));
            murmur2.send(bad).map_err(|(error, _)| error)?;
        }
    }
    for number in numbers {
        for (way, (kind, merchant)) in (0..).zip(WAYS) {
            let sent = payment(way, merchant, number, start_ms);
            let mut value = Vec::new();
            match number % 2 {
                0 => json::encode(&sent, &mut value),
                _ => transaction::encode_framed(schema_id, &sent, &mut value),
            }
            for copy in 0..2_i32 {
                let record = BaseRecord::<[u8], [u8]>::to(&name)
                    .payload(&value)
                    .headers(trace("good"));
                let user = sent.user_id.text();
                let record = match kind {
                    Way::Null => record.partition((i32::try_from(number)? + copy) % 5),
                    Way::Right | Way::Crc => record.key(user.as_bytes()),
                };
                let producer = match (kind, copy) {
                    (Way::Crc, 1) => &crc,
                    _ => &murmur2,
                };
                producer.send(record).map_err(|(error, _)| error)?;
            }
        }
    }
    murmur2.flush(Duration::from_secs(60))?;
    Ok(crc.flush(Duration::from_secs(60))?)
}

/// Waits until each merchant has its payments, once, by as many users; and no more.
async fn wait_for_sums(context: &TestContext) -> Result<()> {
    let wanted = u64::from(PAYMENTS);
    wait_until("each payment once", LIMIT, || async {
        let aggregates = topics::read(&context.settings, topic::AGGREGATES).await?;
        let reader = AggregateReader::new(pipeline::schemas(context));
        let sums = tokio::task::spawn_blocking(move || {
            let mut sums: BTreeMap<String, (u64, u64)> = BTreeMap::new();
            for record in &aggregates {
                let aggregate = reader.read(&record.payload)?;
                let sum = sums
                    .entry(aggregate.merchant_id.text().as_str().to_owned())
                    .or_default();
                sum.0 += aggregate.totals.purchase_count;
                sum.1 += aggregate.distinct_users;
            }
            anyhow::Ok(sums)
        })
        .await??;
        let most = sums
            .values()
            .map(|sum| sum.0.max(sum.1))
            .max()
            .unwrap_or_default();
        ensure!(most <= wanted, "{sums:?}");
        let is_whole = sums.len() == WAYS.len() && sums.values().all(|sum| *sum == (wanted, wanted));
        Ok(is_whole.then_some(()))
    })
    .await
}

/// Every record once, as Avro, where its user's lie, with the headers that it had.
async fn check_keyed(context: &TestContext) -> Result<()> {
    let records = topics::read(&context.settings, topic::KEYED).await?;
    let expected = 2 * WAYS.len() * PAYMENTS as usize;
    ensure!(
        records.len() == expected,
        "{} of {expected} records",
        records.len()
    );
    let reader = TransactionReader::new(pipeline::schemas(context));
    tokio::task::spawn_blocking(move || {
        for record in &records {
            let sent = reader.read(&record.payload)?;
            let user = sent.user_id.text();
            let user = user.as_bytes();
            ensure!(
                record.key.as_deref() == Some(user) && record.partition == partition_for(user, 5),
                "{record:?}"
            );
            ensure!(record.is_append_time, "{record:?}");
            ensure!(record.payload.first() == Some(&framing::MAGIC), "{record:?}");
            ensure!(record.header("trace").as_deref() == Some("good"), "{record:?}");
        }
        Ok(())
    })
    .await?
}
