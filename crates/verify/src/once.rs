//! Each transaction once, exactly, in bounded memory: the records of the transactions' topic go
//! into buckets by their ids, which lie on disk where they are many, and one bucket after the other
//! is gone through with its ids in memory.
//!
//! A record takes [`ENTRY_BYTES`] of temporary disk space, so a hundred million take 5 GB; memory
//! is bounded by the buffers (50 MB) and the ids of one of the buckets.

use std::collections::{HashMap, HashSet, hash_map};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};

use anyhow::Context;
use millrace_domain::{Currency, Sum, Transaction, TransactionId, TransactionType};

use super::places::Places;
use super::totals::{Totals, Windows, add_to};

/// What a record takes on disk.
const ENTRY_BYTES: usize = 48;
/// By the last byte of an id.
const BUCKETS: usize = 256;
/// Entries of a bucket that are in memory before they go to disk.
const BUFFERED: usize = 4_096;

/// What has to be known of a record to count its transaction once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) id: TransactionId,
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) time_ms: i64,
    units: i64,
    currency: Currency,
    is_refund: bool,
    /// Whether `millrace dlq replay` has sent it: its first copy is before it in the topic.
    pub(super) is_replay: bool,
    /// Whether the jobs have to refuse it, although it can be read.
    pub(super) is_refusable: bool,
}

impl Entry {
    /// A transaction at its place in the log, sent by a producer and fit to be processed.
    pub(super) fn of(transaction: &Transaction, partition: i32, offset: i64) -> Self {
        Self {
            id: transaction.transaction_id,
            partition,
            offset,
            time_ms: transaction.transaction_time_ms,
            units: transaction.amount.units(),
            currency: transaction.currency,
            is_refund: transaction.transaction_type == TransactionType::Refund,
            is_replay: false,
            is_refusable: false,
        }
    }

    /// An event at its place in the log, which counts as a purchase of what it came to: of nothing
    /// where there is no money in it.
    pub(super) fn of_event(
        id: [u8; 16],
        time_ms: i64,
        (units, currency): (i64, Currency),
        partition: i32,
        offset: i64,
    ) -> Self {
        Self {
            id: TransactionId::from_bytes(id),
            partition,
            offset,
            time_ms,
            units,
            currency,
            is_refund: false,
            is_replay: false,
            is_refusable: false,
        }
    }

    fn totals(&self) -> Totals {
        let sum = Sum::from_units(i128::from(self.units));
        match self.is_refund {
            false => Totals {
                purchase_count: 1,
                purchase_sum: sum,
                ..Totals::default()
            },
            true => Totals {
                refund_count: 1,
                refund_sum: sum,
                ..Totals::default()
            },
        }
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self.id.as_bytes());
        bytes.extend_from_slice(&self.offset.to_le_bytes());
        bytes.extend_from_slice(&self.time_ms.to_le_bytes());
        bytes.extend_from_slice(&self.units.to_le_bytes());
        bytes.extend_from_slice(&self.partition.to_le_bytes());
        bytes.extend_from_slice(self.currency.as_str().as_bytes());
        bytes.push(
            u8::from(self.is_refund) | u8::from(self.is_replay) << 1 | u8::from(self.is_refusable) << 2,
        );
    }

    fn read(bytes: &[u8; ENTRY_BYTES]) -> anyhow::Result<Self> {
        let word =
            |at: usize| -> anyhow::Result<i64> { Ok(i64::from_le_bytes(bytes[at..at + 8].try_into()?)) };
        Ok(Self {
            id: TransactionId::from_bytes(bytes[..16].try_into()?),
            offset: word(16)?,
            time_ms: word(24)?,
            units: word(32)?,
            partition: i32::from_le_bytes(bytes[40..44].try_into()?),
            currency: Currency::parse(&bytes[44..47])?,
            is_refund: bytes[47] & 1 != 0,
            is_replay: bytes[47] & 2 != 0,
            is_refusable: bytes[47] & 4 != 0,
        })
    }
}

#[derive(Debug, Default)]
struct Bucket {
    buffer: Vec<u8>,
    /// What did not fit into the buffer, in order. Nobody else sees the file, and it goes with the
    /// process.
    spilled: Option<File>,
}

