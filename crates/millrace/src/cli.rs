//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::{
    alerts, detect, dlq, dotenv, down, evaluate, explain, health, init, lab, lake, lists, map, query, rules,
    service, status, up, verify,
};

/// Millrace: financial transactions in, exactly-once merchant aggregates and fraud alerts out.
#[derive(Debug, Parser)]
#[command(name = "millrace", version, propagate_version = true)]
pub struct Cli {
    /// The configuration; config/millrace.yml if not given and there
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start everything, show it, and stop it at Ctrl-C or after --for
    Up(up::Options),
    /// Stop everything, however it was started
    Down(down::Options),
    /// Show services, topics, consumer lag and windows
    Status(status::Options),
    /// Create topics, register schemas, put index templates, import Kibana objects; leaves alone
    /// what others have set
    Init(init::Options),
    /// Compare what the producer's brokers acknowledged with what came out
    Verify(verify::Command),
    /// List dead letters and late records, show them, and send them again
    Dlq(dlq::Options),
    /// Compare the lake's files with the topics, put small ones together, delete old days
    Lake(lake::Options),
    /// Ask the tables in Cassandra: a merchant's windows, a user's alerts, a page's views
    Query(query::Options),
    /// Do faults to a pipeline under load, and show that nothing is lost or doubled, by
    /// millrace-lab beside this program
    Chaos(lab::Arguments),
    /// Measure how fast each part is, against the project's targets, by millrace-lab beside this
    /// program
    Bench(lab::Arguments),
    /// Propose a mapping for a file of transactions, from its columns and first rows
    Map(map::Options),
    /// Check files of fraud rules, list them, and change those of a running detector
    Rules(rules::Options),
    /// Show and change the lists that fraud rules look into, while the detector runs
    Lists(lists::Options),
    /// List the incidents that alerts have become, show one with its evidence, decide on one
    Alerts(alerts::Options),
    /// Explain why a transaction had an alert, or none: what was known, asked and compared, and
    /// what would have had to be otherwise
    Explain(explain::Options),
    /// Run fraud rules over files of transactions, without a server: alerts as NDJSON
    Detect(detect::Options),
    /// Measure fraud rules over files of transactions that have labels, without a server
    Evaluate(evaluate::Options),
    /// Write the .env that Docker Compose reads
    Env(dotenv::Options),
    /// Run one service in this process
    Service(service::Options),
    /// Ask a health address; exit 0 if it answers with success, else 1
    Health(health::Options),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_configuration_can_be_named_after_the_command() {
        for line in [
            "millrace --config c.yml up",
            "millrace up --config c.yml",
            "millrace service producer --config c.yml",
        ] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            assert_eq!(cli.config, Some(PathBuf::from("c.yml")), "{line}");
        }
    }

    #[test]
    fn one_mode_can_be_forced_and_not_both() {
        assert!(Cli::try_parse_from("millrace up --local --for 60s --rate 0".split(' ')).is_ok());
        let error = Cli::try_parse_from("millrace up --local --docker".split(' ')).unwrap_err();
        assert!(error.to_string().contains("cannot be used with"), "{error}");
    }

    #[test]
    fn the_labs_arguments_are_its_own() {
        for line in [
            "millrace --config c.yml chaos --all --rate 500",
            "millrace chaos --config c.yml --all --rate 500",
        ] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            let given = format!("{:?}", cli.command);
            assert!(given.contains(r#"["--all", "--rate", "500"]"#), "{line}: {given}");
            assert_eq!(cli.config, Some(PathBuf::from("c.yml")), "{line}");
        }
        let cli = Cli::try_parse_from("millrace bench --help".split(' ')).unwrap();
        assert!(format!("{:?}", cli.command).contains("--help"));
    }
}
