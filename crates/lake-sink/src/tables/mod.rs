//! The tables, each made of one topic: a file here says its columns, and how a row is made of a
//! record.

pub mod aggregates;
pub mod anomalies;
pub mod transactions;

use millrace_contract::{Contract, ReadError, Reader};
use millrace_kafka::topic_name;
use millrace_registry::{Registry, RegistryError, SchemaFetcher};
use millrace_service::registry::{self, TopicSchemas};
use millrace_settings::Settings;
use millrace_sink::Record;

use crate::name::Day;
use crate::table::{Cells, Row, Rows, Table};

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
pub type Readers = Vec<Box<dyn Rows>>;

/// Readers that know the newest schemas. Waits for a registry that is away.
///
/// # Errors
/// The registry's settings are wrong, or it refuses.
pub async fn readers(settings: &Settings) -> anyhow::Result<Readers> {
    let config = registry::config(&settings.schema_registry);
    let (client, fetcher) = (Registry::new(config.clone())?, SchemaFetcher::new(config));
    let mut readers = Readers::new();
    for table in TABLES {
        let topic = topic_name(&settings.kafka, table.topic);
        let schemas = TopicSchemas::ask(&client, &fetcher, &topic).await?;
        readers.push((table.rows)(&schemas, settings));
    }
    Ok(readers)
}

/// Readers that know these schemas, whatever the topic: one that does not fit a topic is left to
/// the values that have it.
#[must_use]
pub fn of(settings: &Settings, schemas: &TopicSchemas) -> Readers {
    let open = |table: &Table| (table.rows)(schemas, settings);
    TABLES.into_iter().map(open).collect()
}

/// Of results: each is a row by itself.
struct Read<T> {
    reader: Reader<T>,
    row: ToRow<T>,
}

/// Puts the cells of a value.
type ToRow<T> = fn(&T, &mut Cells) -> Row;

/// What reads results, each of which `row` makes a row of.
fn open<T: Contract + 'static>(schemas: &TopicSchemas, row: ToRow<T>) -> Box<dyn Rows> {
    Box::new(Read {
        reader: schemas.reader(),
        row,
    })
}

impl<T: Contract> Rows for Read<T> {
    fn read(&self, record: &Record<'_>, cells: &mut Cells) -> Result<Row, RegistryError> {
        Ok(match value(&self.reader, record)? {
            Ok(value) => (self.row)(&value, cells),
            Err(bad) => bad,
        })
    }
}

/// The value of a record; or that a bad one is no row.
fn value<T: Contract>(reader: &Reader<T>, record: &Record<'_>) -> Result<Result<T, Row>, RegistryError> {
    Ok(match reader.read(record.payload.unwrap_or_default()) {
        Ok(value) => Ok(value),
        Err(ReadError::Invalid(error)) => Err(Row::Skip { code: error.code() }),
        Err(ReadError::Registry(error)) => return Err(error),
    })
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

#[cfg(test)]
mod tests {
    use millrace_catalog::{Installation, Service, rows_of};

    use super::*;

    #[test]
    fn the_catalogs_rows_are_the_tables() {
        let topics = TABLES.iter().map(|table| table.topic);
        assert!(topics.eq(rows_of(Service::LakeSink, Installation::ALL)));
    }
}
