//! The columns of every table, as Parquet files without a row, for who tests what reads the lake.
//!
//!     cargo run -p millrace-lake-sink --example tables -- FOLDER

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use millrace_lake_sink::tables::TABLES;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

fn main() -> Result<()> {
    let folder = std::env::args().nth(1).map(PathBuf::from);
    let folder = folder.context("which folder are the tables to be written to?")?;
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    for table in TABLES {
        let path = folder.join(format!("{}.parquet", table.name));
        let file = File::create(&path).with_context(|| format!("writing {}", path.display()))?;
        let schema = Arc::new(parse_message_type(&table.schema())?);
        SerializedFileWriter::new(file, schema, Arc::default())?.close()?;
    }
    Ok(())
}
