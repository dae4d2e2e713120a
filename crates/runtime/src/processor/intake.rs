//! How a partition's values become an operator's records.

use millrace_contract::{Contract, ReadAhead, ReadError, Reader};
use millrace_kafka::InputRecord;

/// Reads the values of one partition.
pub trait Intake {
    /// What they are read as.
    type Record;

    /// Reads the records that most probably come next, for the operator to prepare for; none where
    /// nothing is read ahead.
    fn read_ahead(&mut self, _inputs: &[InputRecord<'_>]) -> &[Self::Record] {
        &[]
    }

    /// Reads the next record.
    ///
    /// # Errors
    /// The value is bad, or its schema is not known and the registry cannot be asked.
    fn read(&mut self, input: &InputRecord<'_>) -> Result<&Self::Record, ReadError>;
}

impl<T: Contract> Intake for ReadAhead<T> {
    type Record = T;

    #[inline]
    fn read_ahead(&mut self, inputs: &[InputRecord<'_>]) -> &[T] {
        let values = inputs
            .iter()
            .map(|input| (input.offset, input.payload.unwrap_or_default()));
        self.decode(values)
    }

    #[inline]
    fn read(&mut self, input: &InputRecord<'_>) -> Result<&T, ReadError> {
        Self::read(self, input.offset, input.payload.unwrap_or_default())
    }
}

/// Values that are read one by one, and are another type to the operator.
#[derive(Debug)]
pub struct Converted<T, R> {
    reader: Reader<T>,
    convert: fn(T) -> R,
    last: Option<R>,
}

impl<T: Contract, R> Converted<T, R> {
    /// What `reader` reads, converted.
    #[must_use]
    pub fn new(reader: Reader<T>, convert: fn(T) -> R) -> Self {
        Self {
            reader,
            convert,
            last: None,
        }
    }
}

impl<T: Contract, R> Intake for Converted<T, R> {
    type Record = R;

    #[inline]
    fn read(&mut self, input: &InputRecord<'_>) -> Result<&R, ReadError> {
        let value = self.reader.read(input.payload.unwrap_or_default())?;
        Ok(self.last.insert((self.convert)(value)))
    }
}
