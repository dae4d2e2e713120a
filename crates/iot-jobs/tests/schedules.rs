//! Random schedules over the jobs as they run in production: the worker's partitions, and changes
//! of every setting that may be changed, with kills, rebalances, aborted transactions and added
//! partitions between them. What is committed (contributions, alerts, states, late records, dead
//! letters, the control topics) is, record by record, what an undisturbed run writes that reads the
//! same directives.
//!
//! The variables are those of [`millrace_runtime::simulation`].

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

use std::sync::atomic::{AtomicU64, Ordering};

use millrace_contract::{Contract as _, framing};
use millrace_engine::keyed::OrderedPolicy;
use millrace_iot::{AlertKind, Band, Device, DeviceAlert, DeviceState, Limits, Measured, Reading};
use millrace_iot_jobs::{AlertMetrics, Alerts, Minutes};
use millrace_runtime::simulation::{
    DEAD_LETTERS, KeyedSchedules, OverStream as _, PartialSchedules, Random, Records,
};
use uuid::Uuid;

const SCHEDULES: u64 = 2_000;

const READINGS: Records<Reading> = Records {
    prefix: "sensor-",
    make: reading,
};

fn reading(number: u128, device: &str, time_ms: i64, random: &mut Random) -> Reading {
    Reading {
        event_id: Uuid::from_u128(number),
        device_id: Device::new(device).unwrap(),
        temp: Measured::of_units(random.pick(&[20_000, 20_000, 20_000, 70_000])).unwrap(),
        humidity: Measured::of_units(40_000 + random.below(20_000) as i32).unwrap(),
        time_ms,
    }
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

fn alerts() -> KeyedSchedules<Alerts> {
    let of = Alerts {
        metrics: AlertMetrics::register().unwrap(),
    };
    let policy = |settings: &mut Random| {
        let limits = limits(settings.pick(&[5_000, 1_000, 60_000]));
        let lateness_ms = settings.pick(&[0, 3_000]);
        OrderedPolicy::new(lateness_ms, settings.pick(&[2_000, 0, 9_000]), limits).unwrap()
    };
    KeyedSchedules::new(of, &["device_alerts", "device_states"], policy, READINGS)
}

#[test]
fn alerts_are_committed_as_of_an_undisturbed_run() {
    let counts: [AtomicU64; 5] = Default::default();
    let seen = alerts().run(SCHEDULES, |output| {
        let at = count_of(output.topic.as_str(), output.key.as_deref(), &output.payload);
        counts[at].fetch_add(1, Ordering::Relaxed);
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
    PartialSchedules::<Minutes>::new(READINGS).run(SCHEDULES, |_| {});
}

#[test]
fn one_seed_is_one_schedule() {
    alerts().assert_repeats();
}
