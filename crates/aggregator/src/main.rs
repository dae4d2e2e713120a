//! The aggregator's process.

use std::process::ExitCode;

fn main() -> ExitCode {
    let about = "Adds transactions up for each merchant, currency and minute, exactly once";
    millrace_service::process::run("aggregator", about, millrace_aggregator::run)
}
