//! A service as a process of its own: arguments, settings, logs, signals, and the status it exits
//! with.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, Command, value_parser};
use millrace_settings::Settings;
use millrace_telemetry::Shutdown;

/// Threads of the runtime: it serves metrics and look-ups; jobs have threads of their own.
const RUNTIME_THREADS: usize = 2;

/// The `main` of a service that takes nothing but `--config FILE`. `about` is the first line of its
/// help.
pub fn run<S>(
    name: &'static str,
    about: &'static str,
    service: impl FnOnce(Settings, Shutdown) -> S,
) -> ExitCode
where
    S: Future<Output = anyhow::Result<()>>,
{
    let config = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help("The configuration file; without it config/millrace.yml, where there is one");
    let command = Command::new(name)
        .about(about)
        .version(env!("CARGO_PKG_VERSION"))
        .arg(config);
    let config = command.get_matches().remove_one::<PathBuf>("config");
    let start = || {
        let settings = Settings::load(config.as_deref())?;
        millrace_telemetry::init(name, &settings.telemetry)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(RUNTIME_THREADS)
            .enable_all()
            .build()?;
        runtime.block_on(async { service(settings, Shutdown::on_signals()?).await })
    };
    exit_code(start().map(|()| ExitCode::SUCCESS))
}

/// The status a process exits with. An error is its last word, in one line: in the log once there
/// is one, before that on standard error.
#[must_use]
pub fn exit_code(outcome: anyhow::Result<ExitCode>) -> ExitCode {
    outcome.unwrap_or_else(|error| {
        if tracing::dispatcher::has_been_set() {
            tracing::error!(error = format!("{error:#}"), "ended by an error");
        } else {
            report(&error);
        }
        ExitCode::FAILURE
    })
}

/// The last word of a command that failed, for a person.
#[allow(clippy::print_stderr, reason = "there is no log, or not for a person")]
pub fn report(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
}
