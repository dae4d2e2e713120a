//! Why a configuration is refused.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

/// Why a configuration is refused. No message ever shows a password, a key or a token.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// A file that was asked for by name is not there.
    #[error(
        "no configuration file {}: give the path of an existing one, or none to use {} where it exists",
        path.display(),
        crate::DEFAULT_PATH
    )]
    Missing {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("the configuration file {} cannot be read: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: std::io::Error,
    },
    /// The file is not YAML, or gives a key twice.
    #[error("the configuration file {} is not valid YAML: {reason}", path.display())]
    NotYaml {
        /// The file.
        path: PathBuf,
        /// The parser's reason, with line and column.
        reason: String,
    },
    /// Unknown keys, wrong types or impossible values: every one that was found.
    #[error("the configuration is refused:{}", list(.0))]
    Refused(Vec<Problem>),
}

/// One thing wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where the value came from: a file, `variable MILLRACE__…` or `the defaults`.
    pub source: String,
    /// The full key, as `producer.rate_per_s`.
    pub key: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.source, self.key, self.message)
    }
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("\n  {problem}")).collect()
}
