//! What can be set of alerts, with its ranges.

use millrace_engine::policy::{ConfigError, DAY_MS, within};
use serde::{Deserialize, Serialize};

use crate::Measured;

/// Readings that a drift is told by, in number.
pub const DRIFT_READINGS: (u32, u32) = (16, 100_000);
/// The same reading so often is a stuck sensor.
pub const STUCK_READINGS: (u32, u32) = (2, 1_000_000);
/// Silence that is an alert, in milliseconds.
pub const SILENT_AFTER_MS: (i64, i64) = (1_000, DAY_MS);
/// Silence after which a device is forgotten, in milliseconds.
pub const FORGET_AFTER_MS: (i64, i64) = (2_000, 30 * DAY_MS);

/// When an alert of a measure starts and ends, in 1/1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Band {
    /// Below it, a reading is too low.
    pub low: i32,
    /// Above it, a reading is too high.
    pub high: i32,
    /// How far a reading has to be back within a limit to end the alert.
    pub hysteresis: i32,
    /// So far from what it was, a measure drifts; less than half of that ends the alert.
    pub drift: i32,
}

/// When alerts start and end. Any values can be worked with; [`Limits::check`] says which make
/// sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Of temperatures.
    pub temp: Band,
    /// Of humidities.
    pub humidity: Band,
    /// What a measure was is its mean over about so many readings, and what it is, over a 16th of
    /// them.
    pub drift_readings: u32,
    /// The very same reading so often in a row is a stuck sensor.
    pub stuck_readings: u32,
    /// Without a reading for so long, a device is silent.
    pub silent_after_ms: i64,
    /// Without a reading for so long, a device is forgotten.
    pub forget_after_ms: i64,
}

impl Limits {
    /// Whether the limits make sense.
    ///
    /// # Errors
    /// One that does not, by its name in the settings.
    pub fn check(&self) -> Result<(), ConfigError> {
        let most = Measured::MAX.units();
        for (band, names) in [
            (
                &self.temp,
                ["temp_low", "temp_high", "temp_hysteresis", "temp_drift"],
            ),
            (
                &self.humidity,
                [
                    "humidity_low",
                    "humidity_high",
                    "humidity_hysteresis",
                    "humidity_drift",
                ],
            ),
        ] {
            within(names[0], band.low, (-most, most - 1))?;
            within(names[1], band.high, (band.low + 1, most))?;
            let width = band.high.saturating_sub(band.low);
            within(names[2], band.hysteresis, (0, width))?;
            within(names[3], band.drift, (1, most))?;
        }
        within("drift_readings", self.drift_readings, DRIFT_READINGS)?;
        within("stuck_readings", self.stuck_readings, STUCK_READINGS)?;
        within("silent_after_ms", self.silent_after_ms, SILENT_AFTER_MS)?;
        let least_ms = FORGET_AFTER_MS.0.max(self.silent_after_ms + 1);
        let forget_after_ms = (least_ms, FORGET_AFTER_MS.1);
        within("forget_after_ms", self.forget_after_ms, forget_after_ms).map(|_| ())
    }
}
