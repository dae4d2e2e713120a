//! A topic, a group of two processes with its committed offsets, and a lake that outlives them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use millrace_lake_sink::compact::compact;
use millrace_lake_sink::metrics::Metrics;
use millrace_lake_sink::name::Day;
use millrace_lake_sink::sink::LakeSink;
use millrace_lake_sink::store::Store as _;
use millrace_lake_sink::store::folder::Folder;
use millrace_lake_sink::tables;
use millrace_registry::SchemaFetcher;
use millrace_service::registry::{self, TopicSchemas};
use millrace_settings::{Kafka, Settings};
use millrace_sink::simulation::Simulation;
use millrace_sink::{Backoff, Limits, Origin, PartitionKey, Source, SourceId, Spec};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::{Field, Row};
use rand::RngExt as _;
use rand_xoshiro::Xoshiro256PlusPlus;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::records::{Expected, PARTITIONS, RECORDS, Records, Stream, made};
use crate::store::{End, Fate, Mortal};

/// How long a condition is waited for at most.
const PATIENCE: Duration = Duration::from_secs(60);

struct Process {
    loop_: Simulation<LakeSink<Mortal>>,
    fate: Arc<Mutex<Fate>>,
    wake: watch::Sender<bool>,
}

pub(crate) struct World {
    stream: &'static Stream,
    /// Dropped before what they run on.
    processes: Vec<Process>,
    still: Vec<Process>,
    /// The process that has each partition, and the record it reads next.
    owners: [(usize, usize); PARTITIONS],
    committed: [i64; PARTITIONS],
    topic: Vec<Records>,
    expected: BTreeSet<Expected>,
    pub(crate) folder: Folder,
    random: Xoshiro256PlusPlus,
    pub(crate) kills: usize,
    pub(crate) fenced: usize,
    pub(crate) compacted: usize,
    runtime: Runtime,
}

fn key(partition: usize) -> PartitionKey {
    PartitionKey {
        source: SourceId(0),
        partition: partition as i32,
    }
}

impl World {
    pub(crate) fn new(
        stream: &'static Stream,
        root: &std::path::Path,
        mut random: Xoshiro256PlusPlus,
    ) -> Self {
        let (topic, expected) = made(stream, &mut random);
        let mut world = Self {
            stream,
            processes: Vec::new(),
            still: Vec::new(),
            owners: [(0, 0), (1, 0), (0, 0)],
            committed: [0; PARTITIONS],
            topic,
            expected,
            folder: Folder::new(root.to_owned()),
            random,
            kills: 0,
            fenced: 0,
            compacted: 0,
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_time()
                .build()
                .unwrap(),
        };
        for _ in 0..2 {
            let process = world.start();
            world.processes.push(process);
        }
        world
    }

    fn start(&mut self) -> Process {
        let settings = Settings::default();
        let fate = Arc::<Mutex<Fate>>::default();
        let (wake, woken) = watch::channel(false);
        let store = Mortal {
            folder: self.folder.clone(),
            fate: Arc::clone(&fate),
            woken,
        };
        // All values are JSON, or bad: nobody is asked.
        let fetcher = SchemaFetcher::new(registry::config(&settings.schema_registry));
        let table = tables::named(self.stream.table);
        let readers = tables::of(&settings, table, &TopicSchemas::new(fetcher, None));
        let backoff = Backoff {
            initial: Duration::from_millis(1),
            max: Duration::from_millis(2),
        };
        let metrics = Metrics::register().unwrap();
        let sink = LakeSink::new(store, readers, backoff, metrics, self.runtime.handle().clone());
        let spec = Spec {
            kafka: Kafka::default(),
            group: "lake-sink".to_owned(),
            instance: "one".to_owned(),
            instance_key: "lake_sink.instance",
            sources: vec![Source {
                topic: self.stream.topic.to_owned(),
                dead_letters: format!("{}.dlq", self.stream.topic),
                label: self.stream.table,
            }],
            limits: Limits {
                bytes: usize::MAX,
                items: self.random.random_range(3..25),
                age: Duration::from_secs(3_600),
            },
            in_flight: 1,
            set_aside_bytes: usize::MAX,
            backoff,
            drain_timeout: PATIENCE,
            consumer_properties: BTreeMap::new(),
        };
        Process {
            loop_: Simulation::start(sink, &spec, self.runtime.handle()).unwrap(),
            fate,
            wake,
        }
    }

    /// A process's partitions go on from what is committed, by whoever.
    fn hand_over(&mut self, process: usize) {
        for partition in 0..PARTITIONS {
            if self.owners[partition].0 == process {
                let owner = self.random.random_range(0..2);
                self.assign(partition, owner);
            }
        }
    }

    fn assign(&mut self, partition: usize, owner: usize) {
        let committed = self.committed[partition];
        let is_read = |record: &&(i64, Vec<u8>)| record.0 < committed;
        let next = self.topic[partition].iter().take_while(is_read).count();
        self.owners[partition] = (owner, next);
    }

    /// The process ends where it is, and a new one takes its place.
    pub(crate) fn kill(&mut self, at: usize) {
        let process = self.start();
        self.processes[at] = process;
        self.kills += 1;
        self.hand_over(at);
    }

    /// Plans an end for a process: after so many files.
    pub(crate) fn plan(&mut self, at: usize, files: usize, end: End) {
        self.processes[at].fate.lock().unwrap().plan = Some((files, end));
    }

