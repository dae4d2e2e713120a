//! The millrace command.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    millrace::dispatch::main().await
}
