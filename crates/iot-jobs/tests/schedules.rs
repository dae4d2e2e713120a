//! Random schedules over the jobs as they run in production: the worker's partitions, and changes
//! of every setting that may be changed, with kills, rebalances, aborted transactions and added
//! partitions between them. What is committed (contributions, alerts, states, late records, dead
//! letters, the control topics) is, record by record, what an undisturbed run writes that reads the
//! same directives.
//!
//! The variables are those of [`millrace_runtime::simulation`].

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use millrace_contract::{Contract as _, Encode as _};
use millrace_contract::{Reader, framing};
use millrace_engine::HashSeed;
use millrace_engine::keyed::OrderedPolicy;
use millrace_engine::windowed::{MergePolicy, PartialPolicy};
use millrace_iot::{AlertKind, Band, Device, DeviceAlert, DeviceState, Limits, Measured, Reading};
use millrace_iot_jobs::{AlertMetrics, Alerts, Minutes};
use millrace_kafka::{SourcePartitions, partition_for};
use millrace_registry::{RegistryConfig, SchemaFetcher, Tls};
use millrace_runtime::JobMetrics;
use millrace_runtime::control::ControlRecord;
use millrace_runtime::keyed::{KeyedJob, KeyedParts, KeyedTopics};
use millrace_runtime::processor::Refusal;
use millrace_runtime::simulation::{
    DEAD_LETTERS, LoggedRecord, Random, Scenario, Simulation, assert_repeats, run_schedules,
};
use millrace_runtime::windowed::{PartialJob, PartialParts, PartialTopics, WindowMetrics};
use millrace_settings::MisplacedRecords;
use uuid::Uuid;

const SCHEDULES: u64 = 2_000;
/// Partitions, in the end.
const SOURCES: i32 = 3;
const RECORDS: usize = 60;
const BEGIN_MS: i64 = 1_760_000_000_000;
const READING_ID: u32 = 1;
const MERGE_PARTITIONS: i32 = 2;

#[test]
fn alerts_are_committed_as_of_an_undisturbed_run() {
    let counts: [AtomicU64; 5] = Default::default();
    let jobs = Jobs::new();
    let seen = run_schedules(SCHEDULES, |seed| {
        let (of, later, mut random) = begin(Watched(&jobs), seed);
        let mut simulation = simulation(&of, later, &mut random);
        simulation.run();
        simulation.verify();
        for output in simulation.outputs() {
            let at = count_of(output.topic.as_str(), output.key.as_deref(), &output.payload);
            counts[at].fetch_add(1, Ordering::Relaxed);
        }
        simulation.seen()
    });
    let counts = counts.map(AtomicU64::into_inner);
    eprintln!("dead letters, states, silences, stuck sensors, other alerts: {counts:?}");
    // Who looks into one seed runs fewer, and says how many.
    let is_chosen = std::env::var_os("MILLRACE_SIMULATION_SCHEDULES").is_some();
    assert!(
        counts.iter().all(|count| *count > 0) || is_chosen,
        "{seen:?} {counts:?}"
    );
}

/// What an output is, by its place among the counts.
fn count_of(topic: &str, key: Option<&[u8]>, payload: &[u8]) -> usize {
    if topic == DEAD_LETTERS {
        return 0;
    }
    let (_, body) = framing::split(payload).unwrap();
    if topic == "device_states" {
        let state = DeviceState::decode(body).unwrap();
        assert_eq!(key, Some(state.device_id.as_str().as_bytes()));
        return 1;
    }
    let alert = DeviceAlert::decode(body).unwrap();
    assert_eq!(key, Some(alert.device_id.as_str().as_bytes()));
    assert!(alert.since_ms <= alert.time_ms);
    match alert.kind {
        AlertKind::Silent => 2,
        AlertKind::Stuck => 3,
        AlertKind::High | AlertKind::Low | AlertKind::Drift => 4,
    }
}

#[test]
fn contributions_of_minutes_are_committed_as_of_an_undisturbed_run() {
    let jobs = Jobs::new();
    run_schedules(SCHEDULES, |seed| {
        let (of, later, mut random) = begin(Contributed(&jobs), seed);
        let mut simulation = simulation(&of, later, &mut random);
        simulation.run();
        simulation.verify();
        simulation.seen()
    });
}

