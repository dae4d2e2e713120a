//! The lab's program.

use std::process::ExitCode;

fn main() -> ExitCode {
    millrace_lab::cli::main()
}
