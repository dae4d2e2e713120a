//! What must be true of the topics in the end, whatever happened before.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use anyhow::{Context, Result, ensure};
use millrace_codec::{AggregateReader, TransactionReader};
use millrace_domain::topic;

use crate::oracle::{self, Expected};
use crate::topics::Record;
use crate::{TestContext, pipeline, topics};

/// Every final aggregate, dead letter and late record against the naive sum over the log. A stream of `count` records
/// must have some duplicates and malformed ones; of 0, nothing is asked.
///
/// # Errors
/// Something differs; the first difference.
pub async fn check_aggregates(context: &TestContext, count: u64) -> Result<Expected> {
    let settings = &context.settings;
    let sent = topics::read(settings, topic::TRANSACTIONS).await?;
    let late = topics::read(settings, topic::LATE).await?;
    let dead = topics::read(settings, &topic::dead_letter(topic::TRANSACTIONS)).await?;
    let aggregates = topics::read(settings, topic::AGGREGATES).await?;
    let (window_ms, max_future_ms) = (
        settings.aggregator.window_ms,
        settings.aggregator.event_time.max_future_ms,
    );
    let fetcher = pipeline::schemas(context);
    tokio::task::spawn_blocking(move || {
        let reader = TransactionReader::new(fetcher.clone());
        let late: HashSet<(i32, i64)> = late.iter().map(source).collect::<Result<_>>()?;
        let expected = oracle::expect(&sent, &reader, window_ms, max_future_ms, &late)?;
        ensure!(
            count == 0 || expected.duplicates as u64 > count / 400,
            "the stream has duplicates: {}",
            expected.duplicates
        );
        check_dead_letters(&expected, &sent, &dead, count)?;

        let reader = AggregateReader::new(fetcher);
        let mut found = BTreeMap::new();
        for record in &aggregates {
            let aggregate = reader.read(&record.payload)?;
            ensure!(
                record.key.as_deref() == Some(aggregate.merchant_id.as_bytes()),
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
fn check_dead_letters(expected: &Expected, sent: &[Record], dead: &[Record], count: u64) -> Result<()> {
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
        count == 0 || expected.len() as u64 > count / 400,
        "the stream has malformed records: {}",
        expected.len()
    );
    ensure!(
        places == expected,
        "dead letters for {} records, expected {}",
        places.len(),
        expected.len()
    );
    Ok(())
}

/// Partition and offset of the record that a late record or a dead letter was.
fn source(record: &Record) -> Result<(i32, i64)> {
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
