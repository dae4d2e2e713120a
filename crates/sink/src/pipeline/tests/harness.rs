//! A store in memory, and a pipeline over it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use millrace_contract::RegistryError;
use millrace_settings::Kafka;
use millrace_telemetry::Health;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::*;
use crate::batch::{Limits, Work};
use crate::reachability::Reachability;
use crate::retry::Backoff;
use crate::sink::{Item, Reason, Record, Refusal, WriteBatch, Written};
use crate::spec::{Names, Source, SourceId};

/// How long a condition is waited for at most.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A row of a table that is named by a letter; the store refuses one that is `bad`, and has one
/// that is `slow` written thrice.
#[derive(Debug)]
pub(super) struct Row {
    table: u8,
    bad: bool,
    slow: bool,
}

impl Item for Row {
    type Target = u8;

    fn target(&self) -> u8 {
        self.table
    }

    fn size_bytes(&self) -> usize {
        10
    }
}

/// Partition and offset.
pub(super) type Place = (i32, i64);

/// What a store has seen, which outlives the sinks that write to it.
#[derive(Default)]
pub(super) struct Seen {
    /// Places of rows written, in the order written.
    pub(super) rows: Mutex<Vec<Place>>,
    /// Places of the rows of each write.
    pub(super) writes: Mutex<Vec<Vec<Place>>>,
    /// Places and codes of the dead letters.
    pub(super) letters: Mutex<Vec<(Place, String)>>,
    /// How often a slow row was tried.
    pub(super) tries: Mutex<BTreeMap<Place, u32>>,
}

/// What a store does not take now.
#[derive(Default, Clone)]
pub(super) struct Closed {
    /// Tables that take nothing.
    pub(super) tables: BTreeSet<u8>,
    /// Writes whose first row is there hang.
    pub(super) firsts: BTreeSet<Place>,
    /// Nothing is taken, and all is to be written again.
    pub(super) down: bool,
    /// Dead letters can never be sent again.
    pub(super) letters: bool,
}

pub(super) struct Memory {
    seen: Arc<Seen>,
    closed: watch::Sender<Closed>,
}

impl Sink for Memory {
    const NAMES: Names = Names {
        service: "memory-sink",
        section: "memory_sink",
        store: "Memory",
        items: "rows",
        target: "index",
        targets: "tables",
        target_labels: &["a", "b"],
        source_labels: &["rows"],
        reasons: &["full"],
    };

    type Item = Row;

    /// A value is the table's letter, and `!` for a bad row or `~` for a slow one; `?` is no row,
    /// `-` one that is not chosen, and `s` one that another service sends to the dead letters.
    fn decide(&self, record: &Record<'_>) -> Result<Decision<Row>, RegistryError> {
        let value = record.payload.unwrap_or_default();
        Ok(match value {
            b"?" => Decision::Work(Work::DeadLetter {
                code: "no_row",
                error: "not a row".to_owned(),
            }),
            b"-" => Decision::NotChosen,
            b"s" => Decision::Skip { code: "skipped" },
            _ => Decision::Work(Work::Write(Row {
                table: value[0],
                bad: value.ends_with(b"!"),
                slow: value.ends_with(b"~"),
            })),
        })
    }

    async fn write(&self, batch: &WriteBatch<'_, Row>) -> Written<u8> {
        let places: Vec<Place> = batch.items.iter().map(|(origin, _)| place(*origin)).collect();
        self.seen.writes.lock().unwrap().push(places.clone());
        let mut closed = self.closed.subscribe();
        let is_open = |closed: &Closed| !closed.firsts.contains(&places[0]);
        // An error is a store that is gone.
        let closed = closed.wait_for(is_open).await.map(|closed| closed.clone());
        let closed = closed.unwrap_or_default();
        let mut written = Written::default();
        if closed.down {
            written.again = (0..places.len()).collect();
            written.again_message = "down".to_owned();
            return written;
        }
        for (at, (&(_, row), &place)) in batch.items.iter().zip(&places).enumerate() {
            if closed.tables.contains(&row.table) {
                written.blocked.push(at);
                written.reasons.insert(row.table, full());
            } else if row.bad {
                written.refused.push(Refusal {
                    at,
                    code: "bad",
                    message: "a bad row".to_owned(),
                });
            } else if row.slow && self.is_early(place) {
                written.again.push(at);
            } else {
                self.seen.rows.lock().unwrap().push(place);
            }
        }
        written
    }

    fn name(&self, target: u8) -> String {
        format!("table {}", char::from(target))
    }

    fn label(target: u8) -> &'static str {
        if target == b'a' { "a" } else { "b" }
    }
}

impl Memory {
    /// Whether a slow row is written for the first or second time.
    fn is_early(&self, place: Place) -> bool {
        let mut tries = self.seen.tries.lock().unwrap();
        let tried = tries.entry(place).or_default();
        *tried += 1;
        !(*tried).is_multiple_of(3)
    }
}

fn full() -> Reason {
    Reason {
        code: "full",
        message: "no room".to_owned(),
        remedy: "make room",
    }
}

pub(super) struct Log(Arc<Memory>);

