//! What becomes of records that lie elsewhere than their user's, changed over a running stream with
//! kills: each record is treated as the setting says that held when it was read.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use millrace_catalog::{dead_letter, payments::topic};
use millrace_domain::codec::{AggregateReader, TransactionReader};
use millrace_domain::{ShortId, Transaction, TransactionId};
use millrace_kafka::clock::now_ms;
use millrace_kafka::partition_for;
use millrace_settings::{MisplacedRecords, Settings};
use millrace_tests::checks::check_undisturbed;
use millrace_tests::pipeline::{self, LIMIT};
use millrace_tests::service::Service;
use millrace_tests::{TestContext, groups, sample, send, topics, wait_until};

use super::changes::{self, Jobs, policies_set, sent_since};

/// Misplaced records of each phase, and as many that came while nobody read.
const EACH: u32 = 100;
/// Records of the stream between what is done to the jobs.
const BETWEEN: i64 = 800;
const PARTITIONS: i32 = 5;

/// The phases, one after the other.
const PHASES: [MisplacedRecords; 4] = [
    MisplacedRecords::Count,
    MisplacedRecords::DeadLetter,
    MisplacedRecords::Count,
    MisplacedRecords::DeadLetter,
];

fn set(settings: &mut Settings, mode: MisplacedRecords) {
    settings.aggregator.misplaced_records = mode;
    settings.detector.misplaced_records = mode;
}

/// The setting goes to and fro; the jobs are killed before each change and after it. Each misplaced
/// record is counted, once, or a dead letter, once, by the setting of its phase, and all that was
/// written is what an undisturbed run writes that reads the same changes.
pub(super) async fn are_treated_as_their_time_says(mut context: TestContext) -> Result<()> {
    changes::hasten(&mut context.settings);
    pipeline::init(&context).await?;
    let mut jobs = Jobs::start(&context).await?;
    let mut producer = Service::start(&context, "producer", &["service", "producer"])?;
    for (number, mode) in (0..).zip(PHASES) {
        if number > 0 {
            worked_off(&context).await?;
            jobs.kill()?;
            // What comes now is read by the next ones alone.
            send_elsewhere(&context, number, 0)?;
            set(&mut context.settings, mode);
            let started = Jobs::start(&context).await?;
            sent_since(&context, BETWEEN / 2).await?;
            started.kill()?;
            jobs = Jobs::start(&context).await?;
        } else {
            send_elsewhere(&context, number, 0)?;
        }
        send_elsewhere(&context, number, 1)?;
        sent_since(&context, BETWEEN).await?;
    }
    ensure!(producer.is_running()?, "the stream has run all the time");
    producer.stop().await?;
    let differences = check_undisturbed(&context).await?;
    let letters = differences.iter().find(|it| it.what == "dead letters");
    ensure!(
        letters.is_some_and(|it| it.undisturbed >= u64::from(4 * EACH)),
        "{differences:?}"
    );
    let closed = wait_until("the last windows to close", LIMIT, || async {
        Ok(are_as_their_phases(&context).await.ok())
    })
    .await;
    are_as_their_phases(&context).await?;
    closed?;
    for control in [topic::AGGREGATES_CONTROL, topic::ANOMALIES_CONTROL] {
        let changes = policies_set(&context, control).await?;
        ensure!(
            changes >= PARTITIONS as usize * PHASES.len(),
            "each partition of {control} has had each change: {changes}"
        );
    }
    jobs.stop().await
}

async fn worked_off(context: &TestContext) -> Result<()> {
    for group in ["millrace-aggregate-partial", "millrace-detect"] {
        groups::wait_until_read(&context.settings, group, topic::TRANSACTIONS).await?;
    }
    Ok(())
}

/// A payment of a phase's own merchant.
fn payment(phase: u32, half: u32, number: u32, time_ms: i64) -> Result<Transaction> {
    let number = 10_000 * (1 + 2 * phase + half) + number;
    Ok(Transaction {
        merchant_id: ShortId::new(&merchant(phase), "test")?,
        ..sample::transaction(number, time_ms)
    })
}

fn merchant(phase: u32) -> String {
    format!("elsewhere-{phase}")
}

fn send_elsewhere(context: &TestContext, phase: u32, half: u32) -> Result<()> {
    let (kafka, time_ms) = (&context.settings.kafka, now_ms());
    let producer = send::producer(kafka, &[])?;
    for number in 0..EACH {
        let sent = payment(phase, half, number, time_ms)?;
        let right = partition_for(sent.user_id.text().as_bytes(), PARTITIONS);
        send::send(&producer, kafka, [sent], Some((right + 1) % PARTITIONS), None)?;
    }
    send::flush(&producer)
}

/// The payments of the phases that count are in aggregates, and those of the others are dead
/// letters; each once, and nothing else is a dead letter for that reason.
async fn are_as_their_phases(context: &TestContext) -> Result<()> {
    let aggregates = topics::read(&context.settings, topic::AGGREGATES).await?;
    let late = topics::read(&context.settings, topic::LATE).await?;
    let letters = topics::read(&context.settings, &dead_letter(topic::TRANSACTIONS)).await?;
    let fetcher = pipeline::schemas(context);
    let read = move || {
        let (aggregates_of, transactions_of) = (
            AggregateReader::new(fetcher.clone()),
            TransactionReader::new(fetcher),
        );
        let mut counted: BTreeMap<String, u64> = BTreeMap::new();
        let mut add = |merchant: &ShortId, count: u64| {
            let merchant = merchant.text().as_str().to_owned();
            if merchant.starts_with("elsewhere") && count > 0 {
                *counted.entry(merchant).or_default() += count;
            }
        };
        for record in &aggregates {
            let aggregate = aggregates_of.read(&record.payload)?;
            if aggregate.is_final() {
                add(&aggregate.merchant_id, aggregate.totals.purchase_count);
            }
        }
        // A busy machine may have one of them late: it was not refused.
        for record in &late {
            add(&transactions_of.read(&record.payload)?.merchant_id, 1);
        }
        let mut refused = Vec::new();
        for letter in &letters {
            if letter.header("error.code").as_deref() == Some("misplaced") {
                refused.push(transactions_of.read(&letter.payload)?.transaction_id);
            }
        }
        anyhow::Ok((counted, refused))
    };
    let (counted, refused) = tokio::task::spawn_blocking(read).await??;
    let of = |mode| {
        (0..)
            .zip(PHASES)
            .filter(move |(_, it)| *it == mode)
            .map(|(number, _)| number)
    };
    let expected: BTreeMap<_, _> = of(MisplacedRecords::Count)
        .map(|phase| (merchant(phase), u64::from(2 * EACH)))
        .collect();
    ensure!(counted == expected, "counted are {counted:?}, not {expected:?}");
    let mut wanted: BTreeSet<TransactionId> = BTreeSet::new();
    for phase in of(MisplacedRecords::DeadLetter) {
        for number in 0..2 * EACH {
            wanted.insert(payment(phase, number / EACH, number % EACH, 0)?.transaction_id);
        }
    }
    let found: BTreeSet<_> = refused.iter().copied().collect();
    ensure!(
        refused.len() == wanted.len() && found == wanted,
        "{} dead letters of {} records, where {} were to be refused",
        refused.len(),
        found.len(),
        wanted.len()
    );
    Ok(())
}
