//! `millrace lake`: looks after the lake beside a running sink.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use comfy_table::{Table, presets};
use millrace_domain::Sum;
use millrace_kafka::client::reader_config;
use millrace_kafka::clock::now_ms;
use millrace_kafka::reader::Reader;
use millrace_kafka::topic_name;
use millrace_lake_sink::name::Day;
use millrace_lake_sink::sink::group;
use millrace_lake_sink::store::Lake;
use millrace_lake_sink::tables::{self, TABLES};
use millrace_lake_sink::verify::{Found, verify};
use millrace_lake_sink::{compact, expire};
use millrace_settings::Settings;

/// Arguments of the command.
#[derive(Debug, Clone, Args)]
pub struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Clone, Subcommand)]
enum Action {
    /// Compare the files with the topics, record by record: what is missing or twice, and the sums
    /// of money; exit 1 where they differ
    Verify,
    /// Put small files of a day together; a folder's alone
    Compact {
        /// Bytes of a file, about
        #[arg(long, default_value_t = 256_000_000)]
        max_bytes: u64,
    },
    /// Delete the days that are older than so many, today not counted
    Expire {
        /// Days to keep
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
        days: u32,
    },
}

/// Runs the command.
///
/// # Errors
/// What it needs does not answer, or the settings are wrong.
pub async fn command(settings: &Settings, options: &Options) -> anyhow::Result<ExitCode> {
    let lake = Lake::open(&settings.lake_sink)?;
    match options.action {
        Action::Verify => {
            let found = verify(settings, &lake).await?;
            say!("{}", table(&found));
            let is_well = found.iter().all(Found::is_well);
            Ok(ExitCode::from(u8::from(!is_well)))
        }
        Action::Compact { max_bytes } => compact_all(settings, &lake, max_bytes),
        Action::Expire { days } => {
            let first = Day::of_ms(now_ms()).context("today")?.less(days);
            for table in TABLES.iter() {
                for day in expire::expire(&lake, table, first).await? {
                    say!("{} of {day} is deleted", table.name);
                }
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn compact_all(settings: &Settings, lake: &Lake, max_bytes: u64) -> anyhow::Result<ExitCode> {
    let Lake::Folder(folder) = lake else {
        bail!(
            "{} is no folder of this machine: an object store cannot replace a day's files in one step, and a reader \
             would see rows twice; larger files come of a larger lake_sink.max_rows and max_age_ms",
            settings.lake_sink.url.display()
        );
    };
    let log = Reader::new(&reader_config(&settings.kafka, &group(settings))?)?;
    for table in tables::there(settings) {
        let topic = topic_name(&settings.kafka, table.topic);
        let mut committed = Vec::new();
        for partition in 0..log.partitions(&topic)? {
            committed.push(log.committed(&topic, partition)?);
        }
        let of = |partition: i32| *committed.get(usize::try_from(partition).ok()?)?;
        for done in compact::compact(folder, table, max_bytes, of)? {
            say!(
                "{} of {}: {} files became {}",
                done.table,
                done.day,
                done.before,
                done.after
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn table(found: &[Found]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header([
        "table", "files", "records", "rows", "missing", "twice", "surplus", "overlaps", "sums", "",
    ]);
    for of in found {
        let sums = of.sums.iter().map(|(name, topic, files)| {
            let (topic, files) = (Sum::from_units(*topic), Sum::from_units(*files));
            if topic == files {
                format!("{name} {files}")
            } else {
                format!("{name} {files}, of the topic {topic}")
            }
        });
        let verdict = match (of.is_well(), of.beyond) {
            (true, _) => "ok".to_owned(),
            (false, 0) => "WRONG".to_owned(),
            (false, files) => format!("WRONG: {files} files end beyond the topic: it was made anew"),
        };
        let counts = [
            of.records,
            of.rows,
            of.missing,
            of.doubled,
            of.surplus,
            of.overlaps,
        ];
        let mut row = vec![of.table.to_owned(), of.files.to_string()];
        row.extend(counts.iter().map(u64::to_string));
        row.extend([sums.collect::<Vec<_>>().join("; "), verdict]);
        table.add_row(row);
    }
    table
}
