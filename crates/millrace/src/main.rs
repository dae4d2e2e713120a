//! The millrace command, and the services by the names of links to it.

use std::process::ExitCode;

fn main() -> ExitCode {
    millrace::named::service().unwrap_or_else(millrace::dispatch::main)
}