    /// Reads some records of the process's partitions, until it is at its end.
    pub(crate) fn read(&mut self, at: usize, count: usize) {
        for _ in 0..count {
            let partition = self.random.random_range(0..PARTITIONS);
            let (owner, next) = self.owners[partition];
            if owner != at || next == RECORDS {
                continue;
            }
            let (offset, value) = &self.topic[partition][next];
            let origin = Origin {
                partition: key(partition),
                offset: *offset,
            };
            let deadline = Instant::now() + PATIENCE;
            while !self.processes[at].loop_.read(origin, value).unwrap() {
                if self.is_at_end(at) {
                    return self.bury(at);
                }
                assert!(Instant::now() < deadline, "it stands still");
                std::thread::yield_now();
            }
            self.owners[partition].1 = next + 1;
        }
    }

    fn is_at_end(&self, at: usize) -> bool {
        self.processes[at].fate.lock().unwrap().is_met
    }

    /// A process that has met its end is replaced; one that stands still is kept, to be woken.
    fn bury(&mut self, at: usize) {
        let process = self.start();
        let ended = std::mem::replace(&mut self.processes[at], process);
        let is_still = ended.fate.lock().unwrap().is_still;
        if is_still {
            self.still.push(ended);
        }
        self.kills += 1;
        self.hand_over(at);
    }

    /// Has everything written that was read; whether it was.
    pub(crate) fn drain(&mut self, at: usize) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while self.processes[at].loop_.drain(Duration::from_millis(1)) > 0 {
            if self.is_at_end(at) {
                self.bury(at);
                return false;
            }
            assert!(Instant::now() < deadline, "it is not drained");
        }
        true
    }

    pub(crate) fn commit(&mut self, at: usize) {
        for (partition, offset) in self.processes[at].loop_.commit() {
            let partition = partition.partition as usize;
            assert_eq!(self.owners[partition].0, at, "{partition} is another's");
            self.committed[partition] = offset;
        }
    }

    /// A partition goes to the other process: drained and committed first, or not in time.
    pub(crate) fn give_up(&mut self, partition: usize, is_in_time: bool) {
        let owner = self.owners[partition].0;
        if is_in_time && !self.drain(owner) {
            return;
        }
        self.commit(owner);
        self.processes[owner].loop_.give_up(key(partition));
        self.assign(partition, 1 - owner);
    }

    /// Those that stand still go on, and find that others have their partitions.
    pub(crate) fn wake(&mut self) {
        for mut process in std::mem::take(&mut self.still) {
            process.wake.send_replace(true);
            // What it commits, the group refuses.
            process.loop_.drain(Duration::from_millis(20));
            self.fenced += process.fate.lock().unwrap().fenced;
        }
    }

    /// Puts small files together, beside all processes.
    pub(crate) fn compact(&mut self) {
        let committed = |partition: i32| Some(self.committed[partition as usize]);
        let max_bytes = self.random.random_range(2_000..20_000);
        let table = tables::named(self.stream.table).unwrap();
        let done = compact(&self.folder, table, max_bytes, committed).unwrap();
        self.compacted += done.iter().map(|day| day.before).sum::<usize>();
    }

    pub(crate) fn finish(&mut self) {
        self.wake();
        for at in 0..2 {
            self.processes[at].fate.lock().unwrap().plan = None;
        }
        loop {
            while self.owners.iter().any(|(_, next)| *next < RECORDS) {
                (0..2).for_each(|at| self.read(at, 50));
            }
            // One that was at its end already is replaced, and its partitions read again.
            let is_drained = [self.drain(0), self.drain(1)];
            if is_drained == [true; 2] && self.owners.iter().all(|(_, next)| *next == RECORDS) {
                break;
            }
        }
        (0..2).for_each(|at| self.commit(at));
        for (partition, records) in self.topic.iter().enumerate() {
            assert_eq!(self.committed[partition], records[RECORDS - 1].0 + 1);
        }
    }

    /// The rows of all files; each is what its file's name promises.
    pub(crate) fn check(&self) {
        let files = self
            .runtime
            .block_on(self.folder.files(self.stream.table))
            .unwrap();
        let mut rows = BTreeSet::new();
        for (at, file) in files.iter().enumerate() {
            assert!(
                !files[..at].iter().any(|other| other.overlaps(file)),
                "{file:?} overlaps"
            );
            let bytes = self.runtime.block_on(self.folder.read(file)).unwrap();
            let mut offsets = Vec::new();
            for row in SerializedFileReader::new(bytes)
                .unwrap()
                .get_row_iter(None)
                .unwrap()
            {
                let row = row.unwrap();
                let found = [
                    "kafka_partition",
                    "kafka_offset",
                    self.stream.time,
                    self.stream.money,
                ]
                .map(|name| field(&row, name));
                let [
                    Field::Int(partition),
                    Field::Long(offset),
                    Field::TimestampMillis(time_ms),
                    Field::Decimal(money),
                ] = found
                else {
                    panic!("{found:?}");
                };
                let bytes = money.data().iter();
                let units = bytes.fold(0, |units, byte| units << 8 | i64::from(*byte));
                assert_eq!(partition, file.partition);
                assert_eq!(Day::of_ms(time_ms), Some(file.day));
                assert!(
                    rows.insert((partition, offset, file.day, units)),
                    "{partition} {offset} twice"
                );
                offsets.push(offset);
            }
            assert!(offsets.is_sorted());
            assert_eq!((offsets[0], offsets[offsets.len() - 1]), (file.first, file.last));
            let of_file = |row: &&Expected| {
                row.0 == file.partition && row.2 == file.day && (file.first..=file.last).contains(&row.1)
            };
            assert_eq!(
                self.expected.iter().filter(of_file).count(),
                offsets.len(),
                "{file:?}"
            );
        }
        assert_eq!(rows, self.expected);
    }
}

fn field(row: &Row, name: &str) -> Field {
    let mut fields = row.get_column_iter();
    fields.find(|(found, _)| *found == name).unwrap().1.clone()
}
