//! Alerts against their definition, whatever order readings come in.

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

mod support;

use std::collections::BTreeMap;

use millrace_contract::{Contract as _, Encode as _, Symbols as _};
use millrace_engine::keyed::{KeyedOperator as _, OrderedPolicy};
use millrace_engine::{Disposition, HashSeed, Operator as _};
use millrace_iot::{
    AlertKind, AlertStatus, Band, DeviceAlert, DeviceAlerts, DeviceNotice, DeviceState, Limits, Measure,
    NoticeRecord, Reading, Watch,
};
use proptest::prelude::*;
use support::reading;

const LIMITS: Limits = Limits {
    temp: Band {
        low: -10_000,
        high: 50_000,
        hysteresis: 2_000,
        drift: 3_000,
    },
    humidity: Band {
        low: 10_000,
        high: 90_000,
        hysteresis: 5_000,
        drift: 8_000,
    },
    drift_readings: 32,
    stuck_readings: 4,
    silent_after_ms: 60_000,
    forget_after_ms: 600_000,
};
const END_MS: i64 = 100_000_000;

fn alerts(limits: Limits, readings: &[Reading]) -> (Vec<DeviceAlert>, Vec<DeviceState>) {
    let policy = OrderedPolicy::new(0, 3_600_000, limits).unwrap();
    let mut operator = DeviceAlerts::new(Watch, policy, HashSeed::FIXED);
    let mut outputs = Vec::new();
    for (at, reading) in readings.iter().enumerate() {
        assert_eq!(operator.process(reading, &mut outputs), Disposition::Accepted);
        assert_eq!(operator.process(reading, &mut outputs), Disposition::Duplicate);
        if at % 7 == 3 {
            let mut state = Vec::new();
            operator.snapshot(&mut state);
            operator = DeviceAlerts::new(Watch, policy, HashSeed::new(at as u64));
            operator.restore(&state).unwrap();
            let cut = (at * 31) % state.len();
            assert!(operator.clone().restore(&state[..cut]).is_err());
        }
    }
    operator.advance(END_MS, &mut outputs);
    assert_eq!(operator.open_keys(), 0, "each is forgotten in the end");
    split(&outputs)
}

/// As they come out of the topics that they were sent to.
fn split(outputs: &[DeviceNotice]) -> (Vec<DeviceAlert>, Vec<DeviceState>) {
    let (mut alerts, mut states) = (Vec::new(), Vec::new());
    for said in outputs {
        let mut body = Vec::new();
        match NoticeRecord::of(said) {
            NoticeRecord::Alert(alert) => {
                alert.encode(&mut body);
                assert_eq!(DeviceAlert::decode(&body), Ok(alert));
                alerts.push(alert);
            }
            NoticeRecord::State(state) => {
                state.encode(&mut body);
                assert_eq!(DeviceState::decode(&body), Ok(state));
                states.push(state);
            }
        }
    }
    (alerts, states)
}

/// An alert: device, measure, kind, when it started, when and how it ended.
type Line = (String, Measure, AlertKind, i64, i64, AlertStatus);

fn lines(alerts: &[DeviceAlert]) -> Vec<Line> {
    let mut open: BTreeMap<(String, Measure, AlertKind), i64> = BTreeMap::new();
    let mut lines = Vec::new();
    for alert in alerts {
        let id = (alert.device_id.as_str().to_owned(), alert.measure, alert.kind);
        if alert.status == AlertStatus::Started {
            assert_eq!(alert.since_ms, alert.time_ms);
            assert_eq!(open.insert(id, alert.since_ms), None, "started twice: {alert:?}");
        } else {
            assert_eq!(
                open.remove(&id),
                Some(alert.since_ms),
                "ends what never started: {alert:?}"
            );
            let (device, measure, kind) = id;
            lines.push((device, measure, kind, alert.since_ms, alert.time_ms, alert.status));
        }
    }
    assert!(open.is_empty(), "never ended: {open:?}");
    lines.sort();
    lines
}

/// By the definitions, over the readings of a device between the times at which it was forgotten.
fn expected(limits: &Limits, readings: &[Reading]) -> Vec<Line> {
    let mut by_device: BTreeMap<&str, Vec<&Reading>> = BTreeMap::new();
    for reading in readings {
        let device = reading.device_id.as_str();
        by_device.entry(device).or_default().push(reading);
    }
    let mut lines = Vec::new();
    for (device, mut readings) in by_device {
        readings.sort_by_key(|reading| (reading.time_ms, reading.event_id));
        let is_kept = |one: &&Reading, next: &&Reading| next.time_ms - one.time_ms < limits.forget_after_ms;
        for life in readings.chunk_by(is_kept) {
            let forgotten_ms = life[life.len() - 1].time_ms + limits.forget_after_ms;
            let mut spans = silences(limits, life);
            spans.extend(of_measure(limits, life, Measure::Temp));
            spans.extend(of_measure(limits, life, Measure::Humidity));
            lines.extend(spans.into_iter().map(|(measure, kind, since_ms, end)| {
                let ended = |at_ms| (at_ms, AlertStatus::Ended);
                let (end_ms, status) = end.map_or((forgotten_ms, AlertStatus::Forgotten), ended);
                (device.to_owned(), measure, kind, since_ms, end_ms, status)
            }));
        }
    }
    lines.sort();
    lines
}

