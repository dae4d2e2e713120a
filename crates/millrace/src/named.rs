//! The services by names of their own: a link to this program by the name of a service is that
//! service, as the image has them. So one build and one link make all of them.

use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;
use millrace_producer::cli::Cli as ProducerCli;
use millrace_service::process;
use millrace_settings::Settings;
use millrace_telemetry::Shutdown;
use tokio::runtime::Runtime;

/// A service's process: what it is called with are the arguments of this one.
type Main = fn() -> ExitCode;

/// Runs the service that this process is called by; `None` where it is called by another name.
#[must_use]
pub fn service() -> Option<ExitCode> {
    let program = std::env::args_os().next()?;
    Some(of_program(&program)?())
}

fn of_program(program: &OsStr) -> Option<Main> {
    Some(match Path::new(program).file_name()?.to_str()? {
        "producer" => producer,
        "aggregator" => || {
            let about = "Adds transactions up for each merchant, currency and minute, exactly once";
            process::run("aggregator", about, millrace_aggregator::run)
        },
        "detector" => || {
            let about = "Raises an alert for each fraud pattern in a user's transactions, exactly once";
            process::run("detector", about, millrace_detector::run)
        },
        "elastic-sink" => || {
            let about = "Writes transactions, aggregates and anomalies to Elasticsearch";
            process::run("elastic-sink", about, millrace_elastic_sink::run)
        },
        "rekey" => || {
            let about = "Writes each transaction in one form into its user's partition, exactly once";
            process::run("rekey", about, millrace_rekey::run)
        },
        _ => return None,
    })
}

/// Exit code 1 if any record failed or is late unasked, as for an error.
fn producer() -> ExitCode {
    let cli = ProducerCli::parse();
    let runtime = Runtime::new().map_err(Into::into);
    process::exit_code(runtime.and_then(|runtime| runtime.block_on(produce(cli))))
}

async fn produce(cli: ProducerCli) -> anyhow::Result<ExitCode> {
    let mut settings = Settings::load(cli.config.as_deref())?;
    let options = cli.apply(&mut settings)?;
    millrace_telemetry::init("producer", &settings.telemetry)?;
    let shutdown = Shutdown::on_signals()?;
    let summary = millrace_producer::run(&settings, options, shutdown).await?;
    Ok(if summary.succeeded() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_told_by_the_last_part_of_the_programs_name() {
        for name in ["producer", "aggregator", "detector", "elastic-sink", "rekey"] {
            assert!(of_program(OsStr::new(name)).is_some(), "{name}");
            assert!(of_program(OsStr::new(&format!("/usr/local/bin/{name}"))).is_some());
        }
        for name in [
            "millrace",
            "/usr/local/bin/millrace",
            "producers",
            "producer/millrace",
            "",
            "/",
        ] {
            assert!(of_program(OsStr::new(name)).is_none(), "{name}");
        }
    }
}
