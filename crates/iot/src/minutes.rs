//! The readings of each device and window.

use millrace_contract::{Time, contract};
use millrace_engine::RestoreError;
use millrace_engine::snapshot::{StateReader, StateWriter};
use millrace_engine::windowed::{Aggregation, Group, Line, Totals};

use crate::statistics::Sums;
use crate::{Device, MinutesResult, Reading};

contract! {
    schema "millrace.DeviceMinute" = include_str!("../schemas/device_minute.avsc");

    /// The readings of a device in a window, final.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub struct DeviceMinute {
        /// The device; the record's key.
        pub device_id: Device = "deviceId",
        /// Start of the window, inclusive, in milliseconds since 1970.
        pub window_start_ms: i64 as Time = "windowStart",
        /// End of the window, exclusive.
        pub window_end_ms: i64 as Time = "windowEnd",
        /// Readings, each event once.
        pub count: i64,
        /// Degrees Celsius.
        pub temp_mean: f64 = "tempMean",
        /// Degrees Celsius.
        pub temp_min: f64 = "tempMin",
        /// Degrees Celsius.
        pub temp_max: f64 = "tempMax",
        /// Of these readings alone (population).
        pub temp_std_dev: f64 = "tempStdDev",
        /// Percent.
        pub humidity_mean: f64 = "humidityMean",
        /// Percent.
        pub humidity_min: f64 = "humidityMin",
        /// Percent.
        pub humidity_max: f64 = "humidityMax",
        /// Of these readings alone (population).
        pub humidity_std_dev: f64 = "humidityStdDev",
    }
}

impl DeviceMinute {
    /// The record of a result.
    #[must_use]
    pub fn of(result: &MinutesResult) -> Self {
        let count = result.totals.count;
        let (temp, humidity) = (result.totals.temp.of(count), result.totals.humidity.of(count));
        Self {
            device_id: result.key,
            window_start_ms: result.window_start_ms,
            window_end_ms: result.window_end_ms,
            count: count.cast_signed(),
            temp_mean: temp.mean,
            temp_min: temp.min,
            temp_max: temp.max,
            temp_std_dev: temp.std_dev,
            humidity_mean: humidity.mean,
            humidity_min: humidity.min,
            humidity_max: humidity.max,
            humidity_std_dev: humidity.std_dev,
        }
    }
}

/// Adds up readings for each device.
#[derive(Debug, Clone, Copy)]
pub struct MinutesPerDevice;

/// A device in memory.
#[derive(Debug, Clone, Copy)]
pub struct DeviceLine {
    device: Device,
    totals: ReadingTotals,
}

impl Line for DeviceLine {
    type Key = Device;

    fn key(&self) -> Device {
        self.device
    }
}

/// What readings add up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadingTotals {
    /// Readings.
    pub count: u64,
    /// Of temperatures.
    pub temp: Sums,
    /// Of humidities.
    pub humidity: Sums,
}

impl ReadingTotals {
    /// Whether readings can add up to this.
    pub(crate) fn is_possible(&self) -> bool {
        self.temp.is_of(self.count) && self.humidity.is_of(self.count)
    }

    /// With one reading more.
    pub fn add(&mut self, reading: &Reading) {
        self.count += 1;
        self.temp.add(reading.temp);
        self.humidity.add(reading.humidity);
    }
}

impl Totals for ReadingTotals {
    const LEN: usize = 8 + 2 * Sums::LEN;
    const EMPTY: Self = Self {
        count: 0,
        temp: Sums::EMPTY,
        humidity: Sums::EMPTY,
    };

    fn count(&self) -> u64 {
        self.count
    }

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.temp.merge(&other.temp);
        self.humidity.merge(&other.humidity);
    }

    fn write(&self, writer: &mut StateWriter<'_>) {
        writer.u64(self.count);
        self.temp.write(writer);
        self.humidity.write(writer);
    }

    fn read(reader: &mut StateReader<'_>) -> Result<Self, RestoreError> {
        let (at, what) = (reader.position(), "sum of readings");
        let totals = Self {
            count: reader.u64()?,
            temp: Sums::read(reader)?,
            humidity: Sums::read(reader)?,
        };
        match totals.is_possible() {
            true => Ok(totals),
            false => Err(RestoreError::Invalid { what, at }),
        }
    }
}

impl Aggregation for MinutesPerDevice {
    const PARTIAL: &'static str = "device-minutes-partial";
    const MERGE: &'static str = "device-minutes-merge";

    type Event = Reading;
    type Key = Device;
    type Line = DeviceLine;
    type Rare = ();
    type Totals = ReadingTotals;

    fn key(&self, reading: &Reading) -> Device {
        reading.device_id
    }

    fn open(&self, device: Device) -> DeviceLine {
        let totals = ReadingTotals::EMPTY;
        DeviceLine { device, totals }
    }

    fn add(&self, group: &mut Group<'_, Self>, reading: &Reading) {
        group.line.totals.add(reading);
    }

    fn totals(&self, line: &DeviceLine, _: Option<&()>) -> ReadingTotals {
        line.totals
    }

    fn set(&self, group: &mut Group<'_, Self>, totals: &ReadingTotals) {
        group.line.totals = *totals;
    }
}