/// An alert of a device: when it started, and when it ended if it did.
type Span = (Measure, AlertKind, i64, Option<i64>);

fn silences(limits: &Limits, life: &[&Reading]) -> Vec<Span> {
    let of = |(at, reading): (usize, &&Reading)| {
        let next = life.get(at + 1).map(|next| next.time_ms);
        let is_silent = next.is_none_or(|next_ms| next_ms - reading.time_ms >= limits.silent_after_ms);
        let since_ms = reading.time_ms + limits.silent_after_ms;
        is_silent.then_some((Measure::Device, AlertKind::Silent, since_ms, next))
    };
    life.iter().enumerate().filter_map(of).collect()
}

/// One kind after the other: from the first reading that starts it to the next that ends it.
fn of_measure(limits: &Limits, life: &[&Reading], measure: Measure) -> Vec<Span> {
    let is_temp = measure == Measure::Temp;
    let band = if is_temp { &limits.temp } else { &limits.humidity };
    let value = |it: &&Reading| i64::from(if is_temp { it.temp } else { it.humidity }.units());
    let values: Vec<i64> = life.iter().map(value).collect();
    let apart = apart(&values, limits.drift_readings as usize);
    let same = |at: usize| {
        values[..=at]
            .iter()
            .rev()
            .take_while(|it| **it == values[at])
            .count()
    };
    let (low, high) = (i64::from(band.low), i64::from(band.high));
    let (back, drift) = (i64::from(band.hysteresis), f64::from(band.drift));
    let is_stuck = |at: usize| same(at) >= limits.stuck_readings as usize;
    let is_warm = |at: usize| at + 1 >= limits.drift_readings as usize;
    let starts = |kind, at: usize| match kind {
        AlertKind::High => values[at] > high,
        AlertKind::Low => values[at] < low,
        AlertKind::Drift => is_warm(at) && apart[at] >= drift,
        AlertKind::Stuck => is_stuck(at),
        AlertKind::Silent => false,
    };
    let ends = |kind, at: usize| match kind {
        AlertKind::High => values[at] <= high - back,
        AlertKind::Low => values[at] >= low + back,
        AlertKind::Drift => apart[at] < drift / 2.0,
        AlertKind::Stuck => !is_stuck(at),
        AlertKind::Silent => true,
    };
    let mut spans = Vec::new();
    for &kind in AlertKind::ALL {
        let mut from = 0;
        while let Some(start) = (from..life.len()).find(|&at| starts(kind, at)) {
            let end = (start + 1..life.len()).find(|&at| ends(kind, at));
            spans.push((measure, kind, life[start].time_ms, end.map(|at| life[at].time_ms)));
            from = end.map_or(life.len(), |at| at + 1);
        }
    }
    spans
}

/// How far both means are apart after each value, each rounded down to 1/65,536 of 1/1000.
fn apart(values: &[i64], slow: usize) -> Vec<f64> {
    let mean = |over: usize| {
        let mut mean = 0_i128;
        let step = move |(at, value): (usize, &i64)| {
            let parts = over.min(at + 1) as i128;
            mean += (i128::from(*value) * 65_536 - mean).div_euclid(parts);
            mean
        };
        values.iter().enumerate().map(step).collect::<Vec<_>>()
    };
    let means = mean(slow).into_iter().zip(mean(slow / 16));
    means
        .map(|(base, level)| (level - base).abs() as f64 / 65_536.0)
        .collect()
}

/// Walks of a few devices: steps, repeats, spikes and pauses.
fn readings() -> impl Strategy<Value = Vec<Reading>> {
    let step = (
        0_usize..3,
        0_u32..12,
        -4_000_i32..4_000,
        0_i64..40_000,
        any::<u32>(),
    );
    prop::collection::vec(step, 0..150).prop_map(|raw| {
        let (mut now_ms, mut values) = (1_000_000, [(20_000_i32, 50_000_i32); 3]);
        let mut readings = Vec::new();
        for (number, (device, kind, by, pause_ms, _)) in (0..).zip(&raw) {
            now_ms += if *kind == 11 { pause_ms * 20 } else { pause_ms / 8 };
            let value = &mut values[*device];
            match kind {
                0..4 => {}
                4 => *value = (20_000 + by * 15, 50_000 + by * 15),
                _ => *value = (value.0 + by, (value.1 - by * 2).clamp(0, 100_000)),
            }
            // Several at one time, and not in the order of their ids.
            readings.push(reading(1_000 - number, *device, *value, now_ms / 1_000 * 1_000));
        }
        // Out of order, by no more than the disorder.
        let mut order: Vec<_> = (0..readings.len()).collect();
        order.sort_by_key(|&at| (at / 8, raw[at].4));
        order.into_iter().map(|at| readings[at]).collect()
    })
}

