//! What the rows must be, worked out of the topics at once.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use millrace_cassandra_sink::read::shown;
use millrace_cassandra_sink::table::Table;
use millrace_cassandra_sink::tables::{aggregates, anomalies, page_views};
use millrace_clickstream::PageViews;
use millrace_contract::reader::Contract as _;
use millrace_domain::codec;
use millrace_kafka::clock::now_ms;
use millrace_tests::{TestContext, topics};
use scylla::value::{CqlTimestamp, CqlValue};

use super::{AGGREGATES, ANOMALIES, DAY_MS, PAGE_VIEWS, Rows};

/// Values of some columns, by what identifies a result.
type Results = BTreeMap<String, Vec<String>>;
/// A result: what identifies it, its version, and the values.
type Found = Option<(String, i32, Vec<String>)>;

/// The rows are what is made of the topics at once: of each window the highest revision, of two
/// records of one the first in the log, and nothing older than rows are kept.
pub(super) async fn is_expected(context: &TestContext, rows: &Rows) -> Result<()> {
    let oldest_ms = now_ms() - i64::from(context.settings.cassandra_sink.keep_days) * DAY_MS;
    let aggregates = kept(context, AGGREGATES, |body| aggregate(body, oldest_ms)).await?;
    let columns = "purchase_count purchase_sum refund_count refund_sum distinct_users revision";
    let key = "merchant_id currency window_start";
    are(rows, &aggregates::BY_MERCHANT, key, columns, &aggregates)?;
    let alerts = kept(context, ANOMALIES, alert).await?;
    let columns = "entity_type entity event_time rule score detection_time";
    are(rows, &anomalies::BY_ENTITY, "id", columns, &alerts)?;
    are(rows, &anomalies::BY_DAY, "id", columns, &alerts)?;
    let views = kept(context, PAGE_VIEWS, |body| page_views(body, oldest_ms)).await?;
    are(
        rows,
        &page_views::BY_PAGE,
        "page window_start",
        "views visitors",
        &views,
    )
}

/// The rows of a table have these values in these columns, and there are no others.
fn are(rows: &Rows, table: &Table, key: &str, columns: &str, expected: &Results) -> Result<()> {
    ensure!(!expected.is_empty(), "nothing is expected of {}", table.name);
    let mut found = Results::new();
    for ((_, _), (values, _)) in rows.iter().filter(|((name, _), _)| *name == table.name) {
        let of = |names: &str| -> Result<Vec<String>> {
            let names = names.split(' ').map(|name| {
                let at = table.columns.iter().position(|column| column.name == name);
                Ok(values[at.with_context(|| format!("no column {name}"))?].clone())
            });
            names.collect()
        };
        found.insert(of(key)?.join(" "), of(columns)?);
    }
    for (key, values) in expected {
        let row = found.get(key);
        let name = table.name;
        ensure!(row == Some(values), "{name} of {key}: {row:?}, not {values:?}");
    }
    ensure!(found.len() == expected.len(), "{} has rows too many", table.name);
    Ok(())
}

fn aggregate(body: &[u8], oldest_ms: i64) -> Found {
    let it = codec::aggregate::decode(body).ok()?;
    let totals = &it.totals;
    let values = [
        totals.purchase_count.to_string(),
        totals.purchase_sum.to_string(),
        totals.refund_count.to_string(),
        totals.refund_sum.to_string(),
        it.distinct_users.to_string(),
        it.revision.to_string(),
    ];
    let key = format!("{} {} {}", it.merchant_id, it.currency, time(it.window_start_ms));
    (it.window_start_ms > oldest_ms).then(|| (key, it.revision, values.to_vec()))
}

fn alert(body: &[u8]) -> Found {
    let it = codec::anomaly::decode(body).ok()?;
    let values = [
        it.entity_type.as_str().to_owned(),
        it.entity.to_string(),
        time(it.event_time_ms),
        it.rule.clone(),
        format!("{:?}", it.score),
        time(it.detection_time_ms),
    ];
    Some((it.id.to_string(), 0, values.to_vec()))
}

fn page_views(body: &[u8], oldest_ms: i64) -> Found {
    let it = PageViews::decode(body).ok()?;
    let values = [it.views.to_string(), it.visitors.to_string()];
    let key = format!("{} {}", it.page.as_str(), time(it.window_start_ms));
    (it.window_start_ms > oldest_ms).then(|| (key, 0, values.to_vec()))
}

/// Of a topic's records that can be read, in the order of their partition, those of the highest
/// version; of several the first.
async fn kept(context: &TestContext, topic: &str, read: impl Fn(&[u8]) -> Found) -> Result<Results> {
    let mut kept: BTreeMap<String, (i32, Vec<String>)> = BTreeMap::new();
    for record in topics::read(&context.settings, topic).await? {
        // Without the registry's framing.
        let Some((key, version, values)) = record.payload.get(5..).and_then(&read) else {
            continue;
        };
        if kept.get(&key).is_none_or(|(before, _)| version > *before) {
            kept.insert(key, (version, values));
        }
    }
    let results = kept.into_iter().map(|(key, (_, values))| (key, values));
    Ok(results.collect())
}

fn time(time_ms: i64) -> String {
    shown(&CqlValue::Timestamp(CqlTimestamp(time_ms)))
}
