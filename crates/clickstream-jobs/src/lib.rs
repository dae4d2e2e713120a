//! Page views for each page and window in two stages, and sessions of users: exactly once.
//!
//! Both are the generic jobs of [`millrace_runtime`], over the operators of
//! [`millrace_clickstream`]; `records` says how their records are read and written.

#![forbid(unsafe_code)]

mod records;
mod run;

pub use records::{Pages, UserVisits};
pub use run::{ClickstreamJobs, prepare, run};
