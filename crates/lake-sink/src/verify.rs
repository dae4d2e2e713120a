//! The files against the topics: each record that is committed is in one file, and the sums are the
//! same.

use std::collections::BTreeMap;

use anyhow::Context as _;
use bytes::Bytes;
use millrace_domain::texts::InFlight;
use millrace_kafka::client::reader_config;
use millrace_kafka::reader::Reader;
use millrace_kafka::topic_name;
use millrace_settings::Settings;
use millrace_sink::{Origin, PartitionKey, Record, SourceId};
use millrace_telemetry::Shutdown;
use rdkafka::{Message as _, Timestamp};

use crate::cells::{CellReader, Cells};
use crate::name::FileName;
use crate::read::integers;
use crate::sink::group;
use crate::store::{Lake, Store as _};
use crate::table::{Row, Rows, Table};
use crate::tables::{self, TableReader};

/// What was found of a table, of the offsets that the topic still has and the sink has committed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// The table.
    pub table: &'static str,
    /// Files, of all offsets.
    pub files: usize,
    /// Records of the topic that are rows.
    pub records: u64,
    /// Rows of the files.
    pub rows: u64,
    /// Records that are in no file.
    pub missing: u64,
    /// Rows whose record is in a file already.
    pub doubled: u64,
    /// Rows whose record is not in the topic.
    pub surplus: u64,
    /// Pairs of files that both claim to hold some offset of a day.
    pub overlaps: u64,
    /// Columns of money, with the sums of the topic and of the files in units of 1/10,000.
    pub sums: Vec<(&'static str, i128, i128)>,
    /// Files with offsets beyond the topic's end: it is not the topic that they were made of.
    pub beyond: u64,
    /// Partitions with records that the sink has not committed yet: nothing is said of these.
    pub behind: u64,
}

impl Found {
    /// Whether files and topic are the same.
    #[must_use]
    pub fn is_well(&self) -> bool {
        let wrong = [
            self.missing,
            self.doubled,
            self.surplus,
            self.overlaps,
            self.beyond,
        ];
        wrong == [0; 5]
            && self.records == self.rows
            && self.sums.iter().all(|(_, topic, files)| topic == files)
    }
}

/// Compares every table.
///
/// # Errors
/// The lake, the registry or the brokers do not answer, or a file cannot be read.
pub async fn verify(settings: &Settings, lake: &Lake) -> anyhow::Result<Vec<Found>> {
    let readers = tables::readers(settings, &Shutdown::new()).await?;
    let log = Reader::new(&reader_config(&settings.kafka, &group(settings))?)?;
    let mut found = Vec::new();
    for TableReader { table, rows } in readers {
        let topic = topic_name(&settings.kafka, table.topic);
        found.push(
            of_table(&log, lake, table, &topic, rows.as_ref())
                .await
                .with_context(|| format!("comparing {} with {topic}", table.name))?,
        );
    }
    Ok(found)
}

/// Offsets of a partition, from the topic's first up to what is committed.
struct Offsets {
    from: i64,
    to: i64,
    seen: Vec<u64>,
}

impl Offsets {
    fn new(from: i64, to: i64) -> Self {
        let words = usize::try_from((to - from).max(0)).unwrap_or(0).div_ceil(64);
        Self {
            from,
            to,
            seen: vec![0; words],
        }
    }

    fn has(&self, offset: i64) -> bool {
        (self.from..self.to).contains(&offset)
    }

    /// Sets or clears an offset's bit; whether it was set.
    fn set(&mut self, offset: i64, is: bool) -> bool {
        let at = usize::try_from(offset - self.from).unwrap_or(0);
        let (word, bit) = (at / 64, 1_u64 << (at % 64));
        let was = self.seen[word] & bit != 0;
        if is {
            self.seen[word] |= bit;
        } else {
            self.seen[word] &= !bit;
        }
        was
    }

    fn left(&self) -> u64 {
        self.seen.iter().map(|word| u64::from(word.count_ones())).sum()
    }
}

