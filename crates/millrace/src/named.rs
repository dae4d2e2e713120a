//! The services by names of their own: a link to this program by the name of a service is that
//! service, as the image has them. So one build and one link make all of them.

use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;
use millrace_catalog::Service;
use millrace_producer::cli::Cli as ProducerCli;
use millrace_service::process;
use millrace_settings::Settings;
use millrace_telemetry::Shutdown;
use tokio::runtime::Runtime;

/// Runs the service that this process is called by; `None` where it is called by another name.
#[must_use]
pub fn service() -> Option<ExitCode> {
    let program = std::env::args_os().next()?;
    Some(run(of_program(&program)?))
}

fn of_program(program: &OsStr) -> Option<Service> {
    Service::named(Path::new(program).file_name()?.to_str()?)
}

fn run(service: Service) -> ExitCode {
    let (name, about) = (service.name(), service.spec().about);
    match service {
        Service::Producer => producer(),
        Service::Aggregator => process::run(name, about, millrace_aggregator::run),
        Service::Detector => process::run(name, about, millrace_detector::run),
        Service::ElasticSink => process::run(name, about, millrace_elastic_sink::run),
        Service::Rekey => process::run(name, about, millrace_rekey::run),
        Service::Gateway => process::run(name, about, millrace_gateway::run),
        Service::Clickstream => process::run(name, about, millrace_clickstream_jobs::run),
        Service::LakeSink => process::run(name, about, millrace_lake_sink::run),
        Service::CassandraSink => process::run(name, about, millrace_cassandra_sink::run),
    }
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
    millrace_telemetry::init(Service::Producer.name(), &settings.telemetry)?;
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
        for name in Service::ALL.map(Service::name) {
            let found = of_program(OsStr::new(name));
            assert_eq!(found.map(Service::name), Some(name));
            assert_eq!(of_program(OsStr::new(&format!("/usr/local/bin/{name}"))), found);
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
