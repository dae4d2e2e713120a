//! What is made of readings, as it is worked out of them at once, and as the topics have it.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use millrace_catalog::iot::topic;
use millrace_engine::keyed::OrderedPolicy;
use millrace_engine::{HashSeed, Operator as _};
use millrace_iot::{
    DeviceAlert, DeviceAlerts, DeviceMinute, DeviceState, Measured, NoticeRecord, Reading, Watch,
};
use millrace_tests::{TestContext, topics};

use super::WINDOW_MS;

/// All that is made of readings.
#[derive(Debug, PartialEq, Default)]
pub(super) struct Made {
    /// Of each window and device.
    pub(super) minutes: BTreeMap<(i64, String), [f64; 9]>,
    /// Of each device, in the order in which they are told.
    pub(super) alerts: BTreeMap<String, Vec<DeviceAlert>>,
    /// What is known last of each device.
    pub(super) states: BTreeMap<String, DeviceState>,
}

impl Made {
    pub(super) fn is_as_much_as(&self, other: &Self) -> bool {
        let alerts = |made: &Self| made.alerts.values().map(Vec::len).sum::<usize>();
        self.minutes.len() >= other.minutes.len() && alerts(self) >= alerts(other)
    }
}

/// Worked out of all readings at once: sums of integers, and alerts of each device alone.
pub(super) fn expected(context: &TestContext, readings: &[Reading]) -> Result<Made> {
    let mut made = Made::default();
    let mut groups: BTreeMap<(i64, String), Vec<&Reading>> = BTreeMap::new();
    let mut by_device: BTreeMap<&str, Vec<&Reading>> = BTreeMap::new();
    for reading in readings {
        let start_ms = reading.time_ms.div_euclid(WINDOW_MS) * WINDOW_MS;
        let device = reading.device_id.as_str();
        groups
            .entry((start_ms, device.to_owned()))
            .or_default()
            .push(reading);
        by_device.entry(device).or_default().push(reading);
    }
    for (key, readings) in groups {
        let of = |measure: fn(&Reading) -> Measured| {
            let units: Vec<_> = readings
                .iter()
                .map(|it| i128::from(measure(it).units()))
                .collect();
            let (count, sum) = (units.len() as i128, units.iter().sum::<i128>());
            let squares: i128 = units.iter().map(|units| units * units).sum();
            let thousandths = (count * 1_000) as f64;
            let end = |end: Option<&i128>| end.map_or(0.0, |end| *end as f64 / 1_000.0);
            let spread = (count * squares - sum * sum) as f64;
            [
                sum as f64 / thousandths,
                end(units.iter().min()),
                end(units.iter().max()),
                spread.sqrt() / thousandths,
            ]
        };
        let [temp, humidity] = [of(|it| it.temp), of(|it| it.humidity)];
        let mut line = [readings.len() as f64; 9];
        line[1..5].copy_from_slice(&temp);
        line[5..].copy_from_slice(&humidity);
        made.minutes.insert(key, line);
    }
    let limits = context.settings.iot.alerts.limits()?;
    for readings in by_device.values() {
        let policy = OrderedPolicy::new(0, 3_600_000, limits)?;
        let mut operator = DeviceAlerts::new(Watch, policy, HashSeed::FIXED);
        let mut said = Vec::new();
        for reading in readings {
            operator.process(reading, &mut said);
        }
        operator.advance(readings[0].time_ms + 3_600_000, &mut said);
        for said in &said {
            made.take(NoticeRecord::of(said));
        }
    }
    Ok(made)
}

impl Made {
    fn take(&mut self, notice: NoticeRecord) {
        match notice {
            NoticeRecord::Alert(alert) => {
                let device = alert.device_id.as_str().to_owned();
                self.alerts.entry(device).or_default().push(alert);
            }
            NoticeRecord::State(state) => {
                self.states.insert(state.device_id.as_str().to_owned(), state);
            }
        }
    }
}

/// What the topics have, each result once and by its key.
pub(super) async fn found(context: &TestContext) -> Result<Made> {
    let mut made = Made::default();
    for (record, minute) in topics::read_as::<DeviceMinute>(context, topic::MINUTES).await? {
        let device = minute.device_id.as_str().to_owned();
        ensure!(
            record.key.as_deref() == Some(device.as_bytes()),
            "{minute:?} by {record:?}"
        );
        ensure!(
            minute.window_end_ms - minute.window_start_ms == WINDOW_MS,
            "{minute:?}"
        );
        let line = [
            minute.count as f64,
            minute.temp_mean,
            minute.temp_min,
            minute.temp_max,
            minute.temp_std_dev,
            minute.humidity_mean,
            minute.humidity_min,
            minute.humidity_max,
            minute.humidity_std_dev,
        ];
        let before = made.minutes.insert((minute.window_start_ms, device), line);
        ensure!(before.is_none(), "twice: {minute:?}");
    }
    for (record, alert) in topics::read_as::<DeviceAlert>(context, topic::ALERTS).await? {
        let device = alert.device_id.as_str().as_bytes();
        ensure!(record.key.as_deref() == Some(device), "{alert:?} by {record:?}");
        made.take(NoticeRecord::Alert(alert));
    }
    for (_, state) in topics::read_as::<DeviceState>(context, topic::STATES).await? {
        made.take(NoticeRecord::State(state));
    }
    Ok(made)
}

pub(super) fn ensure_same(found: &Made, expected: &Made) -> Result<()> {
    ensure!(found.minutes == expected.minutes, "other minutes");
    ensure!(found.states == expected.states, "other states");
    for (device, alerts) in &expected.alerts {
        let found = found.alerts.get(device);
        ensure!(
            found == Some(alerts),
            "{device}: {found:?} in place of {alerts:?}"
        );
    }
    ensure!(found == expected, "alerts of other devices");
    Ok(())
}
