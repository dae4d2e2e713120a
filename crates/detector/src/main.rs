//! The detector's process.

use std::process::ExitCode;

fn main() -> ExitCode {
    let about = "Raises an alert for each fraud pattern in a user's transactions, exactly once";
    millrace_service::process::run("detector", about, millrace_detector::run)
}
