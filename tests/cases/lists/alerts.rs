//! The alerts that there must be, by a naive look at the entries that held at each offset.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use millrace_catalog::payments::topic;
use millrace_domain::codec::{AnomalyReader, DecodedAnomaly, TransactionReader};
use millrace_domain::{Transaction, TransactionId};
use millrace_tests::{TestContext, pipeline, topics};
use serde_json::Value;

/// By partition: from which offset on which lists hold, in their order.
async fn lists_by_offset(context: &TestContext) -> Result<BTreeMap<i32, Vec<(i64, Value)>>> {
    let mut lists = BTreeMap::<i32, Vec<(i64, Value)>>::new();
    for record in topics::read(&context.settings, topic::ANOMALIES_CONTROL).await? {
        let control: Value = serde_json::from_slice(&record.payload)?;
        if control["kind"] == "configure" {
            let policy: Value = serde_json::from_str(control["policy"].as_str().context("a policy")?)?;
            let offset = control["offset"].as_i64().context("an offset")?;
            lists
                .entry(record.partition)
                .or_default()
                .push((offset, policy["lists"].clone()));
        }
    }
    Ok(lists)
}

/// Until when an entry holds that may be there: for ever where it says nothing.
fn until_ms(entry: &Value) -> Option<i64> {
    match entry {
        Value::Null => Some(i64::MAX),
        other => other.as_i64(),
    }
}

/// Whether an entity is on a list at an event time, and whether it was until a time before.
fn holds(of: Option<&serde_json::Map<String, Value>>, entity: &str, time_ms: i64) -> (bool, bool) {
    let until_ms = of.and_then(|of| of.get(entity)).and_then(until_ms);
    let holds = until_ms.is_some_and(|until_ms| time_ms < until_ms);
    (holds, until_ms.is_some() && !holds)
}

#[derive(Debug, Default)]
struct Found {
    accepted: usize,
    denied: usize,
    denied_no_more: usize,
    snoozed: usize,
    snoozed_no_more: usize,
}

pub(super) async fn check(context: &TestContext) -> Result<()> {
    let lists = lists_by_offset(context).await?;
    ensure!(lists.len() == 5, "{:?}", lists.keys());
    for (partition, changes) in &lists {
        let taken: BTreeSet<_> = changes.iter().map(|(_, lists)| lists.to_string()).collect();
        ensure!(taken.len() >= 7, "partition {partition}: {} lists", taken.len());
    }
    let mut alerts = BTreeMap::<String, BTreeSet<TransactionId>>::new();
    for alert in alerts_of(context).await? {
        let id = alert.transaction_ids.last().context("evidence")?;
        alerts.entry(alert.rule.clone()).or_default().insert(*id);
    }
    let none = BTreeSet::new();
    let of = |rule: &str| alerts.get(rule).unwrap_or(&none);
    let mut found = Found::default();
    let mut seen = BTreeSet::new();
    for (partition, offset, transaction) in transactions(context).await? {
        let id = transaction.transaction_id;
        if !seen.insert(id) || !of("all").contains(&id) {
            continue;
        }
        let now = lists[&partition].iter().rev().find(|(from, _)| *from <= offset);
        let now = &now.context("a policy before the first record")?.1;
        let time_ms = transaction.transaction_time_ms;
        let (user, merchant) = (
            transaction.user_id.to_string(),
            transaction.merchant_id.to_string(),
        );
        let deny = &now["lists"]["deny"];
        let by_user = holds(deny["user"].as_object(), &user, time_ms);
        let by_merchant = holds(deny["merchant"].as_object(), &merchant, time_ms);
        let is_denied = by_user.0 || by_merchant.0;
        let (is_snoozed, was_snoozed) = holds(now["snoozes"]["busy"].as_object(), &user, time_ms);
        ensure!(
            of("denied").contains(&id) == is_denied,
            "{partition}:{offset}: {transaction:?} denied: {is_denied}"
        );
        ensure!(
            of("busy").contains(&id) != is_snoozed,
            "{partition}:{offset}: {transaction:?} snoozed: {is_snoozed}"
        );
        found.accepted += 1;
        found.denied += usize::from(is_denied);
        found.denied_no_more += usize::from(by_user.1);
        found.snoozed += usize::from(is_snoozed);
        found.snoozed_no_more += usize::from(was_snoozed);
    }
    eprintln!("lists: {found:?}, twice watched {}", of("watched_twice").len());
    ensure!(found.accepted == of("all").len(), "{found:?}");
    let least = [
        found.denied,
        found.denied_no_more,
        found.snoozed,
        found.snoozed_no_more,
    ];
    ensure!(!least.contains(&0), "each happens: {found:?}");
    ensure!(!of("watched_twice").is_empty(), "a feature of a list");
    Ok(())
}

async fn alerts_of(context: &TestContext) -> Result<Vec<DecodedAnomaly>> {
    let records = topics::read(&context.settings, topic::ANOMALIES).await?;
    let reader = AnomalyReader::new(pipeline::schemas(context));
    let read = move || -> std::result::Result<Vec<_>, _> {
        records
            .iter()
            .map(|record| reader.read(&record.payload))
            .collect()
    };
    Ok(tokio::task::spawn_blocking(read).await??)
}

/// Those that can be read, in the order of their offsets.
async fn transactions(context: &TestContext) -> Result<Vec<(i32, i64, Transaction)>> {
    let mut records = topics::read(&context.settings, topic::TRANSACTIONS).await?;
    records.sort_by_key(|record| (record.partition, record.offset));
    let reader = TransactionReader::new(pipeline::schemas(context));
    let read = move || {
        let read = records.iter().filter_map(|record| {
            let transaction = reader.read(&record.payload).ok()?;
            Some((record.partition, record.offset, transaction))
        });
        read.collect()
    };
    Ok(tokio::task::spawn_blocking(read).await?)
}
