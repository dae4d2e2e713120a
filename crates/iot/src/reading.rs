//! The source: readings, keyed by device.

use millrace_contract::{Event, Time, contract};
use uuid::Uuid;

use crate::{Device, Measured};

contract! {
    schema "millrace.Reading" = include_str!("../schemas/reading.avsc");

    /// One reading of a device.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Reading {
        /// Unique for ever.
        pub event_id: Uuid,
        /// Whose it is; the record's key.
        pub device_id: Device,
        /// Degrees Celsius.
        pub temp: Measured,
        /// Percent.
        pub humidity: Measured,
        /// Event time in milliseconds since 1970.
        pub time_ms: i64 as Time = "ts",
    }
}

impl Event for Reading {
    fn id(&self) -> [u8; 16] {
        self.event_id.into_bytes()
    }

    fn time_ms(&self) -> i64 {
        self.time_ms
    }

    fn key(&self) -> impl AsRef<[u8]> {
        self.device_id.as_str()
    }
}
