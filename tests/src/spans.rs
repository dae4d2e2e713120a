//! Sums where windows had several sizes: each result against the naive sum over its own span.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use anyhow::{Context, Result, ensure};
use millrace_catalog::payments::topic;
use millrace_domain::codec::{AggregateReader, TransactionReader};
use millrace_domain::{Currency, ShortId, Totals};

use crate::checks::source;
use crate::{TestContext, pipeline, topics};

/// The windows of a merchant and a currency: end, expected and found totals, by start.
type Spans = BTreeMap<i64, (i64, Option<Totals>, Totals)>;

/// What was found to be right.
#[derive(Debug)]
pub struct Found {
    /// Final results.
    pub aggregates: usize,
    /// The sizes of their windows, in milliseconds.
    pub sizes_ms: BTreeSet<i64>,
    /// Records on the late topic.
    pub late: usize,
}

/// Every accepted transaction that is not on the late topic is in one final result, once: results
/// of a merchant and a currency do not overlap, each is the sum over its span, and none lacks a
/// span. Distinct users are not looked at: where partitions were added, or sources had different
/// windows, a user may count twice.
///
/// # Errors
/// Something differs; the first difference.
pub async fn check_spans(context: &TestContext) -> Result<Found> {
    let settings = &context.settings;
    let sent = topics::read(settings, topic::TRANSACTIONS).await?;
    let late = topics::read(settings, topic::LATE).await?;
    let aggregates = topics::read(settings, topic::AGGREGATES).await?;
    let fetcher = pipeline::schemas(context);
    tokio::task::spawn_blocking(move || {
        let reader = AggregateReader::new(fetcher.clone());
        let mut spans: BTreeMap<(ShortId, Currency), Spans> = BTreeMap::new();
        let (mut count, mut sizes_ms) = (0, BTreeSet::new());
        for record in &aggregates {
            let found = reader.read(&record.payload)?;
            if !found.is_final() {
                continue;
            }
            let of_key = spans.entry((found.merchant_id, found.currency)).or_default();
            let (start_ms, end_ms) = (found.window_start_ms, found.window_end_ms);
            let before = of_key.insert(start_ms, (end_ms, None, found.totals));
            ensure!(before.is_none(), "two results for {found:?}");
            sizes_ms.insert(end_ms - start_ms);
            count += 1;
        }
        for of_key in spans.values() {
            let bounds: Vec<_> = of_key.iter().map(|(start_ms, (end_ms, ..))| (*start_ms, *end_ms)).collect();
            ensure!(
                bounds.windows(2).all(|pair| pair[0].1 <= pair[1].0),
                "windows overlap: {bounds:?}"
            );
        }
        let late: HashSet<(i32, i64)> = late.iter().map(source).collect::<Result<_>>()?;
        let reader = TransactionReader::new(fetcher);
        let mut seen = HashSet::new();
        for record in &sent {
            let transaction = reader.read(&record.payload)?;
            if !seen.insert(transaction.transaction_id) || late.contains(&(record.partition, record.offset)) {
                continue;
            }
            let of_key = spans.get_mut(&(transaction.merchant_id, transaction.currency));
            let time_ms = transaction.transaction_time_ms;
            let (end_ms, expected, _) = of_key
                .and_then(|of_key| of_key.range_mut(..=time_ms).next_back())
                .map(|(_, span)| span)
                .filter(|(end_ms, ..)| time_ms < *end_ms)
                .with_context(|| format!("no result has {transaction:?}"))?;
            let (kind, amount) = (transaction.transaction_type, transaction.amount);
            ensure!(time_ms < *end_ms, "a span of its own");
            match expected {
                Some(totals) => totals.add(kind, amount),
                None => *expected = Some(Totals::of(kind, amount)),
            }
        }
        for ((merchant, currency), of_key) in &spans {
            for (start_ms, (end_ms, expected, found)) in of_key {
                ensure!(
                    expected.as_ref() == Some(found),
                    "{merchant:?} {currency} from {start_ms} to {end_ms}: expected {expected:?}, found {found:?}"
                );
            }
        }
        Ok(Found {
            aggregates: count,
            sizes_ms,
            late: late.len(),
        })
    })
    .await?
}
