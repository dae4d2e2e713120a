//! The command: the lines one after another, on a stack of its own where one needs it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum as _};
use millrace_settings::Settings;
use millrace_telemetry::Shutdown;

use super::backlog::Backlog;
use super::figure::{Figure, table};
use super::line::Line;
use super::session::Session;
use super::warm_up::warm_up;
use super::{codec, engine, growth, latency, machine, sustained};
use crate::harness::stack::tell;
use millrace::state::{DEFAULT_DIR, State};

/// What to measure.
///
/// Lines that need it start a stack of their own on free ports (Kafka 3+3, registry, Elasticsearch;
/// a JDK 21 or later and Maven are needed). Use a release build on a machine that does nothing
/// else. Exits 0 only if every target is met.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// The lines, in this order; all of them if none is given
    #[arg(value_enum, value_name = "LINE")]
    lines: Vec<Line>,
    /// Records of a line that is not bounded by time
    #[arg(long, value_name = "N", default_value_t = 12_000_000, value_parser = clap::value_parser!(u64).range(100_000..))]
    pub(super) records: u64,
    /// Users
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1_000..))]
    pub(super) users: u32,
    /// Merchants
    #[arg(long, value_name = "N", default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) merchants: u32,
    /// Transactions a second of the line `sustained`
    #[arg(long, value_name = "N", default_value_t = 333_333, value_parser = clap::value_parser!(u64).range(100..))]
    pub(super) rate: u64,
    /// Transactions a second of the line `latency`
    #[arg(long, value_name = "N", default_value_t = 50_000, value_parser = clap::value_parser!(u64).range(100..))]
    pub(super) latency_rate: u64,
    /// How long the line `sustained` sends, and at most 60s of it the line `latency` measures
    #[arg(long = "for", value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration)]
    pub(super) time: Duration,
    /// How long everything runs, uncounted, before the lines that need the stack: brokers compile
    /// their code meanwhile
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = humantime::parse_duration)]
    pub(super) warm_up: Duration,
    /// Print JSON in place of a table
    #[arg(long)]
    json: bool,
    /// The state folder: the data is in a folder of its own below it, and goes at the end
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DIR)]
    state_dir: PathBuf,
    /// The folder of fetched programs; MILLRACE_CACHE if not given
    #[arg(long, value_name = "DIR")]
    pub(super) cache_dir: Option<PathBuf>,
}

/// Measures the lines and prints the figures.
///
/// # Errors
/// The stack does not start, or a line fails: then its data and logs stay.
#[allow(clippy::print_stdout, reason = "the command's output")]
pub async fn command(settings: Settings, options: Options) -> Result<ExitCode> {
    let shutdown = Shutdown::on_signals()?;
    if cfg!(debug_assertions) {
        tell("this is a debug build: its figures say nothing about a release");
    }
    let lines = match options.lines.as_slice() {
        [] => Line::value_variants(),
        lines => lines,
    };
    let state = State::new(options.state_dir.clone()).for_run()?;
    let session = match lines.iter().any(|line| line.needs_stack()) {
        true => Some(tokio::select! {
            session = Session::start(&settings, &options, &state) => session?,
            () = shutdown.wait() => return Ok(ExitCode::FAILURE),
        }),
        false => None,
    };
    let measured = tokio::select! {
        measured = measure_all(lines, &settings, &options, session.as_ref()) => measured,
        () = shutdown.wait() => Err(anyhow::anyhow!("interrupted")),
    };
    if let Some(session) = session {
        tell("stopping the stack");
        session.stop().await?;
    }
    let figures = measured.with_context(|| format!("data and logs are in {}", state.root().display()))?;
    state.remove()?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&figures)?);
    } else {
        println!("{}", table(&figures));
    }
    let mut measures = figures.iter().flat_map(|figure| &figure.measures);
    Ok(match measures.all(|measure| measure.is_met() != Some(false)) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

async fn measure_all(
    lines: &[Line],
    settings: &Settings,
    options: &Options,
    session: Option<&Session>,
) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    // The producer's line fills the topic that others read.
    let mut backlog: Option<Backlog> = None;
    let mut is_warm = false;
    for line in lines {
        if let Some(session) = session.filter(|_| line.needs_stack() && !is_warm) {
            warm_up(session, options).await.context("warming up")?;
            is_warm = true;
        }
        if let (Some(session), false) = (session, line.needs_backlog())
            && let Some(backlog) = backlog.take()
        {
            backlog.clear(session).await?;
        }
        tell(&format!("{line}"));
        let measured = match (line, session) {
            (Line::Machine, _) => Ok(vec![machine::measure()]),
            (Line::Codec, _) => codec::measure(settings, options),
            (Line::Engine, _) => engine::measure(settings, options),
            (Line::Growth, _) => growth::measure(settings, options),
            (_, None) => continue,
            (Line::Latency, Some(session)) => latency::measure(session, options).await,
            (Line::Sustained, Some(session)) => sustained::measure(session, options).await,
            (line, Some(session)) => from_backlog(*line, options, session, &mut backlog).await,
        };
        let measured = measured.with_context(|| format!("the line {line}"))?;
        // At once: a later line that fails takes the table at the end with it.
        tell(&table(&measured).to_string());
        figures.extend(measured);
    }
    Ok(figures)
}

async fn from_backlog(
    line: Line,
    options: &Options,
    session: &Session,
    backlog: &mut Option<Backlog>,
) -> Result<Vec<Figure>> {
    if matches!(line, Line::Sink | Line::Rekey) {
        let (mut backlog, _) = Backlog::fill(session, options, line).await?;
        let figure = backlog.work_off(session, line).await?;
        backlog.clear(session).await?;
        return Ok(vec![figure]);
    }
    let mut figures = Vec::new();
    if backlog.is_none() {
        let (filled, figure) = Backlog::fill(session, options, line).await?;
        *backlog = Some(filled);
        figures.push(figure);
    }
    if let (Some(backlog), Line::Aggregator | Line::Detector) = (backlog, line) {
        figures.push(backlog.work_off(session, line).await?);
    }
    Ok(figures)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        options: Options,
    }

    #[tokio::test]
    async fn the_lines_without_a_network_measure_every_record() {
        let line = "bench codec engine --records 100000 --users 1000 --merchants 10";
        let options = CommandLine::parse_from(line.split(' ')).options;
        let figures = measure_all(&options.lines, &Settings::default(), &options, None)
            .await
            .unwrap();
        assert_eq!(figures.len(), 3);
        for figure in figures {
            assert!(figure.records >= 65_536, "{figure:?}");
            assert!(
                figure.measures.iter().all(|measure| measure.value > 0.0),
                "{figure:?}"
            );
        }
    }

    #[test]
    fn a_line_that_there_is_not_is_refused_with_those_that_there_are() {
        let refused = CommandLine::try_parse_from(["bench", "brokers"])
            .map(|_| ())
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains("brokers") && refused.contains("sustained"),
            "{refused}"
        );
    }
}
