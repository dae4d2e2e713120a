//! Readings are added up as every aggregation has to be, and exactly.

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

#[path = "../../engine/tests/laws/mod.rs"]
mod laws;
mod support;

use std::collections::BTreeMap;

use millrace_contract::{Contract as _, Encode as _};
use millrace_engine::snapshot::{StateReader, StateWriter};
use millrace_engine::windowed::{Content, MergePolicy, PartialPolicy, Totals as _, records};
use millrace_engine::{Disposition, HashSeed, Operator as _};
use millrace_iot::{
    DeviceMinute, DeviceMinutePartial, MergeMinutes, MinutesPerDevice, MinutesRecord, PartialMinutes,
    ReadingTotals,
};
use proptest::prelude::*;
use support::reading;

/// A record as it comes out of the topic that it was sent to.
fn sent(record: &MinutesRecord) -> MinutesRecord {
    let mut body = Vec::new();
    DeviceMinutePartial::of(record).encode(&mut body);
    DeviceMinutePartial::decode(&body).unwrap().record()
}

/// From the lowest there is to the highest, the ends and small ones often.
fn units() -> impl Strategy<Value = i32> {
    const MOST: i32 = 1_000_000_000;
    prop_oneof![
        -MOST..=MOST,
        -50_000..50_000,
        Just(MOST),
        Just(-MOST),
        20_000..20_003
    ]
}

/// Mean, lowest, highest, standard deviation: the mean of the squares of what each is apart from
/// the mean, in doubles.
fn naive(values: &[i32]) -> [f64; 4] {
    let values: Vec<_> = values.iter().map(|&units| f64::from(units) / 1_000.0).collect();
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let spread = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    [mean, least, most, (spread / count).sqrt()]
}

/// To one part in a billion of what is added up: as far as a naive sum of doubles goes.
fn is_near(found: [f64; 4], expected: [f64; 4]) -> bool {
    let scale = expected[1].abs().max(expected[2].abs()).max(1.0);
    found
        .iter()
        .zip(expected)
        .all(|(found, expected)| (found - expected).abs() <= scale * 1e-9)
        && found[1..3] == expected[1..3]
}

