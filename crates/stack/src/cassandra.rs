//! One node of Cassandra as a process on loopback, for who needs it beside the stack.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::cache::{self, Entry};
use crate::components::{GUARD, LAYOUT, jars, write};
use crate::error::{StackError, UsedPort};
use crate::jdk::{self, Jdk};
use crate::maven::{self, Maven};
use crate::node::Progress;
use crate::options::Ports;
use crate::owner::listening_process;
use crate::preflight::is_in_use;
use crate::process::{ManagedProcess, ProcessSpec};
use crate::ready;

const VERSION: &str = "5.0.9";
/// Its name: of its folder, log and record.
const NAME: &str = "cassandra";
const POM: &str = include_str!("../java/cassandra.pom.xml");
const CONFIG: &str = include_str!("../config/cassandra.yml");
const LOGBACK: &str = include_str!("../config/logback.xml");
/// The oldest Java it runs on: the guard is compiled for it.
const JAVA: u32 = 11;
/// How long one question may take.
const ASK: Duration = Duration::from_secs(3);
/// It flushes what it has in memory before it ends.
const STOP: Duration = Duration::from_secs(30);

/// What Cassandra reaches into of its Java (its own `jvm17-server.options`).
const EXPORTS: [&str; 6] = [
    "java.base/jdk.internal.misc",
    "java.base/jdk.internal.ref",
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
    "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server",
    "java.sql/java.sql",
];
const OPENS: [&str; 15] = [
    "java.base/java.io",
    "java.base/java.lang",
    "java.base/java.lang.module",
    "java.base/java.lang.reflect",
    "java.base/java.nio",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/jdk.internal.loader",
    "java.base/jdk.internal.math",
    "java.base/jdk.internal.module",
    "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect",
    "java.base/sun.nio.ch",
    "jdk.management/com.sun.management.internal",
];

/// Where and how it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CassandraOptions {
    /// Data, log and pid record, as [`crate::StackOptions::state_dir`].
    pub state_dir: PathBuf,
    /// Where its program is kept.
    pub cache_dir: PathBuf,
    /// The port of its clients.
    pub port: u16,
    /// The port of its own protocol.
    pub storage_port: u16,
    /// Its heap, in MiB.
    pub heap_mib: u32,
    /// As [`crate::StackOptions::are_brief`].
    pub is_brief: bool,
}

impl CassandraOptions {
    /// The default heap and cache; its own protocol on a free port.
    ///
    /// # Errors
    /// No port is free.
    pub fn new(state_dir: impl Into<PathBuf>, port: u16) -> Result<Self, StackError> {
        Ok(Self {
            state_dir: state_dir.into(),
            cache_dir: cache::default_dir(),
            port,
            storage_port: Ports::take(1)?.first().copied().unwrap_or_default(),
            heap_mib: 512,
            is_brief: false,
        })
    }

    fn folder(&self) -> PathBuf {
        self.state_dir.join(NAME)
    }
}

/// A node, which runs or has been killed. Dropped, it is killed.
#[derive(Debug)]
pub struct Cassandra {
    options: CassandraOptions,
    program: PathBuf,
    jdk: Jdk,
    process: Option<ManagedProcess>,
}

impl Cassandra {
    /// Fetches what is missing, starts it, and waits until it serves. Data of an earlier run in the
    /// same folder is taken up again.
    ///
    /// # Errors
    /// There is no JDK that it runs on, no Maven to fetch it with, or it does not get ready.
    pub async fn start(
        mut options: CassandraOptions,
        on_progress: impl Fn(Progress) + Send + 'static,
    ) -> Result<Self, StackError> {
        for path in [&mut options.state_dir, &mut options.cache_dir] {
            *path = std::path::absolute(&*path).map_err(StackError::io("find", path))?;
        }
        let (state_dir, cache_dir) = (options.state_dir.clone(), options.cache_dir.clone());
        let fetched = tokio::task::spawn_blocking(move || {
            let jdk = jdk::for_cassandra()?;
            Ok((program(&cache_dir, &jdk, &on_progress)?, jdk))
        });
        let (program, jdk) = fetched.await.unwrap_or_else(|error| {
            Err(StackError::io("prepare", &state_dir)(std::io::Error::other(
                error,
            )))
        })?;
        let mut cassandra = Self {
            options,
            program,
            jdk,
            process: None,
        };
        cassandra.resume().await?;
        Ok(cassandra)
    }

    /// Starts it again on its old data, where it does not run, and waits until it serves.
    ///
    /// # Errors
    /// It does not get ready.
    pub async fn resume(&mut self) -> Result<(), StackError> {
        if self.process.is_some() {
            return Ok(());
        }
        let port = self.options.port;
        if is_in_use(port) {
            let held_by = listening_process(port);
            let used = vec![UsedPort {
                port,
                wanted_by: NAME.to_owned(),
                held_by,
            }];
            return Err(StackError::PortsInUse { used });
        }
        let mut process = ManagedProcess::spawn(ProcessSpec {
            name: NAME.to_owned(),
            command: self.command()?,
            logs_dir: self.options.state_dir.join("logs"),
            pids_dir: self.options.state_dir.join("pids"),
            stop_order: 10,
            stop_timeout: STOP,
        })?;
        ready::wait_for(&mut process, || serves(port)).await?;
        self.process = Some(process);
        Ok(())
    }

