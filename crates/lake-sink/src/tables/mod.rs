//! The tables, each made of one topic: a file here says its columns, and how a row is made of a
//! record.

pub mod aggregates;
pub mod anomalies;
pub mod transactions;

use millrace_domain::EventTimeLimits;
use millrace_domain::codec::{AggregateReader, AnomalyReader, TransactionReader};
use millrace_kafka::topic_name;
use millrace_registry::{Registry, SchemaFetcher};
use millrace_service::registry;
use millrace_settings::Settings;
use millrace_sink::Record;

use self::aggregates::Aggregates;
use self::anomalies::Anomalies;
use self::transactions::Transactions;
use crate::name::Day;
use crate::table::{Row, Rows, Table};

/// Every table, in the order of the topics that are read.
pub const TABLES: [&Table; 3] = [&transactions::TABLE, &aggregates::TABLE, &anomalies::TABLE];

/// Their names.
pub(crate) const NAMES: [&str; TABLES.len()] = {
    let mut names = [""; TABLES.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = TABLES[at].name;
        at += 1;
    }
    names
};

/// What reads the records of each table, in the order of [`TABLES`].
pub type Readers = [Box<dyn Rows>; TABLES.len()];

/// Readers that know the newest schemas. Waits for a registry that is away.
///
/// # Errors
/// The registry's settings are wrong, or it refuses.
pub async fn readers(settings: &Settings) -> anyhow::Result<Readers> {
    let config = registry::config(&settings.schema_registry);
    let (client, fetcher) = (Registry::new(config.clone())?, SchemaFetcher::new(config));
    let topic = |table: &Table| topic_name(&settings.kafka, table.topic);
    let transactions: TransactionReader =
        registry::reader(&client, &fetcher, &topic(&transactions::TABLE)).await?;
    let aggregates: AggregateReader = registry::reader(&client, &fetcher, &topic(&aggregates::TABLE)).await?;
    let anomalies: AnomalyReader = registry::reader(&client, &fetcher, &topic(&anomalies::TABLE)).await?;
    Ok(of(settings, transactions, aggregates, anomalies))
}

/// Readers by those of each stream.
#[must_use]
pub fn of(
    settings: &Settings,
    transactions: TransactionReader,
    aggregates: AggregateReader,
    anomalies: AnomalyReader,
) -> Readers {
    let event_time = &settings.aggregator.event_time;
    let limits = EventTimeLimits {
        earliest_ms: Some(event_time.earliest_time.ms()),
        max_future_ms: event_time.max_future_ms,
    };
    [
        Box::new(Transactions {
            reader: transactions,
            limits,
        }),
        Box::new(Aggregates { reader: aggregates }),
        Box::new(Anomalies { reader: anomalies }),
    ]
}

fn value<'a>(record: &Record<'a>) -> &'a [u8] {
    record.payload.unwrap_or_default()
}

/// A row of the day of this time.
fn of_time(time_ms: i64) -> Row {
    Day::of_ms(time_ms).map_or(
        Row::Skip {
            code: "time_out_of_range",
        },
        Row::Of,
    )
}
