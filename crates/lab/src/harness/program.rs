//! Which program the services are started from.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

/// The program that carries the services (`PROGRAM service NAME`): this one, or one that acts as it
/// when it is told to by a variable.
#[derive(Debug, Clone)]
pub struct Program {
    /// Its file.
    pub path: PathBuf,
    /// What to set in its environment.
    pub variables: Vec<(String, String)>,
}

impl Program {
    /// This very program.
    ///
    /// # Errors
    /// Its file cannot be found.
    pub fn this() -> Result<Self> {
        Ok(Self {
            path: std::env::current_exe().context("cannot find this program's own file")?,
            variables: Vec::new(),
        })
    }
}