impl Bucket {
    fn add(&mut self, entry: &Entry) -> anyhow::Result<()> {
        entry.write(&mut self.buffer);
        if self.buffer.len() >= BUFFERED * ENTRY_BYTES {
            let file = match &mut self.spilled {
                Some(file) => file,
                none => none.insert(tempfile::tempfile()?),
            };
            file.seek(SeekFrom::End(0))?;
            file.write_all(&self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }

    fn for_each(&mut self, mut take: impl FnMut(Entry)) -> anyhow::Result<()> {
        let mut bytes = [0; ENTRY_BYTES];
        if let Some(file) = &mut self.spilled {
            let entries = file.metadata()?.len() / ENTRY_BYTES as u64;
            file.seek(SeekFrom::Start(0))?;
            let mut reader = BufReader::with_capacity(1 << 18, file);
            for _ in 0..entries {
                reader.read_exact(&mut bytes)?;
                take(Entry::read(&bytes)?);
            }
        }
        for entry in self.buffer.chunks_exact(ENTRY_BYTES) {
            bytes.copy_from_slice(entry);
            take(Entry::read(&bytes)?);
        }
        Ok(())
    }
}

/// Every record of the transactions' topic that can be read.
#[derive(Debug)]
pub(super) struct Records {
    buckets: Vec<Bucket>,
    len: u64,
}

impl Default for Records {
    fn default() -> Self {
        Self {
            buckets: (0..BUCKETS).map(|_| Bucket::default()).collect(),
            len: 0,
        }
    }
}

/// What is known of the places of records beside what is in them.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    /// Records that the jobs have refused: another copy is then the first.
    pub(super) dead: &'a Places,
    /// Records on the late topic.
    pub(super) late: &'a Places,
    /// Records that the sink has refused.
    pub(super) unsunk: &'a Places,
    /// Size of the windows that are added up.
    pub(super) window_ms: i64,
    /// Whether a run vouches for a transaction id: it has ended, and no other sends its ids.
    pub(super) is_vouched: &'a dyn Fn(&TransactionId) -> bool,
}

/// What the records come to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counted {
    /// Every record whose run vouches for its id, copies and all but those of
    /// `millrace dlq replay`.
    pub vouched: Windows,
    /// Every other record that can be read, copies and all but the same.
    pub others: Windows,
    /// Each transaction once: its first record that was not refused.
    pub once: Windows,
    /// Those among them that are on the late topic.
    pub late: Windows,
    /// Ids that came again with a time of another window: consumers count them again or not, as the
    /// first is forgotten by then or not.
    pub reused: Windows,
    /// Number of these records.
    pub reused_count: u64,
    /// Records of a transaction that was there before, those of `reused` among them.
    pub copies: u64,
    /// Those on the late topic.
    pub late_copies: u64,
    /// Records on the late topic that are in the topic of transactions.
    pub late_found: u64,
    /// Records that the jobs have refused although nothing is wrong with them.
    pub wrongly_refused: u64,
    /// Number of their transactions that are in another record, which was taken: as a rule one that
    /// was sent again.
    pub wrongly_refused_taken: u64,
    /// Number of their transactions that are in none: they are lost until they are sent again.
    pub wrongly_refused_lost: u64,
    /// Records that the sink has refused, and whose transaction is in another record that it has
    /// not.
    pub unsunk_mended: u64,
}

/// What is known of the ids of one bucket.
#[derive(Debug, Default)]
struct Ids {
    /// Start of the window of the first record that was not refused.
    firsts: HashMap<TransactionId, i64>,
    /// How many records of it the jobs have wrongly refused.
    refused: HashMap<TransactionId, u64>,
    /// How many records of it the sink has refused.
    unsunk: HashMap<TransactionId, u64>,
    /// Those of which the sink has not refused a record; kept only where it has refused any.
    sunk: HashSet<TransactionId>,
}

impl Ids {
    fn clear(&mut self) {
        self.firsts.clear();
        self.refused.clear();
        self.unsunk.clear();
        self.sunk.clear();
    }
}

impl Records {
    /// Adds a record; those of a partition in order.
    ///
    /// # Errors
    /// The temporary folder is full.
    pub(super) fn add(&mut self, entry: &Entry) -> anyhow::Result<()> {
        self.len += 1;
        // The first bytes may be a run's; the last are drawn or hashed.
        let bucket = usize::from(entry.id.as_bytes()[15]);
        let added = self.buckets[bucket].add(entry);
        added.with_context(|| format!("keeping the ids of {} records in the temporary folder", self.len))
    }

    /// Goes through everything.
    ///
    /// # Errors
    /// What is in the temporary folder cannot be read again.
    pub(super) fn count(&mut self, known: &Known<'_>) -> anyhow::Result<Counted> {
        let mut counted = Counted::default();
        let mut ids = Ids::default();
        for bucket in &mut self.buckets {
            ids.clear();
            let read = bucket.for_each(|entry| counted.take(&entry, &mut ids, known));
            read.context("reading the ids of records from the temporary folder")?;
            counted.settle(&ids);
        }
        Ok(counted)
    }
}

impl Counted {
    fn take(&mut self, entry: &Entry, ids: &mut Ids, known: &Known<'_>) {
        let (partition, offset) = (entry.partition, entry.offset);
        let start_ms = entry.time_ms - entry.time_ms.rem_euclid(known.window_ms);
        let totals = entry.totals();
        let add = |windows: &mut Windows| add_to(windows, start_ms, entry.currency, &totals);
        // What was sent again is in no ledger a second time, and must not stand for a record that
        // is missing.
        if !entry.is_replay {
            add(match (known.is_vouched)(&entry.id) {
                true => &mut self.vouched,
                false => &mut self.others,
            });
        }
        if known.unsunk.contains(partition, offset) {
            *ids.unsunk.entry(entry.id).or_default() += 1;
        } else if known.unsunk.len() > 0 {
            ids.sunk.insert(entry.id);
        }
        let is_late = known.late.contains(partition, offset);
        self.late_found += u64::from(is_late);
        if known.dead.contains(partition, offset) {
            if !entry.is_refusable {
                *ids.refused.entry(entry.id).or_default() += 1;
            }
            return;
        }
        match ids.firsts.entry(entry.id) {
            hash_map::Entry::Vacant(place) => {
                place.insert(start_ms);
                add(&mut self.once);
                if is_late {
                    add(&mut self.late);
                }
            }
            hash_map::Entry::Occupied(first_ms) => {
                self.copies += 1;
                self.late_copies += u64::from(is_late);
                if *first_ms.get() != start_ms {
                    self.reused_count += 1;
                    add(&mut self.reused);
                }
            }
        }
    }

    /// Adds what is known only when all records of these ids were seen.
    fn settle(&mut self, ids: &Ids) {
        for (id, count) in &ids.refused {
            self.wrongly_refused += count;
            match ids.firsts.contains_key(id) {
                true => self.wrongly_refused_taken += 1,
                false => self.wrongly_refused_lost += 1,
            }
        }
        let mended = ids.unsunk.iter().filter(|(id, _)| ids.sunk.contains(*id));
        self.unsunk_mended += mended.map(|(_, count)| count).sum::<u64>();
    }
}

#[cfg(test)]
mod tests;