impl Letters for Log {
    async fn send(&self, origin: Origin, kept: &KeptRecord, code: &str, error: &str) -> anyhow::Result<()> {
        anyhow::ensure!(
            kept.payload.is_some() && !error.is_empty(),
            "no copy, or no reason"
        );
        anyhow::ensure!(!self.0.closed.borrow().letters, "no letters any more");
        let letter = (place(origin), code.to_owned());
        self.0.seen.letters.lock().unwrap().push(letter);
        Ok(())
    }
}

fn place(origin: Origin) -> Place {
    (origin.partition.partition, origin.offset)
}

pub(super) fn key(partition: i32) -> PartitionKey {
    PartitionKey {
        source: SourceId(0),
        partition,
    }
}

fn spec(limits: Limits) -> Spec {
    Spec {
        kafka: Kafka::default(),
        group: "memory-sink".to_owned(),
        instance: "one".to_owned(),
        instance_key: "memory_sink.instance",
        sources: vec![Source {
            topic: "rows".to_owned(),
            dead_letters: "rows.dlq".to_owned(),
            label: "rows",
        }],
        limits,
        in_flight: 3,
        set_aside_bytes: 1_000_000,
        backoff: Backoff {
            initial: Duration::from_millis(1),
            max: Duration::from_millis(2),
        },
        drain_timeout: PATIENCE,
        consumer_properties: BTreeMap::new(),
    }
}

/// Batches of two records, however long they take to come.
pub(super) const TWO: Limits = Limits {
    bytes: usize::MAX,
    items: 2,
    age: Duration::from_secs(3_600),
};

/// A pipeline over a store in memory. Fields are dropped in order: the runtime last.
pub(super) struct Harness {
    pub(super) pipeline: Pipeline<Memory, Log>,
    pub(super) sink: Arc<Memory>,
    pub(super) seen: Arc<Seen>,
    pub(super) health: Health,
    pub(super) spec: Spec,
    pub(super) runtime: Runtime,
}

impl Harness {
    pub(super) fn new(limits: Limits) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_time()
            .build()
            .unwrap();
        let (seen, spec, health) = (Arc::<Seen>::default(), spec(limits), Health::new("memory-sink"));
        let closed = watch::Sender::new(Closed::default());
        let sink = Arc::new(Memory {
            seen: Arc::clone(&seen),
            closed,
        });
        let pipeline = start(&sink, &spec, &health, &runtime);
        Self {
            pipeline,
            sink,
            seen,
            health,
            spec,
            runtime,
        }
    }

    /// The process dies and is started again: what was read and not committed is forgotten.
    pub(super) fn crash(&mut self) {
        self.pipeline = start(&self.sink, &self.spec, &self.health, &self.runtime);
    }

    pub(super) fn close(&self, change: impl FnOnce(&mut Closed)) {
        self.sink.closed.send_modify(change);
    }

    /// Reads a record; whether the batch is full.
    pub(super) fn read(&mut self, (partition, offset): Place, value: &[u8]) -> bool {
        let origin = Origin {
            partition: key(partition),
            offset,
        };
        let record = Record {
            origin,
            append_time_ms: None,
            key: None,
            payload: Some(value),
        };
        let decision = self.sink.decide(&record).unwrap();
        self.pipeline.add(origin, value.len(), decision, || KeptRecord {
            payload: Some(value.to_vec()),
            ..KeptRecord::default()
        })
    }

    /// Reads records of one partition from an offset on, and has each full batch written.
    pub(super) fn read_all(&mut self, partition: i32, from: i64, values: &[&[u8]]) {
        for (offset, value) in (from..).zip(values) {
            self.read((partition, offset), value);
            self.pipeline.progress().unwrap();
        }
    }

    /// Goes on until it holds.
    pub(super) fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.pipeline.progress().unwrap();
            if holds(self) {
                return;
            }
            assert!(Instant::now() < deadline, "waited in vain: {what}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Commits what may be: partitions and offsets.
    pub(super) fn commit(&mut self) -> Vec<Place> {
        let commits = self.pipeline.committable();
        self.pipeline.committed(&commits);
        let of = |(partition, offset): Commit| (partition.partition, offset);
        commits.into_iter().map(of).collect()
    }

    pub(super) fn drain(&mut self, patience: Duration) -> i64 {
        self.pipeline.drain(Instant::now() + patience);
        self.pipeline.open()
    }

    pub(super) fn rows(&self) -> Vec<Place> {
        let mut rows = self.seen.rows.lock().unwrap().clone();
        rows.sort_unstable();
        rows
    }

    pub(super) fn letters(&self) -> Vec<(Place, String)> {
        let mut letters = self.seen.letters.lock().unwrap().clone();
        letters.sort_unstable();
        letters
    }
}

fn start(sink: &Arc<Memory>, spec: &Spec, health: &Health, runtime: &Runtime) -> Pipeline<Memory, Log> {
    let reachability = Reachability::new(health.component("memory"));
    reachability.probe(None);
    let delivery = Delivery {
        sink: Arc::clone(sink),
        letters: Log(Arc::clone(sink)),
        backoff: spec.backoff,
        reachability,
    };
    let metrics = Metrics::register(Memory::NAMES).unwrap();
    Pipeline::new(delivery, spec, metrics, runtime.handle().clone())
}

pub(super) fn places(partition: i32, offsets: std::ops::Range<i64>) -> Vec<Place> {
    offsets.map(|offset| (partition, offset)).collect()
}
