//! Random schedules over the jobs as they run in production: the worker's partitions, and changes
//! of every setting that may be changed, with kills, rebalances, aborted transactions and added
//! partitions between them. What is committed (contributions, alerts, states, late records, dead
//! letters, the control topics) is, record by record, what an undisturbed run writes that reads the
//! same directives.
//!
//! The variables are those of [`millrace_runtime::simulation`].

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use millrace_contract::{Contract as _, Encode as _};
use millrace_contract::{Reader, framing};
use millrace_engine::HashSeed;
use millrace_engine::keyed::OrderedPolicy;
use millrace_engine::windowed::PartialPolicy;
use millrace_iot::{AlertKind, Band, Device, DeviceAlert, DeviceState, Limits, Measured, Reading};
use millrace_iot_jobs::{AlertMetrics, Alerts, Minutes};
use millrace_kafka::SourcePartitions;
use millrace_registry::{RegistryConfig, SchemaFetcher, Tls};
use millrace_runtime::JobMetrics;
use millrace_runtime::control::ControlRecord;
use millrace_runtime::keyed::{KeyedJob, KeyedParts, KeyedTopics};
use millrace_runtime::processor::Refusal;
use millrace_runtime::simulation::{
    DEAD_LETTERS, Drawn, OverEvents, Random, SOURCES, assert_repeats, grow, run_schedules, waits_for_all,
};
use millrace_runtime::windowed::{PartialJob, PartialParts, PartialTopics, WindowMetrics};
use millrace_settings::MisplacedRecords;
use uuid::Uuid;

const SCHEDULES: u64 = 2_000;
const READING_ID: u32 = 1;
const MERGE_PARTITIONS: i32 = 2;

#[test]
fn alerts_are_committed_as_of_an_undisturbed_run() {
    let counts: [AtomicU64; 5] = Default::default();
    let jobs = Jobs::new();
    let seen = run_schedules(SCHEDULES, |seed| {
        grow(Watched(&jobs), seed, |mut simulation| {
            simulation.run();
            simulation.verify();
            for output in simulation.outputs() {
                let at = count_of(output.topic.as_str(), output.key.as_deref(), &output.payload);
                counts[at].fetch_add(1, Ordering::Relaxed);
            }
            simulation.seen()
        })
    });
    let counts = counts.map(AtomicU64::into_inner);
    eprintln!("dead letters, states, silences, stuck sensors, other alerts: {counts:?}");
    assert!(
        counts.iter().all(|count| *count > 0) || seen.commits < 10_000,
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
        grow(Contributed(&jobs), seed, |mut simulation| {
            simulation.run();
            simulation.verify();
            simulation.seen()
        })
    });
}

#[test]
fn one_seed_is_one_schedule() {
    let jobs = Jobs::new();
    assert_repeats(|seed| {
        grow(Watched(&jobs), seed, |mut simulation| {
            simulation.run();
            vec![simulation.into_trace()]
        })
    });
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
                    late: Some("iot.late".to_owned()),
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

fn reading(number: u128, device: &str, time_ms: i64, random: &mut Random) -> Reading {
    Reading {
        event_id: Uuid::from_u128(number),
        device_id: Device::new(device).unwrap(),
        temp: Measured::of_units(random.pick(&[20_000, 20_000, 20_000, 70_000])).unwrap(),
        humidity: Measured::of_units(40_000 + random.below(20_000) as i32).unwrap(),
        time_ms,
    }
}

fn record(reading: &Reading) -> (Vec<u8>, Vec<u8>) {
    let mut value = Vec::new();
    reading.encode_framed(READING_ID, &mut value);
    (reading.device_id.as_str().as_bytes().to_vec(), value)
}

struct Watched<'j>(&'j Jobs);

impl OverEvents for Watched<'_> {
    type Job = KeyedJob<Alerts>;
    type Event = Reading;

    const KEYS: &'static str = "sensor-";

    fn job(&self, drawn: Drawn, random: &mut Random) -> KeyedJob<Alerts> {
        let limits = limits(random.pick(&[5_000, 1_000, 60_000]));
        let (lateness_ms, disorder_ms) = (drawn.allowed_lateness_ms, drawn.max_disorder_ms);
        KeyedJob::new(KeyedParts {
            policy: OrderedPolicy::new(lateness_ms, disorder_ms, limits).unwrap(),
            max_future_ms: drawn.max_future_ms,
            earliest_ms: drawn.earliest_ms,
            misplaced_records: drawn.misplaced_records,
            source: drawn.source,
            seed: drawn.seed,
            ..self.0.alerts.clone()
        })
    }

    fn event(&self, number: u128, key: &str, time_ms: i64, random: &mut Random) -> Reading {
        reading(number, key, time_ms, random)
    }

    fn record(&self, reading: &Reading) -> (Vec<u8>, Vec<u8>) {
        record(reading)
    }

    /// Where devices lie, and so their order, depends on when the places of others were given
    /// back.
    fn has_one_state(&self) -> bool {
        false
    }
}

struct Contributed<'j>(&'j Jobs);

impl OverEvents for Contributed<'_> {
    type Job = PartialJob<Minutes>;
    type Event = Reading;

    const KEYS: &'static str = "sensor-";

    fn job(&self, drawn: Drawn, random: &mut Random) -> PartialJob<Minutes> {
        let window_ms = random.pick(&[10_000, 5_000, 20_000]);
        let (lateness_ms, disorder_ms) = (drawn.allowed_lateness_ms, drawn.max_disorder_ms);
        PartialJob::new(PartialParts {
            policy: PartialPolicy::new(window_ms, lateness_ms, disorder_ms).unwrap(),
            max_future_ms: drawn.max_future_ms,
            earliest_ms: drawn.earliest_ms,
            misplaced_records: drawn.misplaced_records,
            source: drawn.source,
            seed: drawn.seed,
            ..self.0.minutes.clone()
        })
    }

    fn event(&self, number: u128, key: &str, time_ms: i64, random: &mut Random) -> Reading {
        reading(number, key, time_ms, random)
    }

    fn record(&self, reading: &Reading) -> (Vec<u8>, Vec<u8>) {
        record(reading)
    }

    fn controls(&self, partitions: i32) -> Vec<ControlRecord> {
        waits_for_all(partitions)
    }
}
