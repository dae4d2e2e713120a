//! Transactions sorted by event time, however many: sorted runs in temporary files, merged as they
//! are read.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};

use anyhow::Context;
use millrace_domain::Transaction;
use millrace_domain::codec::json;
use millrace_domain::texts::InFlight;

use super::kept::Kept;

/// Transactions of one run, which is sorted in memory.
const RUN_ROWS: usize = 200_000;
/// Runs that are merged at once: each is an open file and a buffer. More are merged into one first.
const MAX_RUNS: usize = 64;
const BUFFER_BYTES: usize = 1 << 16;
const UNREADABLE: &str = "a temporary file to sort in cannot be read";

/// The order of rows: by time, and rows of one time as they came.
type Key = (i64, u64);

/// Takes transactions in any order.
pub(super) struct Sorter {
    run_rows: usize,
    max_runs: usize,
    rows: Vec<(Key, Kept)>,
    runs: Vec<Run>,
    count: u64,
}

/// Gives them back by time.
pub(super) struct Sorted {
    runs: Vec<Run>,
    /// The next transaction of each run.
    heads: BinaryHeap<Reverse<(Key, usize)>>,
    values: Vec<Option<Kept>>,
    given: u64,
}

/// A sorted run in a file that is gone when it is closed.
struct Run(BufReader<File>);

impl Sorter {
    pub(super) fn new() -> Self {
        Self::with(RUN_ROWS, MAX_RUNS)
    }

    fn with(run_rows: usize, max_runs: usize) -> Self {
        Self {
            run_rows,
            max_runs,
            rows: Vec::new(),
            runs: Vec::new(),
            count: 0,
        }
    }

    /// Takes a transaction.
    ///
    /// # Errors
    /// A temporary file cannot be written (in `TMPDIR`).
    pub(super) fn push(&mut self, kept: Kept) -> anyhow::Result<()> {
        self.rows.push(((kept.time_ms(), self.count), kept));
        self.count += 1;
        if self.rows.len() == self.run_rows {
            self.end_run()?;
        }
        Ok(())
    }

    fn end_run(&mut self) -> anyhow::Result<()> {
        self.rows.sort_unstable_by_key(|(key, _)| *key);
        let mut rows = self.rows.drain(..);
        let run = Run::write(|| Ok(rows.next().map(|(key, kept)| (key, kept.into_inner()))))?;
        drop(rows);
        self.runs.push(run);
        if self.runs.len() == self.max_runs {
            let mut merged = Sorted::new(std::mem::take(&mut self.runs))?;
            self.runs = vec![Run::write(|| merged.next_pair())?];
        }
        Ok(())
    }

    /// All of them, by time.
    ///
    /// # Errors
    /// A temporary file cannot be written or read.
    pub(super) fn finish(mut self) -> anyhow::Result<Sorted> {
        if !self.rows.is_empty() {
            self.end_run()?;
        }
        Sorted::new(self.runs)
    }
}

impl Sorted {
    fn new(mut runs: Vec<Run>) -> anyhow::Result<Self> {
        let (mut heads, mut values) = (BinaryHeap::new(), Vec::new());
        let _round = InFlight::begin();
        for (at, run) in runs.iter_mut().enumerate() {
            let head = run.read()?;
            heads.extend(head.map(|(key, _)| Reverse((key, at))));
            values.push(head.map(|(_, transaction)| Kept::new(transaction)));
        }
        Ok(Self {
            runs,
            heads,
            values,
            given: 0,
        })
    }

    /// Begins again with the first.
    ///
    /// # Errors
    /// A temporary file cannot be read.
    pub(super) fn restart(&mut self) -> anyhow::Result<()> {
        let mut runs = std::mem::take(&mut self.runs);
        for run in &mut runs {
            run.0.rewind().context(UNREADABLE)?;
        }
        *self = Self::new(runs)?;
        Ok(())
    }

    /// How many were given.
    pub(super) fn given(&self) -> u64 {
        self.given
    }

