//! What must be true of the topics in the end, whatever happened before.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use anyhow::{Context, Result, ensure};
use millrace_catalog::{dead_letter, payments::topic};
use millrace_domain::codec::{AggregateReader, TransactionReader};
use millrace_verify::repeat::Difference;

use crate::oracle::{self, Expected};
use crate::topics::Record;
use crate::{TestContext, pipeline, topics};

/// Every final aggregate and dead letter against the naive sum over the log. What is late is taken
/// from the late topic: [`check_undisturbed`] says whether it is. A stream of `count` records must
/// have the shares of duplicates and malformed ones that the settings ask for; of 0, nothing is
/// asked.
///
/// # Errors
/// Something differs; the first difference.
pub async fn check_aggregates(context: &TestContext, count: u64) -> Result<Expected> {
    let settings = &context.settings;
    let sent = topics::read(settings, topic::TRANSACTIONS).await?;
    let late = topics::read(settings, topic::LATE).await?;
    let dead = topics::read(settings, &dead_letter(topic::TRANSACTIONS)).await?;
    let aggregates = topics::read(settings, topic::AGGREGATES).await?;
    let (window_ms, event_time) = (
        settings.aggregator.window_ms,
        settings.aggregator.event_time.clone(),
    );
    let producer = &settings.producer;
    let (duplicate_share, malformed_share) = (producer.duplicate_share, producer.malformed_share);
    let fetcher = pipeline::schemas(context);
    tokio::task::spawn_blocking(move || {
        let reader = TransactionReader::new(fetcher.clone());
        let late: HashSet<(i32, i64)> = late.iter().map(source).collect::<Result<_>>()?;
        let expected = oracle::expect(&sent, &reader, window_ms, &event_time, &late)?;
        check_share("duplicates", expected.duplicates, count, duplicate_share)?;
        check_share("malformed records", expected.dead.len(), count, malformed_share)?;
        check_dead_letters(&expected, &sent, &dead)?;

        let reader = AggregateReader::new(fetcher);
        let mut found = BTreeMap::new();
        for record in &aggregates {
            let aggregate = reader.read(&record.payload)?;
            ensure!(
                record.key.as_deref() == Some(aggregate.merchant_id.text().as_bytes()),
                "the key is the merchant: {aggregate:?}"
            );
            if !aggregate.is_final() {
                continue;
            }
            let key = (
                aggregate.window_start_ms,
                aggregate.merchant_id,
                aggregate.currency,
            );
            let before = found.insert(key, (aggregate.totals, aggregate.distinct_users));
            ensure!(before.is_none(), "two aggregates for {key:?}");
        }
        for (key, totals) in &expected.aggregates {
            ensure!(
                found.get(key) == Some(totals),
                "{key:?}: expected {totals:?}, found {:?}",
                found.get(key)
            );
        }
        ensure!(
            found.len() == expected.aggregates.len(),
            "{} aggregates too many",
            found.len() - expected.aggregates.len()
        );
        Ok(expected)
    })
    .await?
}

/// Each bad record is one dead letter, with its own bytes, its place and a reason.
fn check_dead_letters(expected: &Expected, sent: &[Record], dead: &[Record]) -> Result<()> {
    let place = |record: &Record| -> Result<(i32, i64)> {
        for name in ["error", "error.code"] {
            let reason = record.header(name).unwrap_or_default();
            ensure!(!reason.is_empty(), "a dead letter has a reason, in {name}");
        }
        source(record)
    };
    let by_place: BTreeMap<_, _> = sent
        .iter()
        .map(|record| ((record.partition, record.offset), record))
        .collect();
    let mut places = BTreeSet::new();
    for record in dead {
        let place = place(record)?;
        ensure!(places.insert(place), "two dead letters for {place:?}");
        let source = by_place
            .get(&place)
            .with_context(|| format!("a dead letter of {place:?}, which is not there"))?;
        ensure!(
            source.payload == record.payload && source.key == record.key,
            "the bytes of {place:?} are unchanged"
        );
    }
    let expected: BTreeSet<_> = expected.dead.iter().copied().collect();
    ensure!(
        places == expected,
        "dead letters for {} records, expected {}",
        places.len(),
        expected.len()
    );
    Ok(())
}

/// Nothing is missing of what an undisturbed run writes, nothing is there beside it, and nothing
/// differs: record by record, late records and dead letters too. Everything must have been worked
/// off. Gives what was compared.
///
/// # Errors
/// Something differs, or a log cannot be read.
pub async fn check_undisturbed(context: &TestContext) -> Result<Vec<Difference>> {
    let differences = millrace_verify::repeat::all(&context.settings).await?;
    for difference in &differences {
        ensure!(difference.is_none(), "{difference}");
        eprintln!("as undisturbed: {difference}");
    }
    Ok(differences)
}

/// A share of the stream is as it was asked for: more than this would be no accident in any of the
/// streams here.
fn check_share(what: &str, found: usize, count: u64, share: f64) -> Result<()> {
    let wanted = count as f64 * share;
    let found = found as f64;
    ensure!(
        count == 0 || (wanted * 0.6..=wanted * 1.4).contains(&found),
        "{found} {what}, where {wanted} were asked for"
    );
    Ok(())
}

/// Partition and offset of the record that a late record or a dead letter was.
///
/// # Errors
/// It does not say.
pub fn source(record: &Record) -> Result<(i32, i64)> {
    let header = |name| {
        record
            .header(name)
            .with_context(|| format!("a record without {name}"))
    };
    Ok((
        header("source.partition")?.parse()?,
        header("source.offset")?.parse()?,
    ))
}
