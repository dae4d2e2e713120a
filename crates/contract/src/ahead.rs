//! Records that are decoded before their turn.

use crate::reader::{Contract, ReadError, Reader};

/// Decodes the records of one partition a group ahead, so that whoever processes them can prepare
/// for the group, and each is decoded once all the same.
///
/// What an offset holds never changes: so a record that is processed again, after a rewind, may
/// come from what is here, and one that is not here is decoded in its turn.
#[derive(Debug)]
pub struct ReadAhead<T: Contract> {
    reader: Reader<T>,
    /// In the order of the log; bad values are left out.
    offsets: Vec<i64>,
    records: Vec<T>,
    /// The first that was not taken.
    next: usize,
    /// What `records` need beside them.
    kept: T::Kept,
    /// The last that was decoded in its turn.
    alone: Option<T>,
}

impl<T: Contract + Clone> Clone for ReadAhead<T> {
    fn clone(&self) -> Self {
        Self {
            reader: self.reader.clone(),
            offsets: self.offsets.clone(),
            records: self.records.clone(),
            next: self.next,
            kept: self.kept.clone(),
            alone: self.alone.clone(),
        }
    }
}

impl<T: Contract> ReadAhead<T> {
    /// Nothing ahead yet; `reader` decodes.
    #[must_use]
    pub fn new(reader: Reader<T>) -> Self {
        Self {
            reader,
            offsets: Vec::new(),
            records: Vec::new(),
            next: 0,
            kept: T::Kept::default(),
            alone: None,
        }
    }

    /// Decodes the next records, by offset and value, in place of what was ahead so far. What is
    /// wrong with a bad value is for [`ReadAhead::read`] to say.
    pub fn decode<'a>(&mut self, records: impl Iterator<Item = (i64, &'a [u8])>) -> &[T] {
        self.offsets.clear();
        self.records.clear();
        self.next = 0;
        for (offset, value) in records {
            if let Ok(record) = self.reader.read(value) {
                self.offsets.push(offset);
                self.records.push(record);
            }
        }
        self.kept = T::keep(&self.records);
        &self.records
    }

    /// As [`ReadAhead::read`], before the turn of the record: what is ahead stays so. `None` where
    /// the value is bad or nothing is known of it.
    pub fn peek(&mut self, offset: i64, value: &[u8]) -> Option<&T> {
        match self.offsets[self.next..].binary_search(&offset) {
            Ok(found) => self.records.get(self.next + found),
            Err(_) => Some(self.alone.insert(self.reader.read(value).ok()?)),
        }
    }

    /// The record at an offset, whose value is given again.
    ///
    /// # Errors
    /// As [`Reader::read`].
    #[inline]
    pub fn read(&mut self, offset: i64, value: &[u8]) -> Result<&T, ReadError> {
        while let Some(&next) = self.offsets.get(self.next)
            && next <= offset
        {
            self.next += 1;
            if next == offset {
                return Ok(&self.records[self.next - 1]);
            }
        }
        Ok(self.alone.insert(self.reader.read(value)?))
    }
}
