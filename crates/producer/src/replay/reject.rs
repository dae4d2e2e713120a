//! The reject file: every row that is no transaction, with where it was and why.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::json;
use tracing::warn;

/// After so many, rejects are written and counted but no longer logged.
const MAX_LOGGED: u64 = 20;

/// Writes one JSON object for each rejected row.
#[derive(Debug)]
pub(super) struct Rejects {
    path: PathBuf,
    input: String,
    writer: BufWriter<File>,
    count: u64,
}

impl Rejects {
    /// Starts the file anew. Without a `path` it is named for the input, in the working directory.
    pub(super) fn create(path: Option<&Path>, input: &Path) -> anyhow::Result<Self> {
        let path = path.map_or_else(
            || {
                let name = input.file_name().unwrap_or_default().to_string_lossy();
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
            input: input.display().to_string(),
            writer: BufWriter::new(file),
            count: 0,
        })
    }

    pub(super) fn add(
        &mut self,
        (unit, number): (&'static str, u64),
        reason: &str,
        record: &serde_json::Value,
    ) -> anyhow::Result<()> {
        self.count += 1;
        if self.count <= MAX_LOGGED {
            warn!(file = self.input, "{unit} {number} is rejected: {reason}");
        }
        if self.count == MAX_LOGGED {
            warn!(
                file = self.input,
                "further rejects are written to {} only",
                self.path.display()
            );
        }
        let line = json!({"file": self.input, unit: number, "reason": reason, "record": record});
        writeln!(self.writer, "{line}")
            .and_then(|()| self.writer.flush())
            .with_context(|| format!("the reject file {} cannot be written", self.path.display()))
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