#[test]
fn one_seed_is_one_schedule() {
    let jobs = Jobs::new();
    assert_repeats(|seed| {
        let (of, later, mut random) = begin(Watched(&jobs), seed);
        let mut simulation = simulation(&of, later, &mut random);
        simulation.run();
        vec![simulation.into_trace()]
    });
}

/// A job over an input that may get more partitions.
struct Growing<J> {
    job: J,
    partitions: Cell<i32>,
}

/// The job of a schedule, and how many partitions are added in it.
fn begin<J>(job: J, seed: u64) -> (Growing<J>, i32, Random) {
    let mut random = Random::new(seed);
    let later = i32::from(random.one_in(2));
    let partitions = Cell::new(SOURCES - later);
    (Growing { job, partitions }, later, random)
}

fn simulation<'d, J>(of: &'d Growing<J>, later: i32, random: &mut Random) -> Simulation<'d, Growing<J>>
where
    Growing<J>: Scenario,
{
    let before = SOURCES - later;
    let mut logs: Vec<_> = (0..SOURCES)
        .map(|partition| log(partition, before, random))
        .collect();
    let later = logs.split_off(before as usize);
    Simulation::new(of, random.next_u64(), logs).with_later(later)
}

fn limits(silent_after_ms: i64) -> Limits {
    let band = |low, high| Band {
        low,
        high,
        hysteresis: 1_000,
        drift: 4_000,
    };
    Limits {
        temp: band(0, 60_000),
        humidity: band(41_000, 59_000),
        drift_readings: 16,
        stuck_readings: 3,
        silent_after_ms,
        forget_after_ms: 2 * silent_after_ms,
    }
}

struct Jobs {
    alerts: KeyedParts<Alerts>,
    minutes: PartialParts<Minutes>,
}

impl Jobs {
    fn new() -> Self {
        let fetcher = SchemaFetcher::new(RegistryConfig {
            url: "http://127.0.0.1:1".to_owned(),
            username: None,
            password: None,
            timeout_ms: 1,
            tls: Tls::default(),
        });
        let reader = Reader::new(fetcher).with_own_schema_id(READING_ID);
        let source = Arc::new(SourcePartitions::fixed(SOURCES));
        Self {
            alerts: KeyedParts {
                of: Alerts {
                    metrics: AlertMetrics::register().unwrap(),
                },
                policy: OrderedPolicy::new(0, 0, limits(1_000)).unwrap(),
                max_future_ms: 0,
                earliest_ms: 0,
                seed: HashSeed::FIXED,
                topics: KeyedTopics {
                    input: "iot".to_owned(),
                    control: "device_alerts.control".to_owned(),
                    outputs: vec![("device_alerts".to_owned(), 2), ("device_states".to_owned(), 4)],
                },
                source: Arc::clone(&source),
                refusal: Refusal::DeadLetter,
                misplaced_records: MisplacedRecords::Count,
                reader: reader.clone(),
                metrics: JobMetrics::of("schedules").unwrap(),
                windows: WindowMetrics::of("schedules").unwrap(),
            },
            minutes: PartialParts {
                policy: PartialPolicy::new(60_000, 0, 0).unwrap(),
                max_future_ms: 0,
                earliest_ms: 0,
                seed: HashSeed::FIXED,
                topics: PartialTopics {
                    input: "iot".to_owned(),
                    control: "device_minutes.control".to_owned(),
                    partials: "device_minutes.partials".to_owned(),
                    partials_control: "device_minutes.partials.control".to_owned(),
                    late: "iot.late".to_owned(),
                },
                source,
                upstream: None,
                refusal: Refusal::DeadLetter,
                misplaced_records: MisplacedRecords::Count,
                partials_partitions: MERGE_PARTITIONS,
                schema_id: 3,
                reader,
                metrics: JobMetrics::of("schedules-minutes").unwrap(),
                windows: WindowMetrics::of("schedules-minutes").unwrap(),
            },
        }
    }
}

struct Watched<'j>(&'j Jobs);

