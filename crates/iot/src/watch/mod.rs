//! Watches devices: limits with hysteresis, drift, stuck sensors, silence.

mod gauge;

use millrace_engine::RestoreError;
use millrace_engine::keyed::ordered::{Machine, Stored};
use millrace_engine::snapshot::{StateReader, StateWriter};

use self::gauge::Gauge;
use crate::{AlertKind, AlertStatus, Device, Limits, Measure, Measured, Notice, Reading};

/// What is known of a device is told that often in event time, in milliseconds, where nothing is to
/// be told at once.
pub const STATE_EVERY_MS: i64 = 10_000;

/// Watches each device. Its readings come in the order of their time, so that what is said is the
/// same whatever order they arrive in.
///
/// * A reading beyond a limit starts `high` or `low`; one that is back within the limit by the
///   hysteresis ends it.
/// * Two exponential means follow a measure, a slow one of what it was and a fast one of what it
///   is, both in integers; so far apart that is `drift`, and less than half as far its end.
/// * The very same reading again and again is `stuck`, until another one comes.
/// * A device without a reading for long enough is `silent`, as of the event time at which it has
///   been; its next reading ends it. One that is silent for longer still is forgotten, and with it
///   whatever alert is open.
#[derive(Debug, Clone, Copy)]
pub struct Watch;

/// What is kept of a reading until its turn comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Values {
    /// Degrees Celsius.
    pub temp: Measured,
    /// Percent.
    pub humidity: Measured,
}

impl Stored for Values {
    const LEAST_LEN: usize = 4 + 4;
    const EMPTY: Self = Self {
        temp: Measured::ZERO,
        humidity: Measured::ZERO,
    };

    fn write(&self, writer: &mut StateWriter<'_>) {
        writer.u32(self.temp.units().cast_unsigned());
        writer.u32(self.humidity.units().cast_unsigned());
    }

    fn read(reader: &mut StateReader<'_>) -> Result<Self, RestoreError> {
        let (at, what) = (reader.position(), "reading");
        let mut measured = || Ok(Measured::of_units(reader.u32()?.cast_signed()));
        match (measured()?, measured()?) {
            (Some(temp), Some(humidity)) => Ok(Self { temp, humidity }),
            _ => Err(RestoreError::Invalid { what, at }),
        }
    }
}

/// What is known of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    readings: u32,
    last_ms: i64,
    told_ms: i64,
    silent_since_ms: Option<i64>,
    temp: Gauge,
    humidity: Gauge,
}

impl Known {
    fn open(&self) -> impl Iterator<Item = (Measure, AlertKind, i64)> {
        let silent = self
            .silent_since_ms
            .map(|since_ms| (Measure::Device, AlertKind::Silent, since_ms));
        let of = |measure, gauge: &Gauge| {
            gauge
                .open()
                .map(move |(kind, since_ms)| (measure, kind, since_ms))
        };
        silent
            .into_iter()
            .chain(of(Measure::Temp, &self.temp))
            .chain(of(Measure::Humidity, &self.humidity))
    }

    fn state(&self, is_silent: bool, open_alerts: usize) -> Notice {
        Notice::State {
            last_ms: self.last_ms,
            temp: self.temp.last,
            humidity: self.humidity.last,
            // Nine at most.
            open_alerts: open_alerts as i32,
            is_silent,
        }
    }
}

impl Stored for Known {
    const LEAST_LEN: usize = 4 + 8 + 8 + 1 + 2 * Gauge::LEAST_LEN;
    const EMPTY: Self = Self {
        readings: 0,
        last_ms: i64::MIN,
        told_ms: i64::MIN,
        silent_since_ms: None,
        temp: Gauge::EMPTY,
        humidity: Gauge::EMPTY,
    };

    fn write(&self, writer: &mut StateWriter<'_>) {
        writer.u32(self.readings);
        writer.i64(self.last_ms);
        writer.i64(self.told_ms);
        writer.option_i64(self.silent_since_ms);
        self.temp.write(writer);
        self.humidity.write(writer);
    }

    fn read(reader: &mut StateReader<'_>) -> Result<Self, RestoreError> {
        let (at, what) = (reader.position(), "device");
        let known = Self {
            readings: reader.u32()?,
            last_ms: reader.i64()?,
            told_ms: reader.i64()?,
            silent_since_ms: reader.option_i64("start of a silence")?,
            temp: Gauge::read(reader)?,
            humidity: Gauge::read(reader)?,
        };
        match known.readings {
            0 => Err(RestoreError::Invalid { what, at }),
            _ => Ok(known),
        }
    }
}

impl Machine for Watch {
    const NAME: &'static str = "device-alerts";

    type Event = Reading;
    type Key = Device;
    type Input = Values;
    type State = Known;
    type Settings = Limits;
    type Output = Notice;

    fn key(&self, reading: &Reading) -> Device {
        reading.device_id
    }

    fn input(&self, reading: &Reading) -> Values {
        Values {
            temp: reading.temp,
            humidity: reading.humidity,
        }
    }

    fn step(&self, limits: &Limits, known: &mut Known, at_ms: i64, values: &Values, said: &mut Vec<Notice>) {
        let before = said.len();
        if let Some(since_ms) = known.silent_since_ms.take() {
            said.push(Notice::Alert {
                measure: Measure::Device,
                kind: AlertKind::Silent,
                status: AlertStatus::Ended,
                since_ms,
                value: None,
            });
        }
        let readings = known.readings;
        for (measure, gauge, band, value) in [
            (Measure::Temp, &mut known.temp, &limits.temp, values.temp),
            (
                Measure::Humidity,
                &mut known.humidity,
                &limits.humidity,
                values.humidity,
            ),
        ] {
            gauge.take(
                limits,
                band,
                readings,
                (value, at_ms),
                |(kind, status, since_ms)| {
                    said.push(Notice::Alert {
                        measure,
                        kind,
                        status,
                        since_ms,
                        value: Some(value),
                    });
                },
            );
        }
        known.readings = readings.saturating_add(1);
        known.last_ms = known.last_ms.max(at_ms);
        if said.len() > before || at_ms.saturating_sub(known.told_ms) >= STATE_EVERY_MS {
            known.told_ms = at_ms;
            said.push(known.state(false, known.open().count()));
        }
    }

    fn wakes_at_ms(&self, limits: &Limits, known: &Known) -> Option<i64> {
        let silent_ms = known.last_ms.saturating_add(limits.silent_after_ms.max(1));
        let forgotten_ms = known.last_ms.saturating_add(limits.forget_after_ms);
        let at_ms = match known.silent_since_ms {
            None => silent_ms,
            // The limits may have been others when it fell silent.
            Some(since_ms) => forgotten_ms.max(since_ms.saturating_add(1)),
        };
        (known.readings > 0).then_some(at_ms)
    }

    fn wake(&self, _limits: &Limits, known: &mut Known, at_ms: i64, said: &mut Vec<Notice>) -> bool {
        if known.silent_since_ms.is_none() {
            known.silent_since_ms = Some(at_ms);
            said.push(Notice::Alert {
                measure: Measure::Device,
                kind: AlertKind::Silent,
                status: AlertStatus::Started,
                since_ms: at_ms,
                value: None,
            });
            said.push(known.state(true, known.open().count()));
            return true;
        }
        said.extend(known.open().map(|(measure, kind, since_ms)| Notice::Alert {
            measure,
            kind,
            status: AlertStatus::Forgotten,
            since_ms,
            value: None,
        }));
        said.push(known.state(true, 0));
        false
    }

    fn settles_after_ms(&self, limits: &Limits) -> i64 {
        limits.silent_after_ms
    }
}
