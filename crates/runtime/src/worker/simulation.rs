//! A deterministic simulation of workers without Kafka, for tests of jobs.
//!
//! It drives the partitions that the worker loop drives, on an in-memory log, group offsets,
//! transactions that commit, abort or end unknown, snapshots that get lost or torn, crashes,
//! rebalances with and without a last commit, begins and sends that fail, batches cut by errors,
//! and starts with other settings. Whatever the schedule, the committed outputs must be those of
//! one task for each partition that never stopped and has had the same directives.
//!
//! `MILLRACE_SIMULATION_SCHEDULES` sets the number of schedules, `MILLRACE_SIMULATION_SEED` the
//! first one's seed; a failure names its seed.

mod clock;
mod cluster;
#[cfg(test)]
pub(in crate::worker) mod digest;
mod disturbed;
pub(in crate::worker) mod fetched;
mod numbered;
#[cfg(test)]
mod outside;
mod process;
mod random;
mod schedules;
mod seen;
mod stream;
mod trace;
pub(in crate::worker) mod transaction;
mod turns;
mod undisturbed;
mod verify;
mod world;

pub use cluster::{LoggedRecord, Output};
pub use random::Random;
pub use schedules::{assert_repeats, run_schedules};
pub use seen::Seen;
pub use stream::{KeyedSchedules, OverStream, PartialSchedules, Records};
pub use trace::Trace;
pub use transaction::{CODE, DEAD_LETTERS};
pub use world::{Scenario, Simulation};
