//! What is asked of the tables: one of them has the answer, in partitions that are known.

use anyhow::Context as _;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use millrace_domain::{EntityType, Sum};
use scylla::client::session::Session;
use scylla::statement::prepared::PreparedStatement;
use scylla::value::{CqlDate, CqlTimestamp, CqlValue, Row as Found};
use serde_json::{Map, Value as Json, json};

use crate::row::{DAY_MS, cql_date, units};
use crate::table::{Role, Table};
use crate::tables::aggregates::BY_MERCHANT;
use crate::tables::anomalies::{BUCKETS, BY_DAY, BY_ENTITY, month};
use crate::tables::page_views::BY_PAGE;

/// Partitions that are read at once.
const AT_ONCE: usize = 16;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// A merchant's windows, of all currencies.
    Merchant(String),
    /// Alerts about a user or a merchant.
    Alerts(EntityType, String),
    /// Alerts about anybody.
    AllAlerts,
    /// A page's windows.
    Page(String),
}

/// The time that is asked about, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first.
    pub from_ms: i64,
    /// The first that is none of it.
    pub to_ms: i64,
}

/// Rows of a table, the newest first.
#[derive(Debug)]
pub struct Answer {
    /// The table.
    pub table: &'static Table,
    /// The rows, each with a value for each column that it has one for.
    pub rows: Vec<Vec<Option<CqlValue>>>,
    /// Whether there are more than were asked for.
    pub is_cut: bool,
}

impl Span {
    /// A day in UTC.
    ///
    /// # Errors
    /// It is the last day that there is.
    pub fn day(day: Date) -> anyhow::Result<Self> {
        let start = day.to_zoned(TimeZone::UTC).context("no such day")?;
        let from_ms = start.timestamp().as_millisecond();
        Ok(Self {
            from_ms,
            to_ms: from_ms + DAY_MS,
        })
    }

    /// The days it touches, by their numbers since 1970, the newest first.
    fn days(self) -> impl Iterator<Item = i64> {
        (self.from_ms.div_euclid(DAY_MS)..=(self.to_ms - 1).div_euclid(DAY_MS)).rev()
    }

    /// The first days of the months it touches, the newest first.
    fn months(self) -> Vec<i64> {
        let mut months: Vec<i64> = self.days().map(|day| month(day * DAY_MS)).collect();
        months.dedup();
        months
    }
}

impl Question {
    /// The table that has the answer.
    #[must_use]
    pub fn table(&self) -> &'static Table {
        match self {
            Self::Merchant(_) => &BY_MERCHANT,
            Self::Alerts(..) => &BY_ENTITY,
            Self::AllAlerts => &BY_DAY,
            Self::Page(_) => &BY_PAGE,
        }
    }

    /// The keys of the partitions that have it, the newest first.
    fn partitions(&self, span: Span) -> Vec<Vec<CqlValue>> {
        let text = |text: &str| CqlValue::Text(text.to_owned());
        let date = |days| CqlValue::Date(cql_date(days));
        let of_days = |key: &str| span.days().map(|day| vec![text(key), date(day)]).collect();
        match self {
            Self::Merchant(id) => of_days(id),
            Self::Page(page) => of_days(page),
            Self::Alerts(kind, id) => {
                let months = span.months().into_iter();
                months
                    .map(|month| vec![text(kind.as_str()), text(id), date(month)])
                    .collect()
            }
            Self::AllAlerts => {
                let of_day = |day| (0..BUCKETS).map(move |bucket| vec![date(day), CqlValue::TinyInt(bucket)]);
                span.days().flat_map(of_day).collect()
            }
        }
    }
}

