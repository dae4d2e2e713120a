//! The reject file: every row that is no transaction, with where it was and why.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::ser::{SerializeMap, Serializer};
use tracing::warn;

use super::input::is_standard_input;
use super::raw::Raw;

/// After so many, rejects are written and counted but no longer logged.
const MAX_LOGGED: u64 = 20;

/// Writes one JSON object for each rejected row.
#[derive(Debug)]
pub(super) struct Rejects {
    path: PathBuf,
    writer: BufWriter<File>,
    count: u64,
}

impl Rejects {
    /// Starts the file anew. Without a `path` it is named for the first input, in the working
    /// directory.
    pub(super) fn create(path: Option<&Path>, input: &Path) -> anyhow::Result<Self> {
        let path = path.map_or_else(
            || {
                let name = match input.file_name() {
                    Some(name) if !is_standard_input(input) => name.to_string_lossy(),
                    _ => "stdin".into(),
                };
                PathBuf::from(format!("{name}.rejects.ndjson"))
            },
            Path::to_owned,
        );
        let file = File::create(&path).with_context(|| {
            format!(
                "the reject file {} cannot be written; give another with --rejects",
                path.display()
            )
        })?;
        Ok(Self {
            path,
            writer: BufWriter::new(file),
            count: 0,
        })
    }

    pub(super) fn add(
        &mut self,
        input: &Path,
        (unit, number): (&'static str, u64),
        reason: &str,
        record: &Raw,
    ) -> anyhow::Result<()> {
        self.count += 1;
        let file = input.display().to_string();
        if self.count <= MAX_LOGGED {
            warn!(file, "{unit} {number} is rejected: {reason}");
        }
        if self.count == MAX_LOGGED {
            warn!(
                file,
                "further rejects are written to {} only",
                self.path.display()
            );
        }
        self.write(&file, (unit, number), reason, record)
            .with_context(|| format!("the reject file {} cannot be written", self.path.display()))
    }

    fn write(
        &mut self,
        file: &str,
        (unit, number): (&'static str, u64),
        reason: &str,
        record: &Raw,
    ) -> anyhow::Result<()> {
        let mut serializer = serde_json::Serializer::new(&mut self.writer);
        let mut line = serializer.serialize_map(None)?;
        line.serialize_entry("file", file)?;
        line.serialize_entry(unit, &number)?;
        line.serialize_entry("reason", reason)?;
        line.serialize_entry("record", record)?;
        line.end()?;
        self.writer.write_all(b"\n")?;
        Ok(self.writer.flush()?)
    }
}

impl Drop for Rejects {
    /// An empty file tells nothing.
    fn drop(&mut self) {
        if self.count == 0 {
            let _ = fs::remove_file(&self.path);
        }
    }
}
