//! The millrace command.

use std::process::ExitCode;

use clap::Parser as _;
use millrace::cli::Cli;
use millrace::dispatch;

#[tokio::main]
async fn main() -> ExitCode {
    dispatch::run(Cli::parse()).await.unwrap_or_else(|error| {
        report(&error);
        ExitCode::FAILURE
    })
}

#[allow(clippy::print_stderr, reason = "the last word of a command that failed")]
fn report(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
}