    /// Where its clients find it, as `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.options.port)
    }

    /// Its process id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(ManagedProcess::pid)
    }

    /// The error of its end, if it has ended by itself.
    pub fn exited(&mut self) -> Option<StackError> {
        self.process.as_mut()?.exit_error()
    }

    /// Kills it, as a crash would.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Stops it in good order. The data stays.
    ///
    /// # Errors
    /// A signal is refused.
    pub async fn stop(mut self) -> Result<(), StackError> {
        match self.process.take() {
            Some(mut process) => process.stop().await.map(drop),
            None => Ok(()),
        }
    }

    fn command(&self) -> Result<Command, StackError> {
        let (folder, heap_mib) = (self.options.folder(), self.options.heap_mib);
        let config = write(&folder.join("conf/cassandra.yaml"), &config(&self.options))?;
        let logback = write(&folder.join("conf/logback.xml"), LOGBACK)?;
        let mut command = Command::new(self.jdk.tool("java"));
        command.args([format!("-Xms{heap_mib}m"), format!("-Xmx{heap_mib}m")]);
        command.args(["-XX:MaxDirectMemorySize=256m", "-XX:+UseSerialGC", "-Xss512k"]);
        command.args(["-XX:+ExitOnOutOfMemoryError", "-Djava.awt.headless=true"]);
        if self.options.is_brief {
            command.arg("-XX:TieredStopAtLevel=1");
        }
        command.arg("-Djdk.attach.allowAttachSelf=true");
        for package in EXPORTS {
            command.args(["--add-exports", &format!("{package}=ALL-UNNAMED")]);
        }
        for package in OPENS {
            command.args(["--add-opens", &format!("{package}=ALL-UNNAMED")]);
        }
        command.arg(format!("-Dcassandra.config=file://{}", config.display()));
        command.arg(format!("-Dlogback.configurationFile={}", logback.display()));
        command.arg(format!(
            "-Dcassandra.storagedir={}",
            folder.join("data").display()
        ));
        command.arg(format!("-Dcassandra.logdir={}", folder.join("logs").display()));
        // Alone, it waits for nobody.
        command.args([
            "-Dcassandra-foreground=yes",
            "-Dcassandra.ring_delay_ms=500",
            "-Dcassandra.skip_wait_for_gossip_to_settle=0",
            "-Dcassandra.superuser_setup_delay_ms=0",
        ]);
        command.args(["-cp", &jars(&self.program.join("libs"))]);
        command.args(["Guard", "org.apache.cassandra.service.CassandraDaemon"]);
        command.current_dir(&folder);
        Ok(command)
    }
}

/// Finds the program in the cache, or fetches it. Blocks.
fn program(cache_dir: &Path, jdk: &Jdk, on_progress: &dyn Fn(Progress)) -> Result<PathBuf, StackError> {
    let component = format!("{NAME}-{VERSION}");
    let entry = Entry {
        name: &component,
        recipe: &[LAYOUT, POM, GUARD],
    };
    cache::ensure(cache_dir, &entry, |folder| {
        on_progress(Progress::Fetching {
            component: component.clone(),
        });
        let pom = write(&folder.join("src/pom.xml"), &POM.replace("@VERSION@", VERSION))?;
        let libs = folder.join("libs");
        Maven::find(jdk, &component)?.copy_dependencies(&pom, &libs)?;
        let (guard, classes) = (
            write(&folder.join("src/Guard.java"), GUARD)?,
            folder.join("classes"),
        );
        maven::compile_for(JAVA, jdk, &guard, ".", &classes)?;
        maven::jar(jdk, &libs.join("guard.jar"), &classes)?;
        on_progress(Progress::Fetched {
            component: component.clone(),
        });
        Ok(())
    })
}

fn config(options: &CassandraOptions) -> String {
    let data = options.folder().join("data").display().to_string();
    CONFIG
        .replace("@STORAGE_PORT@", &options.storage_port.to_string())
        .replace("@PORT@", &options.port.to_string())
        // In single quotes YAML takes every letter but that quote, twice.
        .replace("@DATA@", &data.replace('\'', "''"))
}

/// Asks by the first message of its protocol (version 4, OPTIONS) whether it takes clients.
async fn serves(port: u16) -> Result<(), String> {
    const OPTIONS: [u8; 9] = [4, 0, 0, 0, 5, 0, 0, 0, 0];
    const SUPPORTED: u8 = 6;
    let ask = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(&OPTIONS).await?;
        let mut header = [0; 9];
        stream.read_exact(&mut header).await?;
        Ok::<_, std::io::Error>(header[4])
    };
    match tokio::time::timeout(ASK, ask).await {
        Ok(Ok(SUPPORTED)) => Ok(()),
        Ok(Ok(other)) => Err(format!("it answers with message {other}")),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", ASK.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_of_the_configuration_is_filled() {
        let options = CassandraOptions {
            state_dir: PathBuf::from("/it's"),
            cache_dir: PathBuf::from("/cache"),
            port: 9042,
            storage_port: 7000,
            heap_mib: 512,
            is_brief: false,
        };
        let text = config(&options);
        assert!(!text.contains('@'), "{text}");
        for line in [
            "native_transport_port: 9042",
            "storage_port: 7000",
            "commitlog_directory: '/it''s/cassandra/data/commitlog'",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }
}
