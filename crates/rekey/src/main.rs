//! The process of the job that rekeys.

use std::process::ExitCode;

fn main() -> ExitCode {
    let about = "Writes each transaction in one form into its user's partition, exactly once";
    millrace_service::process::run("rekey", about, millrace_rekey::run)
}
