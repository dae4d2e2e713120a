//! Readings of each device and window in two stages, and alerts with what is known last of each
//! device: exactly once.
//!
//! Both are the generic jobs of [`millrace_runtime`], over the operators of [`millrace_iot`];
//! `records` says how their records are read and written.

#![forbid(unsafe_code)]

mod metrics;
mod records;
mod run;

pub use metrics::AlertMetrics;
pub use records::{Alerts, Minutes};
pub use run::{IotJobs, prepare, run};
