//! Sensors on the engine: the readings of each device and window, alerts with their ends, and what
//! is known last of each device.
//!
//! [`MinutesPerDevice`] and [`Watch`] are all that the stages and the machines by key of
//! [`millrace_engine`] know of a reading. Nothing here does I/O, reads a clock or draws a random
//! number.

#![forbid(unsafe_code)]

mod alert;
mod device;
pub mod ledger;
pub mod limits;
mod measured;
mod minutes;
mod partial;
mod reading;
pub mod statistics;
pub mod watch;

pub use alert::{AlertKind, AlertStatus, DeviceAlert, DeviceState, Measure, Notice, NoticeRecord};
pub use device::Device;
pub use limits::{Band, Limits};
pub use measured::Measured;
pub use minutes::{DeviceLine, DeviceMinute, MinutesPerDevice, ReadingTotals};
pub use partial::DeviceMinutePartial;
pub use reading::Reading;
pub use watch::Watch;

use millrace_engine::keyed::Ordered;
use millrace_engine::keyed::ordered::Said;
use millrace_engine::windowed::{Aggregate, Merge, Partial, Record};

/// Stage 1 of device minutes over one partition of the readings.
pub type PartialMinutes = Partial<MinutesPerDevice>;
/// Stage 2 of device minutes over one partition of what stage 1 sends.
pub type MergeMinutes = Merge<MinutesPerDevice>;
/// What stage 1 of device minutes sends.
pub type MinutesRecord = Record<Device, ReadingTotals>;
/// What stage 2 of device minutes gives.
pub type MinutesResult = Aggregate<Device, ReadingTotals>;
/// Alerts over one partition of the readings.
pub type DeviceAlerts = Ordered<Watch>;
/// What comes out of it.
pub type DeviceNotice = Said<Device, Notice>;
