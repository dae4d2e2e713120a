//! What is said of a device: alerts, and what is known of it last.

use millrace_contract::{Time, contract, symbols};
use millrace_engine::keyed::ordered::Said;

use crate::{Device, Measured};

symbols! {
    /// What an alert is of.
    pub enum Measure {
        /// The device as a whole.
        Device = "device",
        /// Its temperature.
        Temp = "temp",
        /// Its humidity.
        Humidity = "humidity",
    }
}

symbols! {
    /// What is wrong.
    pub enum AlertKind {
        /// Above its limit.
        High = "high",
        /// Below its limit.
        Low = "low",
        /// Slowly going away from what it was.
        Drift = "drift",
        /// The very same reading again and again.
        Stuck = "stuck",
        /// No reading, of a device that gave some.
        Silent = "silent",
    }
}

symbols! {
    /// What has become of an alert.
    pub enum AlertStatus {
        /// It has started.
        Started = "started",
        /// It is over.
        Ended = "ended",
        /// The device was silent for so long that nothing more is expected of it.
        Forgotten = "forgotten",
    }
}

/// What is said of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// An alert starts or ends.
    Alert {
        /// What it is of.
        measure: Measure,
        /// What is wrong.
        kind: AlertKind,
        /// Whether it starts or ends.
        status: AlertStatus,
        /// Event time at which it started.
        since_ms: i64,
        /// The reading that it starts or ends with.
        value: Option<Measured>,
    },
    /// What is known of it.
    State {
        /// Event time of its last reading.
        last_ms: i64,
        /// The last temperature.
        temp: Measured,
        /// The last humidity.
        humidity: Measured,
        /// Alerts that have started and not ended.
        open_alerts: i32,
        /// Whether it is silent.
        is_silent: bool,
    },
}

contract! {
    schema "millrace.DeviceAlert" = include_str!("../schemas/device_alert.avsc");

    /// The start or the end of an alert.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct DeviceAlert {
        /// The device; the record's key.
        pub device_id: Device = "deviceId",
        /// What it is of.
        pub measure: Measure,
        /// What is wrong.
        pub kind: AlertKind,
        /// Whether it starts or ends.
        pub status: AlertStatus,
        /// Event time at which it started, in milliseconds since 1970.
        pub since_ms: i64 as Time = "since",
        /// Event time of this start or end.
        pub time_ms: i64 as Time = "ts",
        /// The reading that it starts or ends with.
        pub value: Option<Measured>,
    }
}

contract! {
    schema "millrace.DeviceState" = include_str!("../schemas/device_state.avsc");

    /// What is known last of a device.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct DeviceState {
        /// The device; the record's key.
        pub device_id: Device = "deviceId",
        /// Event time of its last reading, in milliseconds since 1970.
        pub time_ms: i64 as Time = "ts",
        /// Degrees Celsius.
        pub temp: Measured,
        /// Percent.
        pub humidity: Measured,
        /// Alerts that have started and not ended.
        pub open_alerts: i32 = "openAlerts",
        /// Whether it is silent.
        pub is_silent: bool = "silent",
    }
}

/// A record of what is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeRecord {
    /// For the alerts.
    Alert(DeviceAlert),
    /// For the states.
    State(DeviceState),
}

impl NoticeRecord {
    /// The record of what is said.
    #[must_use]
    pub fn of(said: &Said<Device, Notice>) -> Self {
        let device_id = said.key;
        match said.output {
            Notice::Alert {
                measure,
                kind,
                status,
                since_ms,
                value,
            } => Self::Alert(DeviceAlert {
                device_id,
                measure,
                kind,
                status,
                since_ms,
                time_ms: said.at_ms,
                value,
            }),
            Notice::State {
                last_ms,
                temp,
                humidity,
                open_alerts,
                is_silent,
            } => Self::State(DeviceState {
                device_id,
                time_ms: last_ms,
                temp,
                humidity,
                open_alerts,
                is_silent,
            }),
        }
    }
}
