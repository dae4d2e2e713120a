//! Revenue of regions and devices and sales of products in two stages, and funnels of sessions:
//! exactly once.
//!
//! All are the generic jobs of [`millrace_runtime`], over the operators of [`millrace_commerce`];
//! `records` says how their records are read and written.

#![forbid(unsafe_code)]

mod records;
mod run;

pub use records::{Sessions, Sold};
pub use run::{CommerceJobs, Stages, prepare, run};
