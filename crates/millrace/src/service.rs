//! `millrace service NAME`: one service in this process. `up` starts its children so, from the one
//! binary.

use std::io::Read as _;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};
use millrace_catalog::Service;
use millrace_producer::Options as ProducerOptions;
use millrace_producer::cli::Cli as ProducerCli;
use millrace_service::process::Running;
use millrace_settings::Settings;
use millrace_telemetry::Shutdown;

/// Which service.
#[derive(Debug, Args)]
pub struct Options {
    /// End at once when standard input ends, as it does when the parent process is gone
    #[arg(long, hide = true)]
    exit_with_parent: bool,
    #[command(subcommand)]
    which: Which,
}

/// A service of the catalog, by its name.
#[derive(Debug)]
struct Which {
    service: Service,
    /// The producer's own arguments.
    producer: Option<Box<ProducerCli>>,
}

impl FromArgMatches for Which {
    fn from_arg_matches(matches: &ArgMatches) -> clap::error::Result<Self> {
        let named = matches.subcommand();
        let named = named.and_then(|(name, matches)| Some((Service::named(name)?, matches)));
        let (service, matches) = named.ok_or_else(|| clap::Error::new(ErrorKind::MissingSubcommand))?;
        let producer = match service {
            Service::Producer => Some(Box::new(ProducerCli::from_arg_matches(matches)?)),
            _ => None,
        };
        Ok(Self { service, producer })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> clap::error::Result<()> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Subcommand for Which {
    fn augment_subcommands(command: Command) -> Command {
        let services = Service::ALL.map(|service| {
            let command = Command::new(service.name());
            let command = match service {
                Service::Producer => ProducerCli::augment_args(command),
                _ => command,
            };
            command.about(service.spec().about)
        });
        command
            .subcommands(services)
            .subcommand_required(true)
            .arg_required_else_help(true)
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        Service::named(name).is_some()
    }
}

/// What runs a service until it is shut down.
pub(crate) type Run = fn(Settings, Shutdown) -> Running<'static, ()>;

/// What runs each service; `None` of the producer, which has a command line of its own.
pub(crate) fn run_of(service: Service) -> Option<Run> {
    Some(match service {
        Service::Producer => return None,
        Service::Aggregator => millrace_aggregator::run,
        Service::Detector => millrace_detector::run,
        Service::ElasticSink => millrace_elastic_sink::run,
        Service::Rekey => millrace_rekey::run,
        Service::Gateway => millrace_gateway::run,
        Service::Clickstream => millrace_clickstream_jobs::run,
        Service::LakeSink => millrace_lake_sink::run,
        Service::Iot => millrace_iot_jobs::run,
        Service::CassandraSink => millrace_cassandra_sink::run,
        Service::Commerce => millrace_commerce_jobs::run,
        Service::Incidents => millrace_detector::incidents::run,
    })
}

/// Runs the producer; the exit code is 1 if any record failed or is late unasked, as for an error.
pub(crate) async fn produce(
    settings: &Settings,
    options: ProducerOptions,
    shutdown: Shutdown,
) -> anyhow::Result<ExitCode> {
    let summary = millrace_producer::run(settings, options, shutdown).await?;
    tracing::info!(%summary, "done");
    Ok(match summary.succeeded() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Runs the service until SIGTERM or SIGINT.
///
/// # Errors
/// As of the service.
pub async fn command(mut settings: Settings, options: Options) -> anyhow::Result<ExitCode> {
    let Which { service, producer } = options.which;
    millrace_telemetry::init(service.name(), &settings.telemetry)?;
    let shutdown = Shutdown::on_signals()?;
    if options.exit_with_parent {
        std::thread::Builder::new()
            .name("parent-guard".to_owned())
            .spawn(exit_with_parent)?;
    }
    if let Some(run) = run_of(service) {
        run(settings, shutdown).await?;
    } else if let Some(cli) = producer {
        let options = cli.apply(&mut settings)?;
        return produce(&settings, options, shutdown).await;
    }
    Ok(ExitCode::SUCCESS)
}

/// Blocks until standard input ends. The brokers end with the parent too, so there is nothing to
/// drain into; a service that ends at any point goes on from its last commit.
fn exit_with_parent() {
    let mut buffer = [0; 64];
    while std::io::stdin().read(&mut buffer).is_ok_and(|read| read > 0) {}
    tracing::error!("the parent process is gone: exiting at once");
    std::process::exit(143);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> clap::error::Result<Options> {
        let command = Options::augment_args(Command::new("service"));
        Options::from_arg_matches(&command.try_get_matches_from(line.split(' '))?)
    }

    #[test]
    fn each_service_is_run_by_its_name() {
        for service in Service::ALL {
            let options = parse(&format!("service {}", service.name())).unwrap();
            assert_eq!(options.which.service, service);
            assert_eq!(options.which.producer.is_some(), run_of(service).is_none());
        }
        assert!(parse("service producer --count 5").is_ok());
        assert!(parse("service aggregator --count 5").is_err());
        assert!(parse("service other").is_err());
        assert!(parse("service").is_err());
    }
}
