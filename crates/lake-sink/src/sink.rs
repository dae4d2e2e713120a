//! The lake as a sink: what becomes of a record, and how a batch becomes files.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use millrace_catalog::Service;
use millrace_domain::texts::InFlight;
use millrace_kafka::topic_name;
use millrace_registry::RegistryError;
use millrace_service::sink::{Reads, source};
use millrace_settings::Settings;
use millrace_sink::{
    Backoff, Decision, Item, Limits, Names, Origin, PartitionKey, Record, Sink, Work, WriteBatch, Written,
};
use tokio::runtime::Handle;

use crate::another_log::Origins;
use crate::cells::Cells;
use crate::covered::Covered;
use crate::file;
use crate::metrics::Metrics;
use crate::name::{Day, FileName};
use crate::store::{Claim, Published, Store};
use crate::table::{Row, Table};
use crate::tables::{self, TableReader};

/// How often a claim is tried before the process ends, to be started again.
const CLAIM_ATTEMPTS: u32 = 10;

/// One batch at a time: files of a partition come in the order of their offsets.
const IN_FLIGHT: usize = 1;

/// A record as its table's row.
#[derive(Debug)]
pub struct LakeRow {
    /// The table's name.
    table: &'static str,
    day: Day,
    /// The number of the claim under which it was read.
    claim: u64,
    cells: Cells,
}

impl Item for LakeRow {
    type Target = &'static str;

    fn target(&self) -> &'static str {
        self.table
    }

    fn size_bytes(&self) -> usize {
        self.cells.bytes().len()
    }
}

/// A partition that this process has.
struct Held {
    /// Tells it from all other times that this process had the partition.
    number: u64,
    claim: Claim,
    covered: Covered,
    origins: Origins,
}

#[derive(Default)]
struct Partitions {
    held: HashMap<PartitionKey, Arc<Held>>,
    claims: u64,
}

/// Rows into files by table and day.
pub struct LakeSink<S> {
    store: S,
    /// By their sources.
    readers: Vec<TableReader>,
    partitions: Mutex<Partitions>,
    backoff: Backoff,
    runtime: Handle,
    metrics: Metrics,
}

impl<S: Store> LakeSink<S> {
    /// A sink into `store`, whose calls `runtime` runs.
    #[must_use]
    pub fn new(
        store: S,
        readers: Vec<TableReader>,
        backoff: Backoff,
        metrics: Metrics,
        runtime: Handle,
    ) -> Self {
        Self {
            store,
            readers,
            partitions: Mutex::default(),
            backoff,
            runtime,
            metrics,
        }
    }

    fn partitions(&self) -> std::sync::MutexGuard<'_, Partitions> {
        // A panic ends the process.
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn table(&self, partition: PartitionKey) -> &'static Table {
        self.readers[partition.source.0].table
    }

    fn held(&self, partition: PartitionKey) -> Option<Arc<Held>> {
        self.partitions().held.get(&partition).cloned()
    }

    /// Claims a partition, and looks then for what is in files already from its first record on.
    async fn claim(&self, first: Origin) -> anyhow::Result<(Claim, Covered)> {
        let (table, partition) = (self.table(first.partition).name, first.partition.partition);
        let claim = self.store.claim(table, partition).await?;
        let files = self.store.files(table).await?;
        let own = files.iter().filter(|file| file.partition == partition);
        let covered = Covered::of(own, first.offset);
        if let Some(last) = covered.last() {
            let from = first.offset;
            tracing::info!(
                table,
                partition,
                from,
                last,
                "records from … to … may be in files already"
            );
        }
        Ok((claim, covered))
    }

    /// Whether a file has the record already; never again once one has its offset and not the
    /// record.
    fn is_in_a_file(&self, held: &Held, day: Day, record: &Record<'_>) -> bool {
        let (offset, table) = (record.origin.offset, held.claim.table);
        let Some((first, last)) = held.covered.file_of(day, offset) else {
            return false;
        };
        let file = FileName {
            table,
            day,
            partition: held.claim.partition,
            first,
            last,
        };
        let look = |file: &FileName| {
            let looked = self.runtime.block_on(self.store.written_ms(file));
            looked.unwrap_or_else(|error| {
                tracing::warn!(file = file.path(), "when it was written is not known: {error:#}");
                None
            })
        };
        held.origins.may_have(file, (offset, record.append_time_ms), look)
    }

    /// Makes files of the rows of a day and puts them into their places; whether they are there, or
    /// another process has the partition.
    async fn publish(
        &self,
        held: &Held,
        table: &'static Table,
        day: Day,
        rows: &[(i64, &[u8])],
    ) -> anyhow::Result<Published> {
        let offsets: Vec<i64> = rows.iter().map(|&(offset, _)| offset).collect();
        for part in held.covered.parts(day, &offsets) {
            if self.publish_file(held, table, day, &rows[part]).await? == Published::Fenced {
                return Ok(Published::Fenced);
            }
        }
        Ok(Published::There)
    }

    async fn publish_file(
        &self,
        held: &Held,
        table: &'static Table,
        day: Day,
        rows: &[(i64, &[u8])],
    ) -> anyhow::Result<Published> {
        let ([(first, _), ..], [.., (last, _)]) = (rows, rows) else {
            return Ok(Published::There);
        };
        let (start, partition) = (Instant::now(), held.claim.partition);
        let file = FileName {
            table: table.name,
            day,
            partition,
            first: *first,
            last: *last,
        };
        let bytes = file::encode(table, partition, rows).with_context(|| file.path())?;
        let size = bytes.len();
        let published = self.store.publish(&held.claim, &file, Bytes::from(bytes)).await?;
        if published == Published::There {
            self.metrics.published(table.name, 1, rows.len(), size);
            self.metrics.duration.observe(start.elapsed().as_secs_f64());
        }
        Ok(published)
    }
}

