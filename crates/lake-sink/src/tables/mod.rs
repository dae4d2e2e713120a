//! The tables: those of the catalog, each made of one topic by the schema of its records.

mod records;
mod transactions;

use std::sync::LazyLock;

use millrace_catalog::payments::topic::TRANSACTIONS;
use millrace_catalog::{PIPELINES, Pipeline, Service, rows_of};
use millrace_kafka::{SourcePartitions, topic_name};
use millrace_registry::{Registry, SchemaFetcher};
use millrace_service::registry::{self, TopicSchemas};
use millrace_service::sink::Taken;
use millrace_settings::{EventTime, MisplacedRecords, Settings};
use millrace_telemetry::Shutdown;

use self::records::Records;
use self::transactions::Transactions;
use crate::table::{Rows, Table};

/// Every table, in the order of the catalog.
///
/// # Panics
/// A line of the catalog makes no table, which the tests of each would have told.
pub static TABLES: LazyLock<Vec<Table>> = LazyLock::new(|| {
    let rows = |pipeline: &&'static Pipeline| {
        let service = pipeline.enabled_by;
        pipeline.rows.iter().map(move |rows| (service, rows))
    };
    let mut tables = Vec::new();
    for (service, rows) in PIPELINES.iter().flat_map(rows) {
        if let Some(spec) = &rows.table {
            let table = Table::of(rows.stream, service, spec);
            tables.push(table.unwrap_or_else(|error| panic!("the table {}: {error}", spec.name)));
        }
    }
    tables
});

/// Their names.
pub(crate) const NAMES: [&str; count()] = {
    let mut names = [""; count()];
    let (mut found, mut pipeline) = (0, 0);
    while pipeline < PIPELINES.len() {
        let (rows, mut at) = (PIPELINES[pipeline].rows, 0);
        while at < rows.len() {
            if let Some(table) = &rows[at].table {
                names[found] = table.name;
                found += 1;
            }
            at += 1;
        }
        pipeline += 1;
    }
    names
};

const fn count() -> usize {
    let (mut count, mut pipeline) = (0, 0);
    while pipeline < PIPELINES.len() {
        let (rows, mut at) = (PIPELINES[pipeline].rows, 0);
        while at < rows.len() {
            count += rows[at].table.is_some() as usize;
            at += 1;
        }
        pipeline += 1;
    }
    count
}

/// The table of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Table> {
    TABLES.iter().find(|table| table.name == name)
}

/// The tables of the pipelines that there are by the settings.
pub fn there(settings: &Settings) -> impl Iterator<Item = &'static Table> {
    let topics: Vec<_> = rows_of(Service::LakeSink, settings.installation()).collect();
    TABLES.iter().filter(move |table| topics.contains(&table.topic))
}

/// A table, with what reads the records of its topic.
pub struct TableReader {
    /// The table.
    pub(crate) table: &'static Table,
    /// What reads its records.
    pub(crate) rows: Box<dyn Rows>,
}

/// Readers of the tables that there are, which know the newest schemas. Waits for a registry, and
/// for brokers, that are away.
///
/// # Errors
/// The registry's settings are wrong, or it refuses; a topic is missing, or `shutdown`.
pub async fn readers(settings: &Settings, shutdown: &Shutdown) -> anyhow::Result<Vec<TableReader>> {
    let config = registry::config(&settings.schema_registry);
    let (client, fetcher) = (Registry::new(config.clone())?, SchemaFetcher::new(config));
    let mut readers = Vec::new();
    for table in there(settings) {
        let topic = topic_name(&settings.kafka, table.topic);
        let schemas = TopicSchemas::ask(&client, &fetcher, &topic).await?;
        let partitions = match jobs(settings, table) {
            Some((_, misplaced)) => Taken::partitions(&settings.kafka, &topic, misplaced, shutdown).await?,
            None => None,
        };
        readers.push(open(settings, table, &schemas, partitions));
    }
    Ok(readers)
}

/// Readers of these tables that know these schemas, whatever the topic: one that does not fit a
/// topic is left to the values that have it. Misplaced records are taken.
#[must_use]
pub fn of(
    settings: &Settings,
    tables: impl IntoIterator<Item = &'static Table>,
    schemas: &TopicSchemas,
) -> Vec<TableReader> {
    let tables = tables.into_iter();
    tables.map(|table| open(settings, table, schemas, None)).collect()
}

fn open(
    settings: &Settings,
    table: &'static Table,
    schemas: &TopicSchemas,
    partitions: Option<SourcePartitions>,
) -> TableReader {
    let taken = jobs(settings, table).map(|(event_time, _)| Taken::of(event_time, partitions));
    TableReader {
        table,
        rows: match (table.topic, taken) {
            // They are many: a shorter way to the same cells.
            (TRANSACTIONS, Some(taken)) => Box::new(Transactions::new(schemas.reader(), taken)),
            (_, taken) => Box::new(Records::new(table, schemas, taken)),
        },
    }
}

/// What the jobs of a table's events are set with: what they refuse is their dead letter, and no
/// row. `None` of results.
fn jobs<'s>(settings: &'s Settings, table: &Table) -> Option<(&'s EventTime, MisplacedRecords)> {
    if !table.spec.records.is_of_events {
        return None;
    }
    match table.service {
        Some(service) => {
            let jobs = settings.stream_jobs(service)?;
            Some((jobs.event_time, jobs.misplaced_records))
        }
        None => Some((
            &settings.aggregator.event_time,
            settings.aggregator.misplaced_records,
        )),
    }
}

#[cfg(test)]
mod tests;