impl Scenario for Growing<Watched<'_>> {
    type Job = KeyedJob<Alerts>;

    fn job(&self, settings: u64, seed: u64) -> KeyedJob<Alerts> {
        let mut random = Random::new(settings);
        let (silent_ms, lateness_ms) = (random.pick(&[5_000, 1_000, 60_000]), random.pick(&[0, 3_000]));
        let limits = limits(silent_ms);
        KeyedJob::new(KeyedParts {
            policy: OrderedPolicy::new(lateness_ms, random.pick(&[2_000, 0, 9_000]), limits).unwrap(),
            max_future_ms: random.pick(&[20_000, 60_000]),
            earliest_ms: BEGIN_MS + random.pick(&[-100_000, 4_000]),
            misplaced_records: random.pick(&[MisplacedRecords::Count, MisplacedRecords::DeadLetter]),
            source: Arc::new(SourcePartitions::fixed(self.partitions.get())),
            seed: HashSeed::new(seed),
            ..self.job.0.alerts.clone()
        })
    }

    fn grew(&self, partitions: usize) {
        self.partitions.set(partitions as i32);
    }

    /// Where devices lie, and so their order, depends on when the places of others were given
    /// back.
    fn has_one_state(&self) -> bool {
        false
    }
}

struct Contributed<'j>(&'j Jobs);

impl Scenario for Growing<Contributed<'_>> {
    type Job = PartialJob<Minutes>;

    fn job(&self, settings: u64, seed: u64) -> PartialJob<Minutes> {
        let mut random = Random::new(settings);
        let (window_ms, lateness_ms) = (random.pick(&[10_000, 5_000, 20_000]), random.pick(&[0, 3_000]));
        PartialJob::new(PartialParts {
            policy: PartialPolicy::new(window_ms, lateness_ms, random.pick(&[2_000, 0, 9_000])).unwrap(),
            max_future_ms: random.pick(&[20_000, 60_000]),
            earliest_ms: BEGIN_MS + random.pick(&[-100_000, 4_000]),
            misplaced_records: random.pick(&[MisplacedRecords::Count, MisplacedRecords::DeadLetter]),
            source: Arc::new(SourcePartitions::fixed(self.partitions.get())),
            seed: HashSeed::new(seed),
            ..self.job.0.minutes.clone()
        })
    }

    /// Stage 2 has waited for every source from the start, and has sent nothing.
    fn controls(&self, _topic: &str, _partition: i32) -> Vec<ControlRecord> {
        let policy = MergePolicy::new(self.partitions.get() as usize, 0).unwrap();
        vec![ControlRecord::Policy {
            offset: 0,
            policy: millrace_runtime::processor::policy_to_text(&policy),
            closed_until_ms: None,
        }]
    }

    fn grew(&self, partitions: usize) {
        self.partitions.set(partitions as i32);
    }
}

/// A log of readings: some late, some sent twice, some elsewhere than their device's, some far
/// ahead or too early, some that nobody can decode. The second half is of after all partitions were
/// there, of which there were fewer `before`.
fn log(partition: i32, before: i32, random: &mut Random) -> Vec<LoggedRecord> {
    let names_by = |partitions| -> (Vec<_>, Vec<_>) {
        (0..40)
            .map(|number| format!("sensor-{number}"))
            .partition(|name| partition_for(name.as_bytes(), partitions) == partition)
    };
    let (all_before, all_after) = (names_by(before), names_by(SOURCES));
    let mut sent: Vec<Reading> = Vec::new();
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
        let device = match random.one_in(15) {
            true => &elsewhere[random.below(3)],
            false => &here[random.below(3)],
        };
        let earlier = sent.len().checked_sub(1 + random.below(20)).map(|at| sent[at]);
        let reading = match earlier {
            Some(earlier) if random.one_in(15) => earlier,
            _ => Reading {
                event_id: Uuid::from_u128((partition as usize * RECORDS + number) as u128),
                device_id: Device::new(device).unwrap(),
                temp: Measured::of_units(random.pick(&[20_000, 20_000, 20_000, 70_000])).unwrap(),
                humidity: Measured::of_units(40_000 + random.below(20_000) as i32).unwrap(),
                time_ms,
            },
        };
        sent.push(reading);
        let mut value = Vec::new();
        reading.encode_framed(READING_ID, &mut value);
        if random.one_in(20) {
            value.truncate(7);
        }
        log.push(LoggedRecord {
            key: (!random.one_in(20)).then(|| reading.device_id.as_str().as_bytes().to_vec()),
            payload: Some(value),
            timestamp_ms: now_ms,
            is_append_time: !random.one_in(20),
        });
    }
    log
}