/// Asks for at most `limit` rows.
///
/// # Errors
/// The cluster does not answer, or has no such table: the sink has not run.
pub async fn ask(
    session: &Session,
    keyspace: &str,
    question: &Question,
    span: Span,
    limit: usize,
) -> anyhow::Result<Answer> {
    let table = question.table();
    let time = time_column(table);
    // A range of the order's first column is read alone; else the partition is.
    let is_first = table.columns[..time]
        .iter()
        .all(|column| column.role == Role::Partition);
    let bounds = [CqlTimestamp(span.from_ms), CqlTimestamp(span.to_ms)].map(CqlValue::Timestamp);
    let conditions = ["from", "to"].map(|end| {
        let sign = if end == "from" { ">=" } else { "<" };
        format!("{} {sign} ?", table.columns[time].name)
    });
    let conditions: Vec<&str> = conditions
        .iter()
        .map(String::as_str)
        .filter(|_| is_first)
        .collect();
    let prepared = session.prepare(table.select(keyspace, &conditions)).await;
    let select = prepared.with_context(|| {
        format!(
            "asking {keyspace}.{}; cassandra-sink makes it at its first start",
            table.name
        )
    })?;
    let reads = question.partitions(span).into_iter().map(|mut key| {
        key.extend(bounds.iter().filter(|_| is_first).cloned());
        // The order of a table whose first column is another is not that of time.
        let most = if is_first { limit + 1 } else { usize::MAX };
        read(session, select.clone(), key, time, span, most)
    });
    let mut parts = stream::iter(reads).buffered(AT_ONCE);
    let mut rows: Vec<Vec<Option<CqlValue>>> = Vec::new();
    while let Some(mut part) = parts.try_next().await? {
        rows.append(&mut part);
        // Parts of one day lie side by side in time.
        if rows.len() > limit && *question != Question::AllAlerts {
            break;
        }
    }
    rows.sort_by_key(|row| std::cmp::Reverse(time_of(row, time)));
    let is_cut = rows.len() > limit;
    rows.truncate(limit);
    Ok(Answer { table, rows, is_cut })
}

/// The first rows of a partition, `most` of them.
async fn read(
    session: &Session,
    select: PreparedStatement,
    key: Vec<CqlValue>,
    time: usize,
    span: Span,
    most: usize,
) -> anyhow::Result<Vec<Vec<Option<CqlValue>>>> {
    let pager = session.execute_iter(select, key).await?;
    let rows = pager.rows_stream::<Found>()?;
    let within = |row: &Found| {
        let at = time_of(&row.columns, time);
        let is_in = at.is_some_and(|at| (span.from_ms..span.to_ms).contains(&at));
        std::future::ready(is_in)
    };
    let found = rows.map_err(anyhow::Error::from).try_filter(within).take(most);
    found.map_ok(|row| row.columns).try_collect().await
}

/// The column of the order that is a time.
fn time_column(table: &Table) -> usize {
    let is_time = |role| role == Role::Descending;
    table
        .columns
        .iter()
        .position(|column| is_time(column.role))
        .unwrap_or_default()
}

fn time_of(row: &[Option<CqlValue>], time: usize) -> Option<i64> {
    Some(row.get(time)?.as_ref()?.as_cql_timestamp()?.0)
}

/// A value as a person reads it.
#[must_use]
pub fn shown(value: &CqlValue) -> String {
    match of_value(value) {
        Json::String(text) => text,
        other => other.to_string(),
    }
}

/// A row as a JSON object, without what it has no value for.
#[must_use]
pub fn object(table: &Table, row: &[Option<CqlValue>]) -> Map<String, Json> {
    let columns = table.columns.iter().zip(row);
    let there =
        columns.filter_map(|(column, value)| Some((column.name.to_owned(), of_value(value.as_ref()?))));
    there.collect()
}

/// The value of a column of a row; `None` where the row has none.
#[must_use]
pub fn value<'a>(table: &Table, row: &'a [Option<CqlValue>], name: &str) -> Option<&'a CqlValue> {
    let at = table.columns.iter().position(|column| column.name == name)?;
    row.get(at)?.as_ref()
}

