//! What stage 1 of device minutes sends to stage 2.

use millrace_contract::{Decimal, contract};
use millrace_engine::windowed::{Content, Contribution, Totals as _};

use crate::statistics::Sums;
use crate::{Device, MinutesRecord, ReadingTotals};

contract! {
    schema "millrace.DeviceMinutePartial" = include_str!("../schemas/device_minute_partial.avsc");

    /// What a partition adds to a window of a device, or how far it has come.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct DeviceMinutePartial {
        /// The partition of the readings.
        pub source_partition: i32 = "sourcePartition",
        /// Its watermark.
        pub watermark_ms: i64 = "watermark",
        /// With a watermark: all before this event time was sent.
        pub complete_ms: Option<i64> = "complete",
        /// The device; `None` in a watermark, in which what follows says nothing.
        pub device_id: Option<Device> = "deviceId",
        /// Start of the window, inclusive.
        pub window_start_ms: i64 = "windowStart",
        /// End of the window, exclusive.
        pub window_end_ms: i64 = "windowEnd",
        /// Readings.
        pub count: i64,
        /// In 1/1000.
        pub temp_sum: i128 as Decimal<3> = "tempSum",
        /// In 1/1,000,000.
        pub temp_squares: i128 as Decimal<6> = "tempSquares",
        /// In 1/1000.
        pub temp_min: i32 = "tempMin",
        /// In 1/1000.
        pub temp_max: i32 = "tempMax",
        /// In 1/1000.
        pub humidity_sum: i128 as Decimal<3> = "humiditySum",
        /// In 1/1,000,000.
        pub humidity_squares: i128 as Decimal<6> = "humiditySquares",
        /// In 1/1000.
        pub humidity_min: i32 = "humidityMin",
        /// In 1/1000.
        pub humidity_max: i32 = "humidityMax",
    }
}

impl DeviceMinutePartial {
    /// The record that tells what one of stage 1 tells: of one device, as each has a partition of
    /// its own. There are no early results.
    #[must_use]
    pub fn of(record: &MinutesRecord) -> Self {
        let group = record.content.contributions().first();
        let totals = group.map_or(ReadingTotals::EMPTY, |group| group.totals);
        Self {
            source_partition: record.source_partition,
            watermark_ms: record.watermark_ms,
            complete_ms: record.complete_ms,
            device_id: group.map(|group| group.key),
            window_start_ms: group.map_or(0, |group| group.window_start_ms),
            window_end_ms: group.map_or(0, |group| group.window_end_ms),
            count: totals.count.cast_signed(),
            temp_sum: totals.temp.sum,
            temp_squares: totals.temp.squares,
            temp_min: totals.temp.min,
            temp_max: totals.temp.max,
            humidity_sum: totals.humidity.sum,
            humidity_squares: totals.humidity.squares,
            humidity_min: totals.humidity.min,
            humidity_max: totals.humidity.max,
        }
    }

    /// What stage 2 takes of it. What no readings add up to, which stage 1 never sends, is as if
    /// none had come.
    #[must_use]
    pub fn record(self) -> MinutesRecord {
        let totals = ReadingTotals {
            count: self.count.max(0).cast_unsigned(),
            temp: Sums {
                sum: self.temp_sum,
                squares: self.temp_squares,
                min: self.temp_min,
                max: self.temp_max,
            },
            humidity: Sums {
                sum: self.humidity_sum,
                squares: self.humidity_squares,
                min: self.humidity_min,
                max: self.humidity_max,
            },
        };
        let group = self.device_id.map(|device| Contribution {
            key: device,
            window_start_ms: self.window_start_ms,
            window_end_ms: self.window_end_ms,
            totals: Some(totals)
                .filter(ReadingTotals::is_possible)
                .unwrap_or(ReadingTotals::EMPTY),
        });
        MinutesRecord {
            source_partition: self.source_partition,
            watermark_ms: self.watermark_ms,
            complete_ms: self.complete_ms,
            content: group.map_or(Content::Watermark, |group| Content::Final(vec![group])),
        }
    }
}
