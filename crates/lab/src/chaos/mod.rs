//! `millrace-lab chaos`: faults done to a pipeline under load, each with the time to recover, and
//! the proof that nothing was lost or doubled.
//!
//! For each fault a new pipeline (topics, groups and indices of its own) runs on one stack:
//! [`mod@pipeline`] starts it under load, [`scenario`] does the fault and waits until all is at the
//! head again, and the pipeline's end compares the sums to the cent, the anomalies with those of an
//! undisturbed run, and looks for open transactions. The integration tests run the same scenarios.

pub mod cluster;
pub mod fault;
pub mod outcome;
pub mod pipeline;
pub mod scenario;
pub mod transactions;

mod command;

use millrace_settings::{Settings, Worker};

pub use crate::harness::program::Program;
pub use cluster::Cluster;
pub use command::{Options, command};
pub use fault::Fault;
pub use outcome::{Judgement, Outcome, Recovery};
pub use pipeline::Pipeline;

/// Short windows and timeouts, so that what a fault does is over in seconds: a session of 8 s, and
/// in order below it the transaction's and the drain's.
pub fn hasten(settings: &mut Settings) {
    settings.aggregator.window_ms = 10_000;
    settings.clickstream.window_ms = 10_000;
    settings.clickstream.session_gap_ms = 10_000;
    settings.commerce.window_ms = 10_000;
    settings.commerce.session_gap_ms = 10_000;
    settings.iot.window_ms = 10_000;
    settings.iot.alerts.silent_after_ms = 10_000;
    settings.snapshots.interval_ms = 2_000;
    for worker in [
        &mut settings.aggregator.worker,
        &mut settings.detector.worker,
        &mut settings.rekey.worker,
        &mut settings.clickstream.worker,
        &mut settings.iot.worker,
        &mut settings.commerce.worker,
        &mut settings.incidents.worker,
    ] {
        worker.session_timeout_ms = 8_000;
        worker.transaction_timeout_ms = 6_000;
        worker.drain_timeout_ms = 5_000;
        worker.idle_timeout_ms = 3_000;
        beat(worker);
    }
}

/// A heartbeat each second: the default of 3 s leaves a session of 8 s two.
fn beat(worker: &mut Worker) {
    let name = "heartbeat.interval.ms".to_owned();
    worker.consumer_properties.insert(name, "1000".to_owned());
}
