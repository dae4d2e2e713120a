//! From a record's bytes to its rows.

use std::fmt::Debug;

use millrace_contract::{Contract, Reader};
use millrace_domain::texts::InFlight;
use millrace_registry::RegistryError;
use millrace_service::registry::TopicSchemas;
use millrace_service::sink;
use millrace_settings::Settings;

use crate::row::Row;
use crate::stream::{Line, Stream};
use crate::tables::NoRow;

/// Makes what makes rows of a topic's values.
pub(crate) type Open = fn(&TopicSchemas) -> Box<dyn Rows>;

/// The rows of a value that was read at an offset.
type ToRows<T> = fn(&T, i64) -> Result<Vec<Row>, NoRow>;

/// The rows of a value; of one that gives none, the bounded name of why.
type Made = Result<Vec<Row>, &'static str>;

/// Makes rows of a topic's values.
pub(crate) trait Rows: Send + Sync + Debug {
    /// The rows of a value that was read at `offset`.
    ///
    /// # Errors
    /// Nothing is known of the value, as the registry cannot be asked for its schema.
    fn of(&self, value: &[u8], offset: i64) -> Result<Made, RegistryError>;
}

/// What makes rows of values by `rows`.
pub(crate) fn open<T: Contract + Debug + 'static>(schemas: &TopicSchemas, rows: ToRows<T>) -> Box<dyn Rows> {
    Box::new(Read {
        reader: schemas.reader(),
        rows,
    })
}

#[derive(Debug)]
struct Read<T> {
    reader: Reader<T>,
    rows: ToRows<T>,
}

impl<T: Contract + Debug> Rows for Read<T> {
    fn of(&self, value: &[u8], offset: i64) -> Result<Made, RegistryError> {
        Ok(match sink::value(&self.reader, value)? {
            Ok(value) => (self.rows)(&value, offset).map_err(|NoRow { code }| code),
            Err(error) => Err(error.code()),
        })
    }
}

/// What makes rows of the records of each stream, in their order.
#[derive(Debug)]
pub struct Readers(Vec<Box<dyn Rows>>);

impl Readers {
    /// Readers that have the newest schemas. Waits for a registry that is away.
    ///
    /// # Errors
    /// The registry's settings are wrong, or it refuses.
    pub async fn ask(settings: &Settings) -> anyhow::Result<Self> {
        let topics = Stream::all().map(|stream| (stream.topic(settings), stream.line()));
        let open = |line: &Line, schemas: &TopicSchemas| (line.rows)(schemas);
        Ok(Self(sink::readers(settings, topics, open).await?))
    }

    /// Readers that know these schemas, whatever the topic: one that does not fit a topic is left
    /// to the values that have it.
    #[must_use]
    pub fn of(schemas: &TopicSchemas) -> Self {
        Self(
            Stream::all()
                .map(|stream| (stream.line().rows)(schemas))
                .collect(),
        )
    }

    /// The rows of a record at `offset`; of one that gives none, the bounded name of why.
    pub(crate) fn rows(&self, stream: Stream, value: &[u8], offset: i64) -> Result<Made, RegistryError> {
        let _round = InFlight::begin();
        self.0[stream.at()].of(value, offset)
    }
}

#[cfg(test)]
mod tests {
    use millrace_clickstream::{Page, PageViews};
    use millrace_contract::Encode as _;
    use millrace_registry::{SchemaFetcher, WriterSchema};
    use millrace_service::registry;

    use super::*;

    const SCHEMA_ID: u32 = 7;

    #[test]
    fn a_value_is_read_by_its_streams_line() {
        let own = WriterSchema::avro(PageViews::SCHEMA);
        let fetcher = SchemaFetcher::new(registry::config(&Settings::default().schema_registry));
        let readers = Readers::of(&TopicSchemas::new(fetcher, Some((SCHEMA_ID, own))));
        let views = PageViews {
            page: Page::new("/cart").unwrap(),
            window_start_ms: 1_767_225_540_000,
            window_end_ms: 1_767_225_600_000,
            views: 7,
            visitors: 3,
        };
        let mut value = Vec::new();
        views.encode_framed(SCHEMA_ID, &mut value);
        for stream in Stream::all() {
            assert_eq!(
                readers.rows(stream, &[1, 2], 3).unwrap().unwrap_err(),
                "wrong_magic"
            );
        }
        let page_views = Stream::all().find(|stream| stream.label() == "page_views");
        let rows = readers.rows(page_views.unwrap(), &value, 3).unwrap().unwrap();
        assert_eq!(rows.len(), 1);
    }
}
