//! What the aggregates must be, computed the naive way: over the whole log at once.

use std::collections::{BTreeMap, HashSet};

use anyhow::{Result, ensure};
use millrace_contract::reader::ReadError;
use millrace_domain::codec::TransactionReader;
use millrace_domain::{Currency, ShortId, Totals, Transaction};
use millrace_settings::EventTime;

use crate::topics::Record;

/// Window start, merchant, currency.
pub type AggregateKey = (i64, ShortId, Currency);

/// What a log of transactions comes to.
#[derive(Debug, Default)]
pub struct Expected {
    /// Totals and distinct users of each merchant's window.
    pub aggregates: BTreeMap<AggregateKey, (Totals, u64)>,
    /// Partition and offset of each record that no one can decode, or whose event time is too far
    /// ahead.
    pub dead: Vec<(i32, i64)>,
    /// Every distinct transaction.
    pub transactions: Vec<Transaction>,
    /// Records that repeat a transaction id.
    pub duplicates: usize,
}

/// Sums up the records of the transactions topic, in the order of partition and offset. Those whose
/// partition and offset are in `late` are left out of the aggregates, as they are on the late
/// topic; a late copy of what was in time is a duplicate. Whether they had to be late is not asked
/// here: [`crate::checks::check_undisturbed`] says it.
///
/// # Errors
/// The registry cannot be asked.
pub fn expect(
    records: &[Record],
    reader: &TransactionReader,
    window_ms: i64,
    event_time: &EventTime,
    late: &HashSet<(i32, i64)>,
) -> Result<Expected> {
    let mut expected = Expected::default();
    let mut seen = HashSet::new();
    let mut users: BTreeMap<AggregateKey, HashSet<ShortId>> = BTreeMap::new();
    for record in records {
        let transaction = match reader.read(&record.payload) {
            Ok(transaction) => transaction,
            Err(ReadError::Registry(error)) => return Err(error.into()),
            Err(ReadError::Invalid(_)) => {
                expected.dead.push((record.partition, record.offset));
                continue;
            }
        };
        // Said once more, and not by the method that the services call: this is what they are held
        // to.
        let in_time = transaction
            .check_not_before(event_time.earliest_time.ms())
            .and_then(|()| {
                // What a producer says of the time bounds nothing.
                if record.is_append_time {
                    transaction.check_not_far_future(record.timestamp_ms, event_time.max_future_ms)
                } else {
                    Ok(())
                }
            });
        if in_time.is_err() {
            expected.dead.push((record.partition, record.offset));
        } else if seen.insert(transaction.transaction_id) {
            expected.transactions.push(transaction);
            if !late.contains(&(record.partition, record.offset)) {
                add(&mut expected.aggregates, &mut users, &transaction, window_ms);
            }
        } else {
            expected.duplicates += 1;
        }
    }
    for (key, (_, distinct_users)) in &mut expected.aggregates {
        *distinct_users = users[key].len() as u64;
    }
    ensure!(
        expected.aggregates.len() == users.len(),
        "each aggregate has its users"
    );
    Ok(expected)
}

fn add(
    aggregates: &mut BTreeMap<AggregateKey, (Totals, u64)>,
    users: &mut BTreeMap<AggregateKey, HashSet<ShortId>>,
    transaction: &Transaction,
    window_ms: i64,
) {
    let start_ms = transaction.transaction_time_ms.div_euclid(window_ms) * window_ms;
    let key = (start_ms, transaction.merchant_id, transaction.currency);
    aggregates
        .entry(key)
        .and_modify(|(totals, _)| totals.add(transaction.transaction_type, transaction.amount))
        .or_insert_with(|| (Totals::of(transaction.transaction_type, transaction.amount), 0));
    users.entry(key).or_default().insert(transaction.user_id);
}