async fn of_table(
    log: &Reader,
    lake: &Lake,
    table: &'static Table,
    topic: &str,
    rows: &dyn Rows,
) -> anyhow::Result<Found> {
    let mut found = Found {
        table: table.name,
        sums: table.sums().map(|name| (name, 0, 0)).collect(),
        ..Found::default()
    };
    let mut offsets = BTreeMap::new();
    for partition in 0..log.partitions(topic)? {
        let (low, _) = log.bounds(topic, partition)?;
        let committed = log.committed(topic, partition)?.unwrap_or(low);
        offsets.insert(partition, Offsets::new(low, committed));
    }
    // A running sink goes on: what is committed is in files by now, and these end in the topic.
    let files = lake.files(table.name).await?;
    let mut ends = BTreeMap::new();
    for &partition in offsets.keys() {
        ends.insert(partition, log.bounds(topic, partition)?.1);
    }
    found.files = files.len();
    found.overlaps = overlaps(&files);
    for file in &files {
        let is_beyond = ends.get(&file.partition).is_none_or(|end| file.last >= *end);
        found.beyond += u64::from(is_beyond);
        if let Some(offsets) = offsets.get_mut(&file.partition) {
            of_file(table, &lake.read(file).await?, offsets, &mut found).with_context(|| file.path())?;
        }
    }
    for (&partition, offsets) in &mut offsets {
        of_partition(log, table, topic, partition, rows, offsets, &mut found)?;
        found.surplus += offsets.left();
        found.behind += u64::from(!log.is_empty_from(topic, partition, offsets.to)?);
    }
    Ok(found)
}

/// Pairs of neighbours that overlap. Files are in the order of days, partitions and offsets.
fn overlaps(files: &[FileName]) -> u64 {
    let pairs = files.windows(2).filter(|pair| pair[0].overlaps(&pair[1]));
    pairs.count() as u64
}

fn of_file(table: &Table, bytes: &Bytes, offsets: &mut Offsets, found: &mut Found) -> anyhow::Result<()> {
    let places = integers(table, bytes, "kafka_offset")?;
    let mut is_compared = Vec::with_capacity(places.len());
    for place in places {
        let offset = i64::try_from(place)?;
        let is = offsets.has(offset);
        if is {
            found.rows += 1;
            found.doubled += u64::from(offsets.set(offset, true));
        }
        is_compared.push(is);
    }
    for (name, _, sum) in &mut found.sums {
        let values = integers(table, bytes, name)?;
        let compared = values.iter().zip(&is_compared).filter(|(_, is)| **is);
        *sum += compared.map(|(units, _)| units).sum::<i128>();
    }
    Ok(())
}

/// Reads a partition's records, and takes those that are in a file out of `offsets`.
fn of_partition(
    log: &Reader,
    table: &Table,
    topic: &str,
    partition: i32,
    rows: &dyn Rows,
    offsets: &mut Offsets,
    found: &mut Found,
) -> anyhow::Result<()> {
    if offsets.from >= offsets.to {
        return Ok(());
    }
    let (mut failed, to) = (None, offsets.to);
    log.read(topic, partition, offsets.from, |message| {
        let offset = message.offset();
        if offset >= to {
            return false;
        }
        let record = Record {
            origin: Origin {
                partition: PartitionKey {
                    source: SourceId(0),
                    partition,
                },
                offset,
            },
            append_time_ms: match message.timestamp() {
                Timestamp::LogAppendTime(time_ms) => Some(time_ms),
                Timestamp::CreateTime(_) | Timestamp::NotAvailable => None,
            },
            key: message.key(),
            payload: message.payload(),
        };
        let taken = of_record(table, rows, &record, offsets, found);
        failed = taken.err();
        failed.is_none() && offset + 1 < to
    })?;
    failed.map_or(Ok(()), Err)
}

fn of_record(
    table: &Table,
    rows: &dyn Rows,
    record: &Record<'_>,
    offsets: &mut Offsets,
    found: &mut Found,
) -> anyhow::Result<()> {
    let _round = InFlight::begin();
    let mut cells = Cells::new();
    let Row::Of(_) = rows.read(record, &mut cells)? else {
        return Ok(());
    };
    found.records += 1;
    if !offsets.has(record.origin.offset) || !offsets.set(record.origin.offset, false) {
        found.missing += 1;
    }
    let mut cells = CellReader::new(cells.bytes(), &[]);
    for column in table.fields() {
        let units = cells.money(&column.kind)?;
        for (name, sum, _) in &mut found.sums {
            if *name == column.name {
                *sum += units;
            }
        }
    }
    Ok(())
}
