//! Readings for the tests.
#![allow(dead_code, reason = "each test binary uses a part")]

use millrace_iot::{Device, Measured, Reading};
use uuid::Uuid;

/// A reading in 1/1000.
pub(crate) fn reading(number: u64, device: usize, (temp, humidity): (i32, i32), time_ms: i64) -> Reading {
    Reading {
        event_id: Uuid::from_u128(u128::from(number) + 1),
        device_id: Device::new(&format!("sensor-{device}")).unwrap(),
        temp: Measured::of_units(temp).unwrap(),
        humidity: Measured::of_units(humidity).unwrap(),
        time_ms,
    }
}
