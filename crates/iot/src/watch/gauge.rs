//! What is known of one measure of a device.

use millrace_engine::RestoreError;
use millrace_engine::snapshot::{StateReader, StateWriter};

use crate::limits::{Band, DRIFT_READINGS, Limits};
use crate::{AlertKind, AlertStatus, Measured};

/// The kinds of alert that a measure has, in the order in which they are told.
pub(super) const KINDS: [AlertKind; 4] = [
    AlertKind::High,
    AlertKind::Low,
    AlertKind::Drift,
    AlertKind::Stuck,
];
/// What a mean's 1/1000 are divided into.
const PARTS: i64 = 1 << 16;
/// The mean that a measure is at is over a 16th of the readings that it was over.
const FASTER: u32 = 16;

/// A measure: its last reading, its means, and since when each kind of alert is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gauge {
    pub(super) last: Measured,
    /// How often the last reading came in a row.
    same: u32,
    /// Exponential means in parts of 1/1000: of what it was, and of what it is.
    base: i64,
    level: i64,
    pub(super) since_ms: [Option<i64>; KINDS.len()],
}

/// An alert's start or end, and when it started.
pub(super) type Change = (AlertKind, AlertStatus, i64);

impl Gauge {
    /// Bytes in a state, at least.
    pub(super) const LEAST_LEN: usize = 4 + 4 + 8 + 8 + KINDS.len();
    /// Before the first reading.
    pub(super) const EMPTY: Self = Self {
        last: Measured::ZERO,
        same: 0,
        base: 0,
        level: 0,
        since_ms: [None; KINDS.len()],
    };

    /// Takes the reading after so many others, and says which alerts it starts and ends.
    pub(super) fn take(
        &mut self,
        limits: &Limits,
        band: &Band,
        readings: u32,
        (measured, at_ms): (Measured, i64),
        mut say: impl FnMut(Change),
    ) {
        let is_same = readings > 0 && measured == self.last;
        self.same = if is_same { self.same.saturating_add(1) } else { 1 };
        self.last = measured;
        let (slow, units) = (limits.drift_readings.max(DRIFT_READINGS.0), measured.units());
        let count = readings.saturating_add(1);
        follow(&mut self.base, units, count.min(slow));
        follow(&mut self.level, units, count.min(slow / FASTER));
        let (apart, drift) = (
            (self.level - self.base).abs(),
            i64::from(band.drift.max(1)) * PARTS,
        );
        let back = band.hysteresis.max(0);
        let is_stuck = self.same >= limits.stuck_readings.max(2);
        // Of each kind: what starts it, and what ends it.
        let switches = [
            (units > band.high, units <= band.high.saturating_sub(back)),
            (units < band.low, units >= band.low.saturating_add(back)),
            (count >= slow && apart >= drift, apart < drift / 2),
            (is_stuck, !is_stuck),
        ];
        for ((since_ms, kind), (starts, ends)) in self.since_ms.iter_mut().zip(KINDS).zip(switches) {
            match *since_ms {
                None if starts => {
                    *since_ms = Some(at_ms);
                    say((kind, AlertStatus::Started, at_ms));
                }
                Some(started_ms) if ends => {
                    *since_ms = None;
                    say((kind, AlertStatus::Ended, started_ms));
                }
                _ => {}
            }
        }
    }

    /// The alerts that are open, with when they started.
    pub(super) fn open(&self) -> impl Iterator<Item = (AlertKind, i64)> + use<> {
        let kinds = KINDS.into_iter().zip(self.since_ms);
        kinds.filter_map(|(kind, since_ms)| Some((kind, since_ms?)))
    }

    pub(super) fn write(&self, writer: &mut StateWriter<'_>) {
        writer.u32(self.last.units().cast_unsigned());
        writer.u32(self.same);
        writer.i64(self.base);
        writer.i64(self.level);
        for since_ms in self.since_ms {
            writer.option_i64(since_ms);
        }
    }

    /// Reads what [`Gauge::write`] wrote of a measure with a reading.
    pub(super) fn read(reader: &mut StateReader<'_>) -> Result<Self, RestoreError> {
        let at = reader.position();
        let last = Measured::of_units(reader.u32()?.cast_signed());
        let (same, base, level) = (reader.u32()?, reader.i64()?, reader.i64()?);
        let mut since_ms = [None; KINDS.len()];
        for since_ms in &mut since_ms {
            *since_ms = reader.option_i64("start of an alert")?;
        }
        let most = i64::from(Measured::MAX.units()) * PARTS;
        let is_mean = |mean: i64| (-most..=most).contains(&mean);
        match last {
            Some(last) if same > 0 && is_mean(base) && is_mean(level) => Ok(Self {
                last,
                same,
                base,
                level,
                since_ms,
            }),
            _ => Err(RestoreError::Invalid { what: "measure", at }),
        }
    }
}

/// Moves a mean by one part of so many towards a reading: over the first ones it is about their
/// mean, and then weighs them by their age.
fn follow(mean: &mut i64, units: i32, parts: u32) {
    let apart = i64::from(units) * PARTS - *mean;
    *mean += apart.div_euclid(i64::from(parts.max(1)));
}