/// A value as JSON: money as text, as a number need not keep its digits.
fn of_value(value: &CqlValue) -> Json {
    match value {
        CqlValue::Text(text) => json!(text),
        CqlValue::BigInt(value) => json!(value),
        CqlValue::Int(value) => json!(value),
        CqlValue::TinyInt(value) => json!(value),
        CqlValue::Double(value) => json!(value),
        CqlValue::Uuid(id) => json!(id.to_string()),
        CqlValue::Timestamp(CqlTimestamp(time_ms)) => {
            let time = jiff::Timestamp::from_millisecond(*time_ms);
            time.map_or_else(|_| json!(time_ms), |time| json!(time.to_string()))
        }
        CqlValue::Date(CqlDate(days)) => {
            let time_ms = (i64::from(*days) - (1 << 31)).saturating_mul(DAY_MS);
            let time = jiff::Timestamp::from_millisecond(time_ms);
            time.map_or(Json::Null, |time| {
                json!(time.to_zoned(TimeZone::UTC).date().to_string())
            })
        }
        CqlValue::Decimal(decimal) => {
            units(decimal).map_or(Json::Null, |units| json!(Sum::from_units(units).to_string()))
        }
        CqlValue::List(values) => values.iter().map(of_value).collect(),
        CqlValue::Map(entries) => entries
            .iter()
            .map(|(name, value)| (shown(name), of_value(value)))
            .collect(),
        // No table of these has another type.
        _ => Json::Null,
    }
}

/// Money in units of 1/10,000, of a column that has it.
#[must_use]
pub fn money(value: &CqlValue) -> Option<i128> {
    match value {
        CqlValue::Decimal(decimal) => units(decimal),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn over(from: Date, to: Date) -> Span {
        Span {
            from_ms: Span::day(from).unwrap().from_ms,
            to_ms: Span::day(to).unwrap().to_ms,
        }
    }

    #[test]
    fn a_question_is_of_the_partitions_that_its_time_touches() {
        let span = over(date(2026, 1, 31), date(2026, 2, 1));
        let keys = |question: &Question| -> Vec<String> {
            let partitions = question.partitions(span);
            partitions
                .iter()
                .map(|key| key.iter().map(shown).collect::<Vec<_>>().join(" "))
                .collect()
        };
        assert_eq!(
            keys(&Question::Merchant("m-1".to_owned())),
            ["m-1 2026-02-01", "m-1 2026-01-31"]
        );
        assert_eq!(
            keys(&Question::Alerts(EntityType::User, "u-1".to_owned())),
            ["user u-1 2026-02-01", "user u-1 2026-01-01"]
        );
        let all = keys(&Question::AllAlerts);
        assert_eq!((all.len(), all[0].as_str()), (32, "2026-02-01 0"));
        let day = Span::day(date(2026, 1, 31)).unwrap();
        assert_eq!(day.days().count(), 1);
    }

    #[test]
    fn the_time_is_a_column_of_each_tables_order() {
        for table in crate::tables::all() {
            assert_eq!(
                table.columns[time_column(table)].kind,
                "timestamp",
                "{}",
                table.name
            );
        }
    }

    #[test]
    fn values_are_shown_as_they_are_meant() {
        let decimal = match crate::row::money(Sum::from_units(-1_234_567)) {
            crate::row::Cell::Set(value) => value,
            crate::row::Cell::Unset => panic!("no money"),
        };
        assert_eq!(shown(&decimal), "-123.4567");
        assert_eq!(money(&decimal), Some(-1_234_567));
        assert_eq!(
            shown(&CqlValue::Timestamp(CqlTimestamp(0))),
            "1970-01-01T00:00:00Z"
        );
        let row = [Some(CqlValue::Text("/cart".to_owned())), None];
        assert_eq!(Json::from(object(&BY_PAGE, &row)), json!({"page": "/cart"}));
    }
}