    /// The next transaction by time.
    ///
    /// # Errors
    /// A temporary file cannot be read.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<Transaction>> {
        Ok(self.next_pair()?.map(|(_, transaction)| transaction))
    }

    fn next_pair(&mut self) -> anyhow::Result<Option<(Key, Transaction)>> {
        let Some(Reverse((key, at))) = self.heads.pop() else {
            return Ok(None);
        };
        self.given += 1;
        let value = self.values[at].take();
        if let Some((key, transaction)) = self.runs[at].read()? {
            self.heads.push(Reverse((key, at)));
            self.values[at] = Some(Kept::new(transaction));
        }
        Ok(value.map(|kept| (key, kept.into_inner())))
    }
}

impl Run {
    /// Each transaction as its number, its length and its JSON.
    fn write(mut next: impl FnMut() -> anyhow::Result<Option<(Key, Transaction)>>) -> anyhow::Result<Self> {
        let refused = "a temporary file to sort in cannot be written; TMPDIR says where";
        let mut writer = BufWriter::with_capacity(BUFFER_BYTES, tempfile::tempfile().context(refused)?);
        let mut value = Vec::new();
        let mut put = |number: u64, value: &[u8]| -> io::Result<()> {
            writer.write_all(&number.to_le_bytes())?;
            writer.write_all(&(value.len() as u32).to_le_bytes())?;
            writer.write_all(value)
        };
        loop {
            let _round = InFlight::begin();
            let Some(((_, number), transaction)) = next()? else {
                break;
            };
            value.clear();
            json::encode(&transaction, &mut value);
            put(number, &value).context(refused)?;
        }
        let mut file = writer
            .into_inner()
            .map_err(io::IntoInnerError::into_error)
            .context(refused)?;
        file.rewind()?;
        Ok(Self(BufReader::with_capacity(BUFFER_BYTES, file)))
    }

    fn read(&mut self) -> anyhow::Result<Option<(Key, Transaction)>> {
        let mut number = [0; 8];
        match self.0.read_exact(&mut number) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error).context(UNREADABLE),
        }
        let mut length = [0; 4];
        self.0.read_exact(&mut length).context(UNREADABLE)?;
        let mut value = vec![0; u32::from_le_bytes(length) as usize];
        self.0.read_exact(&mut value).context(UNREADABLE)?;
        let transaction = json::decode(&value)?;
        let key = (transaction.transaction_time_ms, u64::from_le_bytes(number));
        Ok(Some((key, transaction)))
    }
}

#[cfg(test)]
mod tests {
    use millrace_domain::{Amount, Currency, PaymentMethod, ShortId, TransactionId, TransactionType};
    use proptest::prelude::*;

    use super::*;

    fn transaction(time_ms: i64, number: u128) -> Transaction {
        let id = |text| ShortId::new(text, "id").unwrap();
        Transaction {
            transaction_id: TransactionId::from_bytes(number.to_be_bytes()),
            user_id: id("u\"1"),
            amount: Amount::from_units(1_234_567).unwrap(),
            transaction_time_ms: time_ms,
            merchant_id: id("m"),
            transaction_type: TransactionType::Refund,
            location: id("Zürich"),
            payment_method: PaymentMethod::Paypal,
            is_international: true,
            currency: Currency::parse(b"CHF").unwrap(),
        }
    }

    proptest! {
        // Each run is a file.
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn rows_come_by_time_and_otherwise_as_they_were(
            times in prop::collection::vec(0..20_i64, 0..60),
            run_rows in 1..7_usize,
            max_runs in 2..5_usize,
        ) {
            let mut sorter = Sorter::with(run_rows, max_runs);
            let mut expected: Vec<Transaction> = Vec::new();
            for (number, &time_ms) in times.iter().enumerate() {
                expected.push(transaction(time_ms, number as u128));
                sorter.push(Kept::new(expected[number])).unwrap();
            }
            expected.sort_by_key(|transaction| transaction.transaction_time_ms);
            let mut sorted = sorter.finish().unwrap();
            let found: Vec<Transaction> = std::iter::from_fn(|| sorted.next().unwrap()).collect();
            prop_assert_eq!(&found, &expected);
            sorted.restart().unwrap();
            let again: Vec<Transaction> = std::iter::from_fn(|| sorted.next().unwrap()).collect();
            prop_assert_eq!(again, expected);
        }
    }
}