proptest! {
    #[test]
    fn alerts_are_what_the_definitions_make_of_readings_in_any_order(readings in readings()) {
        let (found, states) = alerts(LIMITS, &readings);
        prop_assert_eq!(lines(&found), expected(&LIMITS, &readings));
        let mut sorted = readings.clone();
        sorted.sort_by_key(|reading| (reading.time_ms, reading.event_id));
        prop_assert_eq!(alerts(LIMITS, &sorted), (found, states.clone()));
        // What is told last of each device is its last reading.
        let last: BTreeMap<_, _> = sorted.iter().map(|it| (it.device_id.as_str().to_owned(), it)).collect();
        let told: BTreeMap<_, _> = states.iter().map(|it| (it.device_id.as_str().to_owned(), it)).collect();
        prop_assert_eq!(told.len(), last.len());
        for (device, state) in told {
            let last = last[&device];
            prop_assert_eq!((state.time_ms, state.temp, state.humidity), (last.time_ms, last.temp, last.humidity));
            prop_assert!(state.is_silent && state.open_alerts == 0);
        }
    }

    /// Whatever is set, an alert that ends has started, and none starts twice.
    #[test]
    fn any_limits_can_be_worked_with(
        readings in readings(),
        (low, high, hysteresis, drift) in (any::<i32>(), any::<i32>(), any::<i32>(), any::<i32>()),
        (drift_readings, stuck_readings) in (0_u32..40, 0_u32..5),
        (silent_after_ms, forget_after_ms) in (-5_i64..50_000, -5_i64..50_000),
    ) {
        let band = Band { low, high, hysteresis, drift };
        let limits = Limits {
            temp: band,
            humidity: band,
            drift_readings,
            stuck_readings,
            silent_after_ms,
            forget_after_ms,
        };
        lines(&alerts(limits, &readings).0);
    }
}

/// One reading each five seconds, of these temperatures.
fn each_five_s(temps: impl IntoIterator<Item = i32>) -> Vec<Reading> {
    let numbered = (0_u64..).zip(temps);
    numbered
        .map(|(number, temp)| {
            let humidity = 50_000 + (number % 2) as i32;
            reading(number, 0, (temp, humidity), 1_000_000 + number as i64 * 5_000)
        })
        .collect()
}

fn kinds(temps: impl IntoIterator<Item = i32>) -> Vec<(AlertKind, AlertStatus)> {
    let (alerts, _) = alerts(LIMITS, &each_five_s(temps));
    let of_temp = alerts.iter().filter(|alert| alert.measure == Measure::Temp);
    of_temp.map(|alert| (alert.kind, alert.status)).collect()
}

#[test]
fn a_reading_that_flutters_at_its_limit_is_one_alert() {
    let flutters = [49_000, 50_001, 49_999, 50_500, 48_001, 50_002, 48_000, 49_900];
    let expected = [
        (AlertKind::High, AlertStatus::Started),
        (AlertKind::High, AlertStatus::Ended),
    ];
    assert_eq!(kinds(flutters), expected);
}

#[test]
fn what_goes_away_slowly_drifts_and_noise_does_not() {
    let noise = |at: i32| at * 7_919 % 997 - 498;
    assert_eq!(kinds((0..400).map(|at| 20_000 + noise(at))), []);
    let drifts = (0..400).map(|at| 20_000 + noise(at) + (at - 100).clamp(0, 100) * 200);
    let expected = [
        (AlertKind::Drift, AlertStatus::Started),
        (AlertKind::Drift, AlertStatus::Ended),
    ];
    assert_eq!(kinds(drifts), expected, "and once it stays, that is what it is");
}

#[test]
fn a_device_that_is_silent_is_told_without_another_reading() {
    let policy = OrderedPolicy::new(0, 2_000, LIMITS).unwrap();
    let mut operator = DeviceAlerts::new(Watch, policy, HashSeed::FIXED);
    let mut outputs = Vec::new();
    for reading in each_five_s([20_000, 21_000]) {
        operator.process(&reading, &mut outputs);
    }
    let until_ms = operator.open_until_ms().unwrap();
    operator.advance(until_ms, &mut outputs);
    assert_eq!(operator.open_until_ms(), None);
    let (alerts, states) = split(&outputs);
    let silent = &alerts[0];
    assert_eq!(
        (alerts.len(), silent.kind, silent.since_ms),
        (1, AlertKind::Silent, 1_065_000)
    );
    let last = states.last().unwrap();
    assert_eq!(
        (last.is_silent, last.open_alerts, last.time_ms),
        (true, 1, 1_005_000)
    );
}
