//! What can go wrong, each with what to do about it.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use crate::jdk::Jdk;
use crate::node::Node;

/// Why the stack cannot start, or go on.
#[derive(Debug, Error)]
pub enum StackError {
    /// No JDK that is new enough.
    #[error(
        "no JDK {required} was found{}; install one (for instance Temurin {example}) or set JAVA_HOME to it. \
         Looked in JAVA_HOME, on the PATH and in: {}",
        OtherJdks(found),
        Folders(searched)
    )]
    NoJdk {
        /// Which versions would do.
        required: &'static str,
        /// One of them.
        example: u32,
        /// Those that do not.
        found: Vec<Jdk>,
        /// The folders where JDKs usually are.
        searched: Vec<PathBuf>,
    },
    /// No `mvn`.
    #[error(
        "Maven is needed once, to fetch {component}, and there is no `mvn` on the PATH; install Maven 3.6 or later"
    )]
    NoMaven {
        /// What was to be fetched.
        component: String,
    },
    /// A tool failed.
    #[error("{doing} failed ({status}): {output}")]
    Tool {
        /// What was being done.
        doing: String,
        /// How the tool ended.
        status: String,
        /// The end of what it said.
        output: String,
    },
    /// Ports that something else listens on.
    #[error(
        "{}; stop what listens there (if it is a Millrace of yours: `millrace down`), then try again",
        UsedPorts(used)
    )]
    PortsInUse {
        /// Which.
        used: Vec<UsedPort>,
    },
    /// No free ports.
    #[error("fewer than eleven ports between {} and {} are free on 127.0.0.1", range.start, range.end)]
    NoFreePorts {
        /// Where they were looked for.
        range: Range<u16>,
    },
    /// Not enough memory.
    #[error(
        "the local stack needs about {needed_mib} MiB of memory and {available_mib} MiB are available; \
         close other programs, or use a machine with more memory"
    )]
    TooLittleMemory {
        /// What the heaps and the JVMs' own parts come to.
        needed_mib: u64,
        /// What the system says is available.
        available_mib: u64,
    },
    /// Not enough disk.
    #[error("{} has {available_mib} MiB of free disk and at least {needed_mib} MiB are needed; free some space", path.display())]
    TooLittleDisk {
        /// The folder.
        path: PathBuf,
        /// The least.
        needed_mib: u64,
        /// What is free.
        available_mib: u64,
    },
    /// Another process uses the state folder.
    #[error("another Millrace runs with the state folder {}; stop it (`millrace down`) or use another folder", state_dir.display())]
    AlreadyRunning {
        /// The folder.
        state_dir: PathBuf,
    },
    /// A file or process operation failed.
    #[error("cannot {doing} {}: {reason}", path.display())]
    Io {
        /// What was being done, as a verb.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// Why not.
        reason: io::Error,
    },
    /// A process ended by itself.
    #[error("{name} ended by itself ({status}); the end of {}:\n{tail}", log.display())]
    Exited {
        /// Which.
        name: String,
        /// How it ended.
        status: String,
        /// Its log.
        log: PathBuf,
        /// The last lines of the log.
        tail: String,
    },
    /// A process did not get ready.
    #[error("{name} did not answer within {} s ({last}); the end of {}:\n{tail}", waited.as_secs(), log.display())]
    NotReady {
        /// Which.
        name: String,
        /// How long it was waited for.
        waited: Duration,
        /// What the last try said.
        last: String,
        /// Its log.
        log: PathBuf,
        /// The last lines of the log.
        tail: String,
    },
    /// A fault was asked for on a process that does not run.
    #[error("{node} does not run")]
    NotRunning {
        /// Which.
        node: Node,
    },
    /// A start was asked for of a process that runs.
    #[error("{node} runs already")]
    Running {
        /// Which.
        node: Node,
    },
    /// The HTTP client cannot be made.
    #[error("cannot make an HTTP client: {0}")]
    Http(String),
    /// The brokers run but do not form a cluster.
    #[error("the brokers did not form a cluster within {} s: {last}", waited.as_secs())]
    NoCluster {
        /// How long it was waited for.
        waited: Duration,
        /// What the last try said.
        last: String,
    },
    /// A signal could not be sent.
    #[error("cannot signal {name} (process {pid}): {reason}")]
    Signal {
        /// Which.
        name: String,
        /// Its process id.
        pid: u32,
        /// Why not.
        reason: nix::Error,
    },
}

impl StackError {
    /// An I/O failure while `doing` something to `path`.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |reason| Self::Io { doing, path, reason }
    }
}

/// A port that is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedPort {
    /// The port.
    pub port: u16,
    /// What it was wanted for.
    pub wanted_by: String,
    /// The process that listens there, where it can be told.
    pub held_by: Option<String>,
}

struct UsedPorts<'a>(&'a [UsedPort]);

impl fmt::Display for UsedPorts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, used) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(
                f,
                "{separator}port {} (for {}) is in use",
                used.port, used.wanted_by
            )?;
            if let Some(holder) = &used.held_by {
                write!(f, " by {holder}")?;
            }
        }
        Ok(())
    }
}

struct OtherJdks<'a>(&'a [Jdk]);

impl fmt::Display for OtherJdks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, jdk) in self.0.iter().enumerate() {
            let before = if index == 0 { ", only " } else { ", " };
            write!(f, "{before}{} in {}", jdk.version, jdk.home.display())?;
        }
        Ok(())
    }
}

struct Folders<'a>(&'a [PathBuf]);

impl fmt::Display for Folders<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, folder) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{}", folder.display())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_names_port_service_process_and_remedy() {
        let error = StackError::PortsInUse {
            used: vec![UsedPort {
                port: 9200,
                wanted_by: "elasticsearch".to_owned(),
                held_by: Some("java (process 12)".to_owned()),
            }],
        };
        assert_eq!(
            error.to_string(),
            "port 9200 (for elasticsearch) is in use by java (process 12); stop what listens there (if it is a \
             Millrace of yours: `millrace down`), then try again"
        );
    }

    #[test]
    fn no_jdk_names_those_that_are_too_old() {
        let error = StackError::NoJdk {
            required: "21 or later",
            example: 25,
            found: vec![Jdk {
                version: 17,
                home: PathBuf::from("/opt/jdk-17"),
            }],
            searched: vec![PathBuf::from("/usr/lib/jvm"), PathBuf::from("/opt")],
        };
        let text = error.to_string();
        assert!(
            text.starts_with("no JDK 21 or later was found, only 17 in /opt/jdk-17; install one"),
            "{text}"
        );
        assert!(text.ends_with("in: /usr/lib/jvm, /opt"), "{text}");
    }
}
