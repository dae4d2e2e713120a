//! Jobs over a stream of keyed events that others write: the stream gets partitions, its logs have
//! all that may be wrong with records, and each setting of the jobs varies.

use std::cell::Cell;
use std::sync::Arc;

use millrace_engine::HashSeed;
use millrace_engine::windowed::MergePolicy;
use millrace_kafka::{SourcePartitions, partition_for};
use millrace_settings::MisplacedRecords;

use super::{LoggedRecord, Random, Scenario, Simulation};
use crate::Job;
use crate::control::ControlRecord;
use crate::processor::policy_to_text;

/// Partitions, in the end.
pub const SOURCES: i32 = 3;
/// Event times begin here.
const BEGIN_MS: i64 = 1_760_000_000_000;
/// Records of a partition.
const RECORDS: usize = 60;

/// A job over such a stream, and the stream's events.
pub trait OverEvents {
    /// The job.
    type Job: Job;
    /// An event.
    type Event: Copy;

    /// What the keys of events begin with; a number follows.
    const KEYS: &'static str;

    /// The job by settings that were drawn; what else is set of it is drawn from `random`.
    fn job(&self, drawn: Drawn, random: &mut Random) -> Self::Job;

    /// An event of a number and a key.
    fn event(&self, number: u128, key: &str, time_ms: i64, random: &mut Random) -> Self::Event;

    /// The key and the value of an event's record.
    fn record(&self, event: &Self::Event) -> (Vec<u8>, Vec<u8>);

    /// As [`Scenario::controls`], of an input of so many partitions.
    fn controls(&self, _partitions: i32) -> Vec<ControlRecord> {
        Vec::new()
    }

    /// As [`Scenario::has_one_state`].
    fn has_one_state(&self) -> bool {
        true
    }
}

/// What is set of each job of a stream, drawn by a schedule.
#[derive(Debug, Clone)]
pub struct Drawn {
    /// How long after the watermark a record is still taken.
    pub allowed_lateness_ms: i64,
    /// How far the watermark stays behind.
    pub max_disorder_ms: i64,
    /// How far an event time may be ahead.
    pub max_future_ms: i64,
    /// The earliest event time.
    pub earliest_ms: i64,
    /// What becomes of a record that lies elsewhere than those of its key.
    pub misplaced_records: MisplacedRecords,
    /// The partitions that there are.
    pub source: Arc<SourcePartitions>,
    /// Seed of the tables.
    pub seed: HashSeed,
}

/// The job over an input that may get more partitions.
pub struct Growing<J> {
    job: J,
    partitions: Cell<i32>,
}

impl<J: OverEvents> Scenario for Growing<J> {
    type Job = J::Job;

    fn job(&self, settings: u64, seed: u64) -> J::Job {
        let mut random = Random::new(settings);
        let drawn = Drawn {
            allowed_lateness_ms: random.pick(&[0, 3_000]),
            max_disorder_ms: random.pick(&[2_000, 0, 9_000]),
            max_future_ms: random.pick(&[20_000, 60_000]),
            earliest_ms: BEGIN_MS + random.pick(&[-100_000, 4_000]),
            misplaced_records: random.pick(&[MisplacedRecords::Count, MisplacedRecords::DeadLetter]),
            source: Arc::new(SourcePartitions::fixed(self.partitions.get())),
            seed: HashSeed::new(seed),
        };
        self.job.job(drawn, &mut random)
    }

    fn controls(&self, _topic: &str, _partition: i32) -> Vec<ControlRecord> {
        self.job.controls(self.partitions.get())
    }

    fn grew(&self, partitions: usize) {
        self.partitions.set(partitions as i32);
    }

    fn has_one_state(&self) -> bool {
        self.job.has_one_state()
    }
}

/// Drives a job through the schedule of a seed, in half of which partitions are added.
pub fn grow<J: OverEvents, T>(job: J, seed: u64, drive: impl FnOnce(Simulation<'_, Growing<J>>) -> T) -> T {
    let mut random = Random::new(seed);
    let later = i32::from(random.one_in(2));
    let before = SOURCES - later;
    let mut logs: Vec<_> = (0..SOURCES)
        .map(|partition| log(&job, partition, before, &mut random))
        .collect();
    let later = logs.split_off(before as usize);
    let growing = Growing {
        job,
        partitions: Cell::new(before),
    };
    drive(Simulation::new(&growing, random.next_u64(), logs).with_later(later))
}

/// What the control topic of a second stage says that has waited for every source from the start,
/// and has sent nothing.
///
/// # Panics
/// Without partitions.
#[must_use]
pub fn waits_for_all(partitions: i32) -> Vec<ControlRecord> {
    let policy = MergePolicy::new(partitions as usize, 0).expect("partitions");
    vec![ControlRecord::Policy {
        offset: 0,
        policy: policy_to_text(&policy),
        closed_until_ms: None,
    }]
}

/// A log of events: some late, some sent twice, some elsewhere than their key's, some far ahead or
/// too early, some that nobody can decode. The second half is of after all partitions were there,
/// of which there were fewer `before`.
fn log<J: OverEvents>(job: &J, partition: i32, before: i32, random: &mut Random) -> Vec<LoggedRecord> {
    let keys_by = |partitions| -> (Vec<_>, Vec<_>) {
        (0..40)
            .map(|number| format!("{}{number}", J::KEYS))
            .partition(|key| partition_for(key.as_bytes(), partitions) == partition)
    };
    let (all_before, all_after) = (keys_by(before), keys_by(SOURCES));
    let mut sent: Vec<J::Event> = Vec::new();
    let mut log = Vec::new();
    let mut now_ms = BEGIN_MS;
    for number in 0..RECORDS {
        let most_ms = if random.one_in(30) { 90_000 } else { 2_500 };
        now_ms += random.below(most_ms) as i64;
        let back_ms = if random.one_in(9) { 90_000 } else { 1_500 };
        let mut time_ms = now_ms - random.below(back_ms) as i64;
        if random.one_in(25) {
            time_ms = now_ms + random.pick(&[30_000, 100_000]);
        }
        let is_before = partition < before && number < RECORDS / 2;
        let (here, elsewhere) = if is_before { &all_before } else { &all_after };
        let key = match random.one_in(15) {
            true => &elsewhere[random.below(3)],
            false => &here[random.below(3)],
        };
        let earlier = sent.len().checked_sub(1 + random.below(20)).map(|at| sent[at]);
        let event = match earlier {
            Some(earlier) if random.one_in(15) => earlier,
            _ => job.event(
                (partition as usize * RECORDS + number) as u128,
                key,
                time_ms,
                random,
            ),
        };
        sent.push(event);
        let (key, mut value) = job.record(&event);
        if random.one_in(20) {
            value.truncate(7);
        }
        log.push(LoggedRecord {
            key: (!random.one_in(20)).then_some(key),
            payload: Some(value),
            timestamp_ms: now_ms,
            is_append_time: !random.one_in(20),
        });
    }
    log
}
