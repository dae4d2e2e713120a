//! Readings of devices, where sensors are enabled.

mod devices;

use millrace_catalog::iot::topic;
use millrace_iot::Reading;
use millrace_iot::ledger::WindowLine;
use millrace_publisher::Names;

use crate::beside::{About, World};
pub(crate) use devices::Devices;

impl World for Devices {
    type Event = Reading;
    type Kept = (i32, i32);
    /// Readings, and the sums of both measures in 1/1000.
    type Sums = (u64, i64, i64);
    type Line = WindowLine;

    const ABOUT: About = About {
        topic: topic::READINGS,
        item: "reading",
        items: "readings",
        names: Names {
            sent: "millrace_readings_sent_total",
            bytes: "millrace_readings_bytes_total",
            acknowledged: "millrace_readings_acknowledged_total",
            failed: "millrace_readings_failed_total",
            queue_full: "millrace_readings_queue_full_total",
            queue: "millrace_readings_queue_records",
            durations: "millrace_readings_delivery_duration_seconds",
            asides: "asides",
        },
    };

    fn next(&mut self, time_ms: i64) -> Reading {
        Self::next(self, time_ms)
    }

    fn random(&mut self) -> u64 {
        self.draws.random()
    }

    fn key(reading: &Reading) -> &[u8] {
        reading.device_id.as_str().as_bytes()
    }

    fn kept(reading: &Reading) -> (i32, i32) {
        (reading.temp.units(), reading.humidity.units())
    }

    fn add(&(temp, humidity): &(i32, i32), sums: &mut (u64, i64, i64)) {
        Self::merge(sums, &(1, temp.into(), humidity.into()));
    }

    fn merge(sums: &mut (u64, i64, i64), other: &(u64, i64, i64)) {
        sums.0 += other.0;
        sums.1 += other.1;
        sums.2 += other.2;
    }

    fn line(window_start_ms: i64, &(readings, temp, humidity): &(u64, i64, i64)) -> WindowLine {
        WindowLine {
            window_start_ms,
            readings,
            temp_units: temp,
            humidity_units: humidity,
        }
    }
}
