//! Records of any contract, by their fields.

use millrace_contract::{AnyReader, DecodeError, ReadError};
use millrace_kafka::Misplaced;
use millrace_registry::RegistryError;
use millrace_service::registry::TopicSchemas;
use millrace_service::sink::Taken;
use millrace_sink::Record;

use crate::cells::Cells;
use crate::table::{Row, Rows, Table};

/// Bytes of a body, as most have at most.
const BODY_BYTES: usize = 256;

/// Reads the records of a table.
pub(super) struct Records {
    table: &'static Table,
    reader: Box<dyn AnyReader>,
    /// Of events.
    taken: Option<Taken>,
}

impl Records {
    pub(super) fn new(table: &'static Table, schemas: &TopicSchemas, taken: Option<Taken>) -> Self {
        Self {
            table,
            reader: schemas.any(&table.spec.records),
            taken,
        }
    }

    /// Whether the stream's jobs take an event.
    fn take(&self, record: &Record<'_>, time_ms: i64, key: &[u8]) -> Result<(), DecodeError> {
        let Some(taken) = &self.taken else { return Ok(()) };
        let refused = |code, message: String| DecodeError::Invalid { code, message };
        let checked = taken.limits.check(time_ms, record.append_time_ms);
        checked.map_err(|error| refused(error.code(), error.to_string()))?;
        if taken.is_misplaced(record.origin.partition.partition, record.key, key) {
            let message = "the record lies elsewhere than those of its key".to_owned();
            return Err(refused(Misplaced::CODE, message));
        }
        Ok(())
    }
}

impl Rows for Records {
    fn read(&self, record: &Record<'_>, cells: &mut Cells) -> Result<Row, RegistryError> {
        let mut body = Vec::with_capacity(BODY_BYTES);
        let take = |time_ms, key: &[u8]| self.take(record, time_ms, key);
        let read = self
            .reader
            .read(record.payload.unwrap_or_default(), &take, &mut body);
        let row = match read {
            Ok(()) => self.table.row(&body, cells),
            Err(ReadError::Invalid(error)) => Err(error),
            Err(ReadError::Registry(error)) => return Err(error),
        };
        Ok(row.unwrap_or_else(|error| Row::Skip { code: error.code() }))
    }
}
