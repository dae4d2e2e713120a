//! The command line. Flags go before the settings' values.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use clap::{Args, Parser, Subcommand};
use millrace_settings::{Format, Settings};

use crate::options::{GenerateOptions, Options};
use crate::replay::{FileFormat, ReplayOptions, ShiftTo, Speed, parse_time};

/// Sends financial transactions to Kafka: generated ones, or those of a recorded file.
#[derive(Debug, Parser)]
#[command(name = "producer", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// The configuration; config/millrace.yml if not given and there.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    generate: GenerateArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Sends CSV, NDJSON or Parquet files, compressed by gzip or zstd or not
    Replay(ReplayArgs),
}

#[derive(Debug, Args)]
struct GenerateArgs {
    /// Records a second over all threads; 0 is as fast as it goes.
    #[arg(long, value_name = "N")]
    rate: Option<u64>,
    /// Stop after so many records (duplicates and malformed ones count, labels do not).
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Stop after this time, as 60s or 5m.
    #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration)]
    duration: Option<Duration>,
    /// avro or json.
    #[arg(long, value_parser = parse_format)]
    format: Option<Format>,
    /// Threads; 0 is as many as the rate needs and no more than cores, and one alone with
    /// --start-time
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// The same seed and thread count give the same stream (with --start-time, the same times too),
    /// but for its ids.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// The ids too: consumers drop another run's transactions as copies of those of this one.
    #[arg(long)]
    repeatable: bool,
    /// Number of users.
    #[arg(long, value_name = "N")]
    users: Option<u32>,
    /// Number of merchants.
    #[arg(long, value_name = "N")]
    merchants: Option<u32>,
    /// Simulated event time from here on, as 2026-10-09T12:00:00Z or milliseconds since 1970, in
    /// place of the clock.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    start_time: Option<i64>,
    /// With --start-time: records a second of event time, if not the rate.
    #[arg(long, value_name = "N")]
    event_rate: Option<u64>,
}

#[derive(Debug, Args)]
struct ReplayArgs {
    /// The files, one after another; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The mapping from the files' columns to a transaction's fields (YAML).
    #[arg(long, value_name = "FILE")]
    mapping: PathBuf,
    /// csv, ndjson or parquet, if the extension does not say.
    #[arg(long, value_name = "FORMAT")]
    file_format: Option<FileFormat>,
    /// How many times the recorded pace, or max.
    #[arg(long, default_value = "1")]
    speed: Speed,
    /// Move event times so that the first is at this time, or now.
    #[arg(long, value_name = "TIME")]
    shift_to: Option<ShiftTo>,
    /// Sort the rows by time first, in temporary files if they are many (TMPDIR)
    #[arg(long)]
    sort: bool,
    /// Send rows although they would go to the late topic and into no aggregate
    #[arg(long)]
    force: bool,
    /// Where bad rows are written; <FILE>.rejects.ndjson in the working directory if not given.
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// Stop after so many records.
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// avro or json.
    #[arg(long, value_parser = parse_format)]
    format: Option<Format>,
}

fn parse_format(text: &str) -> Result<Format, String> {
    match text {
        "avro" => Ok(Format::Avro),
        "json" => Ok(Format::Json),
        _ => Err("must be avro or json".to_owned()),
    }
}

impl Cli {
    /// Puts the flags over the settings, and says what to do.
    ///
    /// # Errors
    /// A flag with an impossible value.
    pub fn apply(self, settings: &mut Settings) -> anyhow::Result<Options> {
        let options = match self.command {
            Some(Command::Replay(replay)) => {
                set(&mut settings.producer.format, replay.format);
                Options::Replay(ReplayOptions {
                    files: replay.files,
                    mapping: replay.mapping,
                    file_format: replay.file_format,
                    speed: replay.speed,
                    shift_to: replay.shift_to,
                    sort: replay.sort,
                    force: replay.force,
                    rejects: replay.rejects,
                    count: replay.count,
                })
            }
            None => {
                let flags = self.generate;
                let producer = &mut settings.producer;
                set(&mut producer.rate_per_s, flags.rate);
                set(&mut producer.format, flags.format);
                set(&mut producer.threads, flags.threads);
                set(&mut producer.seed, flags.seed);
                producer.repeatable |= flags.repeatable;
                set(&mut producer.users, flags.users);
                set(&mut producer.merchants, flags.merchants);
                if flags.event_rate == Some(0) {
                    bail!("--event-rate must be above 0");
                }
                Options::Generate(GenerateOptions {
                    count: flags.count,
                    duration: flags.duration,
                    start_time_ms: flags.start_time,
                    event_rate_per_s: flags.event_rate,
                })
            }
        };
        settings.validate()?;
        Ok(options)
    }
}

fn set<T>(setting: &mut T, flag: Option<T>) {
    if let Some(flag) = flag {
        *setting = flag;
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> anyhow::Result<(Settings, Options)> {
        let cli = Cli::try_parse_from(line.split(' '))?;
        let mut settings = Settings::default();
        let options = cli.apply(&mut settings)?;
        Ok((settings, options))
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_go_before_settings() {
        let line = "producer --rate 0 --count 7 --for 90s --format json --threads 3 --seed 1 --repeatable --users 9 --merchants 8 \
                    --start-time 2026-10-09T12:00:00Z --event-rate 50";
        let (settings, options) = parse(line).unwrap();
        let producer = settings.producer;
        assert_eq!(
            (
                producer.rate_per_s,
                producer.format,
                producer.threads,
                producer.seed
            ),
            (0, Format::Json, 3, 1)
        );
        assert_eq!((producer.users, producer.merchants), (9, 8));
        assert!(producer.repeatable);
        assert!(!parse("producer --seed 1").unwrap().0.producer.repeatable);
        let expected = GenerateOptions {
            count: Some(7),
            duration: Some(Duration::from_secs(90)),
            start_time_ms: Some(1_791_547_200_000),
            event_rate_per_s: Some(50),
        };
        assert_eq!(options, Options::Generate(expected));
    }

    #[test]
    fn a_replay_has_flags_of_its_own() {
        let (_, options) =
            parse("producer replay a.csv --mapping m.yml --speed max --count 3 --config c").unwrap();
        let Options::Replay(replay) = options else {
            panic!("{options:?}");
        };
        assert_eq!((replay.speed, replay.count), (Speed::Max, Some(3)));
        assert!(parse("producer --rate 5 replay a.csv --mapping m.yml").is_err());
        let error = parse("producer replay a.csv --mapping m.yml --speed fast").unwrap_err();
        assert!(error.to_string().contains("a factor above 0"), "{error}");
        assert!(
            parse("producer --users 0").is_err(),
            "the settings' checks hold for flags"
        );
    }
}