proptest! {
    #[test]
    fn the_laws_hold(
        raw in prop::collection::vec((0_usize..6, units(), units(), 0_i64..86_400_000, any::<u32>()), 0..100),
    ) {
        let events: Vec<_> = (0_u64..)
            .zip(&raw)
            .map(|(id, &(device, temp, humidity, time_ms, _))| reading(id, device, (temp, humidity), time_ms))
            .collect();
        let mut order: Vec<_> = (0..events.len()).collect();
        order.sort_by_key(|&at| raw[at].4);
        laws::check(&MinutesPerDevice, &events, &order);
    }

    /// Two partitions, keyed by device, through both stages and the records between them, in two
    /// orders: the same to the last bit, and what a plain computation comes to.
    #[test]
    fn results_are_plain_statistics_in_any_order(
        raw in prop::collection::vec((0_usize..4, units(), units(), 0_i64..200_000, any::<u32>()), 0..80),
    ) {
        let readings: Vec<_> = (0_u64..)
            .zip(&raw)
            .map(|(id, &(device, temp, humidity, time_ms, _))| {
                (device, reading(id, device, (temp, humidity), time_ms))
            })
            .collect();
        let mut shuffled: Vec<_> = readings.iter().zip(&raw).collect();
        shuffled.sort_by_key(|(_, raw)| raw.4);
        let shuffled: Vec<_> = shuffled.into_iter().map(|(reading, _)| *reading).collect();

        let results = |readings: &[(usize, millrace_iot::Reading)]| {
            let policy = PartialPolicy::new(60_000, 0, 200_000).unwrap();
            let mut sources = [0, 1].map(|_| PartialMinutes::new(MinutesPerDevice, policy, HashSeed::FIXED));
            let mut outputs = [Vec::new(), Vec::new()];
            for (device, reading) in readings {
                let at = device % 2;
                assert_eq!(sources[at].process(reading, &mut outputs[at]), Disposition::Accepted);
            }
            let mut merge = MergeMinutes::new(MinutesPerDevice, MergePolicy::new(2, 0).unwrap(), HashSeed::FIXED);
            let mut results = Vec::new();
            for ((source, outputs), number) in sources.iter_mut().zip(&mut outputs).zip(0..) {
                source.advance(300_000, outputs);
                for record in records(number, outputs) {
                    assert_eq!(sent(&record), record.clone());
                    assert_eq!(merge.process(&record, &mut results), Disposition::Accepted);
                }
            }
            results.iter().map(DeviceMinute::of).collect::<Vec<_>>()
        };
        let found = results(&readings);
        prop_assert_eq!(&results(&shuffled), &found);

        let mut expected: BTreeMap<_, (Vec<i32>, Vec<i32>)> = BTreeMap::new();
        for (_, reading) in &readings {
            let start_ms = reading.time_ms / 60_000 * 60_000;
            let (temps, humidities) = expected
                .entry((start_ms, reading.device_id.as_str().to_owned()))
                .or_default();
            temps.push(reading.temp.units());
            humidities.push(reading.humidity.units());
        }
        prop_assert_eq!(found.len(), expected.len());
        for minute in found {
            let (temps, humidities) = &expected[&(minute.window_start_ms, minute.device_id.as_str().to_owned())];
            prop_assert_eq!(minute.count as usize, temps.len());
            let temp = [minute.temp_mean, minute.temp_min, minute.temp_max, minute.temp_std_dev];
            prop_assert!(is_near(temp, naive(temps)), "{:?} of {:?}", temp, temps);
            let humidity =
                [minute.humidity_mean, minute.humidity_min, minute.humidity_max, minute.humidity_std_dev];
            prop_assert!(is_near(humidity, naive(humidities)), "{:?} of {:?}", humidity, humidities);
        }
    }

    /// Sums that no readings come to are refused, from a state and from the topic between the
    /// stages.
    #[test]
    fn no_other_sums_are_read(values in prop::collection::vec((units(), units()), 1..5), bit in 0_usize..88 * 8) {
        let mut totals = ReadingTotals::EMPTY;
        for &values in &values {
            totals.add(&reading(1, 0, values, 0));
        }
        let mut bytes = Vec::new();
        totals.write(&mut StateWriter::new(&mut bytes));
        prop_assert_eq!(ReadingTotals::read(&mut StateReader::new(&bytes)), Ok(totals));
        bytes[bit / 8] ^= 1 << (bit % 8);
        // What is read of changed bytes is possible, so that adding and telling it cannot fail.
        if let Ok(mut read) = ReadingTotals::read(&mut StateReader::new(&bytes)) {
            let told = read.temp.of(read.count);
            prop_assert!(told.std_dev.is_finite() && told.min <= told.max);
            read.merge(&totals);
            prop_assert!(read.temp.of(read.count).mean.is_finite());
        }
    }
}

#[test]
fn what_no_readings_come_to_adds_nothing() {
    let partial = DeviceMinutePartial {
        source_partition: 0,
        watermark_ms: 0,
        complete_ms: None,
        device_id: Some(reading(0, 0, (0, 0), 0).device_id),
        window_start_ms: 0,
        window_end_ms: 60_000,
        count: 1,
        temp_sum: i128::MAX,
        temp_squares: 0,
        temp_min: 0,
        temp_max: 1,
        humidity_sum: 0,
        humidity_squares: 0,
        humidity_min: 0,
        humidity_max: 0,
    };
    let Content::Final(groups) = partial.record().content else {
        panic!("a contribution")
    };
    assert_eq!(groups[0].totals, ReadingTotals::EMPTY);
}

/// To the last digit, of numbers that doubles would add up to something else.
#[test]
fn statistics_are_exact() {
    let mut totals = ReadingTotals::EMPTY;
    for at in 0..1_000 {
        totals.add(&reading(
            at,
            0,
            (100, if at % 2 == 0 { 20_000 } else { 20_002 }),
            0,
        ));
    }
    let (temp, humidity) = (totals.temp.of(1_000), totals.humidity.of(1_000));
    assert_eq!((temp.mean, temp.std_dev), (0.1, 0.0));
    assert_eq!(
        (humidity.mean, humidity.std_dev, humidity.min),
        (20.001, 0.001, 20.0)
    );
}
