//! A stack of a command's own, on free ports, and what it says while that starts and stops.

use std::path::Path;

use anyhow::Result;
use millrace_stack::{LocalStack, Ports, Progress, StackOptions};

use millrace::state::State;

/// Starts Kafka, registry and Elasticsearch as local processes. `cache_dir` is the folder of
/// fetched programs, if it is not the usual one.
///
/// # Errors
/// A part does not start.
pub async fn start(state: &State, cache_dir: Option<&Path>) -> Result<LocalStack> {
    let mut options = StackOptions {
        ports: Ports::free()?,
        ..StackOptions::new(state.stack())
    };
    if let Some(dir) = cache_dir {
        dir.clone_into(&mut options.cache_dir);
    }
    tell("starting a stack of its own");
    Ok(LocalStack::start(options, show).await?)
}

fn show(progress: Progress) {
    match progress {
        Progress::Fetching { component } => {
            tell(&format!(
                "fetching {component} by Maven, once: this can take minutes"
            ));
        }
        Progress::Starting { node } => tell(&format!("{node} starts")),
        Progress::Stopping { node } => tell(&format!("{node} is stopped")),
        _ => {}
    }
}

/// A line about how far a command is.
#[allow(clippy::print_stderr, reason = "the command's progress")]
pub fn tell(line: &str) {
    eprintln!("{line}");
}
