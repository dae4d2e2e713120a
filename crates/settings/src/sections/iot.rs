//! Sensors.

use millrace_engine::policy::ConfigError;
use millrace_iot::{Band, Limits, Measured};
use serde::{Deserialize, Serialize};

use super::stream::stream_section;

stream_section! {
    /// Device minutes and alerts.
    Iot {
        /// When alerts start and end.
        alerts: Alerts = Alerts::default();
    }
}

/// When alerts start and end, in degrees Celsius and percent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Alerts {
    /// Below it, a temperature is too low.
    pub temp_low: f64,
    /// Above it, a temperature is too high.
    pub temp_high: f64,
    /// How far a temperature has to be back within a limit.
    pub temp_hysteresis: f64,
    /// So far from what it was, a temperature drifts.
    pub temp_drift: f64,
    /// Below it, a humidity is too low.
    pub humidity_low: f64,
    /// Above it, a humidity is too high.
    pub humidity_high: f64,
    /// How far a humidity has to be back within a limit.
    pub humidity_hysteresis: f64,
    /// So far from what it was, a humidity drifts.
    pub humidity_drift: f64,
    /// Over about so many readings a measure is what it was; over a 16th of them, what it is.
    pub drift_readings: u32,
    /// The same reading so often in a row is a stuck sensor.
    pub stuck_readings: u32,
    /// Without a reading for so long, a device is silent.
    pub silent_after_ms: i64,
    /// Without a reading for so long, a device is forgotten.
    pub forget_after_ms: i64,
}

impl Alerts {
    /// The limits, in 1/1000.
    ///
    /// # Errors
    /// One that is beyond what can be measured, by its name.
    pub fn limits(&self) -> Result<Limits, ConfigError> {
        let units = |setting, value: f64| {
            let most = i64::from(Measured::MAX.units());
            Measured::new(value).map(Measured::units).ok_or(ConfigError {
                setting,
                value: if value < 0.0 { i64::MIN } else { i64::MAX },
                least: -most,
                most,
            })
        };
        Ok(Limits {
            temp: Band {
                low: units("temp_low", self.temp_low)?,
                high: units("temp_high", self.temp_high)?,
                hysteresis: units("temp_hysteresis", self.temp_hysteresis)?,
                drift: units("temp_drift", self.temp_drift)?,
            },
            humidity: Band {
                low: units("humidity_low", self.humidity_low)?,
                high: units("humidity_high", self.humidity_high)?,
                hysteresis: units("humidity_hysteresis", self.humidity_hysteresis)?,
                drift: units("humidity_drift", self.humidity_drift)?,
            },
            drift_readings: self.drift_readings,
            stuck_readings: self.stuck_readings,
            silent_after_ms: self.silent_after_ms,
            forget_after_ms: self.forget_after_ms,
        })
    }
}

impl Default for Alerts {
    fn default() -> Self {
        Self {
            temp_low: -20.0,
            temp_high: 60.0,
            temp_hysteresis: 2.0,
            temp_drift: 3.0,
            humidity_low: 5.0,
            humidity_high: 95.0,
            humidity_hysteresis: 3.0,
            humidity_drift: 10.0,
            drift_readings: 64,
            stuck_readings: 30,
            silent_after_ms: 60_000,
            forget_after_ms: 86_400_000,
        }
    }
}
