//! Transactions that are decoded before their turn.

use millrace_domain::Transaction;

use crate::TransactionReader;
use crate::reader::ReadError;

/// Decodes the records of one partition a group ahead, so that whoever processes them can prepare for the group, and each
/// is decoded once all the same.
///
/// What an offset holds never changes: so a record that is processed again, after a rewind, may come from what is here,
/// and one that is not here is decoded in its turn.
#[derive(Debug, Clone)]
pub struct Ahead {
    reader: TransactionReader,
    /// In the order of the log; bad values are left out.
    offsets: Vec<i64>,
    transactions: Vec<Transaction>,
    /// The first that was not taken.
    next: usize,
    /// The last that was decoded in its turn.
    alone: Option<Transaction>,
}

impl Ahead {
    /// Nothing ahead yet; `reader` decodes.
    #[must_use]
    pub fn new(reader: TransactionReader) -> Self {
        Self {
            reader,
            offsets: Vec::new(),
            transactions: Vec::new(),
            next: 0,
            alone: None,
        }
    }

    /// Decodes the next records, by offset and value, in place of what was ahead so far. What is wrong with a bad value is
    /// for [`Ahead::read`] to say.
    pub fn decode<'a>(&mut self, records: impl Iterator<Item = (i64, &'a [u8])>) -> &[Transaction] {
        self.offsets.clear();
        self.transactions.clear();
        self.next = 0;
        for (offset, value) in records {
            if let Ok(transaction) = self.reader.read(value) {
                self.offsets.push(offset);
                self.transactions.push(transaction);
            }
        }
        &self.transactions
    }

    /// The transaction at an offset, whose value is given again.
    ///
    /// # Errors
    /// As [`crate::Reader::read`].
    #[inline]
    pub fn read(&mut self, offset: i64, value: &[u8]) -> Result<&Transaction, ReadError> {
        while let Some(&next) = self.offsets.get(self.next)
            && next <= offset
        {
            self.next += 1;
            if next == offset {
                return Ok(&self.transactions[self.next - 1]);
            }
        }
        Ok(self.alone.insert(self.reader.read(value)?))
    }
}