/// Rows of one file, with their places in the batch.
#[derive(Default)]
struct Group<'a> {
    rows: Vec<(i64, &'a [u8])>,
    places: Vec<usize>,
}

impl<S: Store> Sink for LakeSink<S> {
    const NAMES: Names = Names {
        service: Service::LakeSink.name(),
        section: "lake_sink",
        store: "the lake",
        items: "rows",
        target: "table",
        targets: "tables",
        target_labels: &tables::NAMES,
        source_labels: &tables::NAMES,
        reasons: &[],
    };

    // A row that was read can be written.
    const KEEPS_RECORDS: bool = false;

    type Item = LakeRow;

    fn begin(&self, first: Origin) -> anyhow::Result<()> {
        let claimed = self.runtime.block_on(async {
            let mut attempt = 0;
            loop {
                match self.claim(first).await {
                    Err(error) if attempt < CLAIM_ATTEMPTS => {
                        tracing::warn!(error = format!("{error:#}"), "a partition will be claimed again");
                        self.backoff.wait(attempt).await;
                        attempt += 1;
                    }
                    claimed => return claimed,
                }
            }
        });
        let (claim, covered) = claimed?;
        let mut partitions = self.partitions();
        partitions.claims += 1;
        let number = partitions.claims;
        let held = Arc::new(Held {
            number,
            claim,
            covered,
            origins: Origins::default(),
        });
        partitions.held.insert(first.partition, held);
        Ok(())
    }

    fn end(&self, partition: PartitionKey) {
        self.partitions().held.remove(&partition);
    }

    fn decide(&self, record: &Record<'_>) -> Result<Decision<LakeRow>, RegistryError> {
        let partition = record.origin.partition;
        let TableReader { table, rows } = &self.readers[partition.source.0];
        let Some(held) = self.held(partition) else {
            debug_assert!(false, "a record of a partition that was not begun");
            return Ok(Decision::NotChosen);
        };
        let _round = InFlight::begin();
        let mut cells = Cells::new();
        Ok(match rows.read(record, &mut cells)? {
            Row::Skip { code } => Decision::Skip { code },
            Row::Of(day) if self.is_in_a_file(&held, day, record) => {
                self.metrics.covered(table.name, 1);
                Decision::NotChosen
            }
            Row::Of(day) => Decision::Work(Work::Write(LakeRow {
                table: table.name,
                day,
                claim: held.number,
                cells,
            })),
        })
    }

    async fn write(&self, batch: &WriteBatch<'_, LakeRow>) -> Written<&'static str> {
        let mut groups: BTreeMap<(PartitionKey, u64, Day), Group<'_>> = BTreeMap::new();
        for (at, (origin, row)) in batch.items.iter().enumerate() {
            let group = groups.entry((origin.partition, row.claim, row.day)).or_default();
            group.rows.push((origin.offset, row.cells.bytes()));
            group.places.push(at);
        }
        let mut written = Written::default();
        for ((partition, claim, day), group) in groups {
            // What was read of a partition that is another's by now is the other's.
            let current = || self.held(partition).filter(|held| held.number == claim);
            let Some(held) = current() else { continue };
            let table = self.table(partition);
            if let Some(told) = held.origins.another_log() {
                written.again.extend(group.places);
                written.again_message = told.to_owned();
                continue;
            }
            let failed = match self.publish(&held, table, day, &group.rows).await {
                Ok(Published::There) => continue,
                Ok(Published::Fenced) if current().is_none() => continue,
                Ok(Published::Fenced) => format!(
                    "another process has claimed partition {} of {}",
                    partition.partition, table.name
                ),
                Err(error) => format!("{error:#}"),
            };
            written.again.extend(group.places);
            written.again_message = failed;
        }
        written
    }

    fn name(&self, target: &'static str) -> String {
        target.to_owned()
    }

    fn label(target: &'static str) -> &'static str {
        target
    }
}

/// The consumer group's full name.
#[must_use]
pub fn group(settings: &Settings) -> String {
    topic_name(&settings.kafka, &Service::LakeSink.group())
}

/// What the sink reads, and its bounds.
pub(crate) fn reads(settings: &Settings) -> Reads {
    let sink = &settings.lake_sink;
    let source = |table: &'static Table| source(topic_name(&settings.kafka, table.topic), table.name);
    Reads {
        sources: tables::there(settings).map(source).collect(),
        limits: Limits {
            bytes: sink.max_bytes,
            items: sink.max_rows,
            age: Duration::from_millis(sink.max_age_ms),
        },
        in_flight: IN_FLIGHT,
        // No table waits for itself: nothing is set aside.
        set_aside_bytes: usize::MAX,
    }
}
