//! `millrace map FILE`: proposes a mapping for a file of one's own.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use millrace_producer::replay::{FileFormat, propose};

/// Which file.
#[derive(Debug, Args)]
pub struct Options {
    /// The file: CSV, NDJSON or Parquet, compressed by gzip or zstd or not
    file: PathBuf,
    /// csv, ndjson or parquet, if the extension does not say
    #[arg(long, value_name = "FORMAT")]
    file_format: Option<FileFormat>,
}

/// Prints a mapping with what could not be decided as comments: `millrace map FILE > mapping.yml`.
///
/// # Errors
/// The file cannot be read, or has no rows.
pub fn command(options: &Options) -> anyhow::Result<ExitCode> {
    say!("{}", propose(&options.file, options.file_format)?.trim_end());
    Ok(ExitCode::SUCCESS)
}
