//! The command of each node.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::components::{Components, jars, write};
use crate::error::StackError;
use crate::jdk::Jdk;
use crate::maven;
use crate::node::Node;
use crate::options::StackOptions;
use crate::process::{ManagedProcess, ProcessSpec};
use crate::server_files;
use crate::tools::KafkaTools;

/// A name for the cluster that is the same at every start: "millrace-local-1" in base 64.
const CLUSTER_ID: &str = "bWlsbHJhY2UtbG9jYWwtMQ";
/// What a JVM takes that does little, or not for long.
const BRIEF: [&str; 2] = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];

/// The archive of a whole server has tens of megabytes.
const MIN_ARCHIVE_BYTES: u64 = 10_000_000;

/// Everything that a node's command is made of.
#[derive(Debug, Clone)]
pub(crate) struct Launcher {
    pub(crate) options: StackOptions,
    pub(crate) jdk: Jdk,
    pub(crate) components: Components,
    /// The program, where Prometheus is wanted and there.
    pub(crate) prometheus: Option<PathBuf>,
}

impl Launcher {
    /// Writes every configuration file and formats what is not formatted: one JVM for all six, as
    /// each takes a second.
    pub(crate) fn prepare(&self) -> Result<(), StackError> {
        write(&server_files::log4j_path(&self.options), server_files::LOG4J)?;
        let mut unformatted = Vec::new();
        for node in Node::controllers().chain(Node::brokers()) {
            let config = server_files::write_kafka(&self.options, node)?;
            if !server_files::kafka_data(&self.options, node)
                .join("meta.properties")
                .exists()
            {
                unformatted.push(config);
            }
        }
        if unformatted.is_empty() {
            return Ok(());
        }
        let mut command = Command::new(self.jdk.tool("java"));
        command.args(["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
        let kafka = &self.components.kafka;
        let class_path = format!(
            "{}:{}",
            kafka.join("classes").display(),
            jars(&kafka.join("libs"))
        );
        command
            .args(["-cp", &class_path, "Format", CLUSTER_ID])
            .args(unformatted);
        if let Some(secure) = &self.options.secure {
            // Not as arguments, which every user of the machine can read.
            command.env("SCRAM_USERS", server_files::scram_users(secure).join("\n"));
        }
        maven::run(command, "formatting the Kafka nodes' storage")
    }

    /// Starts `node`.
    pub(crate) fn spawn(&self, node: Node) -> Result<ManagedProcess, StackError> {
        let command = match node {
            Node::Controller(_) | Node::Broker(_) => self.kafka(node)?,
            Node::Registry => self.registry(),
            Node::Elasticsearch => self.elasticsearch()?,
            Node::Prometheus => self.prometheus_server()?,
        };
        ManagedProcess::spawn(ProcessSpec {
            name: node.name(),
            command,
            logs_dir: self.options.logs_dir(),
            pids_dir: self.options.pids_dir(),
            stop_order: match node {
                Node::Registry | Node::Elasticsearch | Node::Prometheus => 10,
                Node::Broker(_) => 20,
                Node::Controller(_) => 30,
            },
            stop_timeout: node.stop_timeout(),
        })
    }

    /// What runs Kafka's own tools.
    pub(crate) fn kafka_tools(&self) -> KafkaTools {
        KafkaTools {
            java: self.jdk.tool("java"),
            class_path: jars(&self.components.kafka.join("libs")),
        }
    }

    /// `java` with what all JVMs of the stack have in common.
    fn java(&self, heap_mib: u32) -> Command {
        let mut command = Command::new(self.jdk.tool("java"));
        command.arg(format!("-Xmx{heap_mib}m")).args([
            "-XX:+ExitOnOutOfMemoryError",
            "-Djava.awt.headless=true",
            "-Dlog4j2.disable.jmx=true",
        ]);
        command
    }

    /// The options that start a JVM from an archive of loaded classes (application class data
    /// sharing), which halves the work of a start. `writes`: the JVM makes the archive when it
    /// ends, if there is none that fits; one node of each kind does, so that no two write at once.
    /// It is kept with the program it is of, and goes with it.
    fn class_archive(&self, program: &Path, name: &str, writes: bool) -> Result<Vec<String>, StackError> {
        let folder = program.join("class-archives");
        fs::create_dir_all(&folder).map_err(StackError::io("make", &folder))?;
        let archive = folder.join(format!("{name}-jdk{}.jsa", self.jdk.version));
        // A server that failed at its start has archived the few classes it had loaded: that one is
        // made anew.
        if writes && fs::metadata(&archive).is_ok_and(|found| found.len() < MIN_ARCHIVE_BYTES) {
            fs::remove_file(&archive).map_err(StackError::io("remove", &archive))?;
        }
        // What cannot be archived, or does not fit, is no matter for the server's log.
        let mut options = vec!["-Xlog:cds=off".to_owned(), "-Xlog:cds+dynamic=off".to_owned()];
        if writes {
            options.push("-XX:+AutoCreateSharedArchive".to_owned());
        }
        if writes || archive.is_file() {
            options.push(format!("-XX:SharedArchiveFile={}", archive.display()));
        }
        Ok(options)
    }

    /// The guard's jar and `jars`.
    fn guarded(&self, jars: &str) -> String {
        format!("{}:{jars}", self.components.guard.display())
    }

    fn kafka(&self, node: Node) -> Result<Command, StackError> {
        let config = server_files::write_kafka(&self.options, node)?;
        let (heaps, kafka) = (&self.options.heaps, &self.components.kafka);
        let mut command = if let Node::Broker(number) = node {
            let mut java = self.java(heaps.broker_mib);
            if self.options.are_brief {
                java.args(BRIEF);
            } else {
                java.args([
                    "-XX:+UseG1GC",
                    "-XX:MaxGCPauseMillis=20",
                    "-XX:InitiatingHeapOccupancyPercent=35",
                ]);
            }
            java.args(self.class_archive(kafka, "broker", number == 1)?);
            if let Some(secure) = &self.options.secure {
                java.args(server_files::token_options(secure));
            }
            java
        } else {
            let mut java = self.java(heaps.controller_mib);
            java.args(BRIEF);
            java.args(self.class_archive(kafka, "controller", node == Node::Controller(1))?);
            java
        };
        let log4j = server_files::log4j_path(&self.options);
        command.arg(format!("-Dlog4j2.configurationFile={}", log4j.display()));
        let class_path = self.guarded(&jars(&kafka.join("libs")));
        command
            .args(["-cp", &class_path, "Guard", "kafka.Kafka"])
            .arg(config);
        Ok(command)
    }

    fn registry(&self) -> Command {
        let mut command = self.java(self.options.heaps.registry_mib);
        let class_path = self.guarded(
            &self
                .components
                .registry
                .join("quarkus-run.jar")
                .display()
                .to_string(),
        );
        command.args(BRIEF).args(["-cp", &class_path]);
        command.args(["Guard", "io.quarkus.bootstrap.runner.QuarkusEntryPoint"]);
        let ports = &self.options.ports;
        command.current_dir(&self.components.registry).envs([
            ("QUARKUS_HTTP_HOST", "127.0.0.1".to_owned()),
            ("QUARKUS_HTTP_PORT", ports.registry.to_string()),
            ("QUARKUS_MANAGEMENT_HOST", "127.0.0.1".to_owned()),
            ("QUARKUS_MANAGEMENT_PORT", ports.registry_management.to_string()),
            ("APICURIO_STORAGE_KIND", "kafkasql".to_owned()),
            (
                "APICURIO_KAFKASQL_BOOTSTRAP_SERVERS",
                self.options.bootstrap_servers(),
            ),
            // A start waits this long, twice, for a snapshot topic that is empty; the default is 5
            // s.
            ("APICURIO_KAFKASQL_CONSUMER_POLL_TIMEOUT", "500".to_owned()),
        ]);
        command
    }

    fn elasticsearch(&self) -> Result<Command, StackError> {
        let config = server_files::write_elasticsearch(&self.options)?;
        let home = &self.components.elasticsearch;
        let native = server_files::folder(&self.options, Node::Elasticsearch).join("native");
        link_zstd(&native)?;
        let heap_mib = self.options.heaps.elasticsearch_mib;
        let mut command = self.java(heap_mib);
        command.args([&format!("-Xms{heap_mib}m"), "--add-modules=jdk.incubator.vector"]);
        if self.options.are_brief {
            command.arg("-XX:TieredStopAtLevel=1");
        }
        command.args([
            "--enable-native-access=ALL-UNNAMED",
            "-Des.distribution.type=docker",
            "-Dio.netty.noUnsafe=true",
        ]);
        // Its library is not published; without this, its absence turns off the others
        // (compression) too.
        command.arg("-Dorg.elasticsearch.nativeaccess.enableVectorLibrary=false");
        command.args([
            "-Dlog4j.shutdownHookEnabled=false",
            "--add-opens=java.base/java.io=ALL-UNNAMED",
        ]);
        command.arg("--add-opens=java.base/java.nio=ALL-UNNAMED");
        command.arg(format!("-Des.path.home={}", home.display()));
        command.arg(format!("-Des.path.conf={}", config.display()));
        command.arg(format!("-Des.nativelibs.path={}", native.display()));
        command.args(self.class_archive(home, "elasticsearch", true)?);
        let class_path = self.guarded(&jars(&home.join("libs")));
        command
            .args(["-cp", &class_path, "Guard", "ElasticNode"])
            .arg(home)
            .arg(config);
        Ok(command)
    }

    fn prometheus_server(&self) -> Result<Command, StackError> {
        let not_running = StackError::NotRunning {
            node: Node::Prometheus,
        };
        let (Some(program), Some(wanted)) = (&self.prometheus, &self.options.prometheus) else {
            return Err(not_running);
        };
        let config = server_files::write_prometheus(&self.options, wanted)?;
        let data = server_files::folder(&self.options, Node::Prometheus).join("data");
        let mut command = Command::new(program);
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.tsdb.path={}", data.display()));
        command.arg(format!(
            "--web.listen-address=127.0.0.1:{}",
            self.options.ports.prometheus
        ));
        Ok(command)
    }
}

/// Puts a link to the system's libzstd where Elasticsearch looks for it.
fn link_zstd(native: &Path) -> Result<(), StackError> {
    fs::create_dir_all(native).map_err(StackError::io("make", native))?;
    let name = if cfg!(target_os = "macos") {
        "libzstd.dylib"
    } else {
        "libzstd.so"
    };
    let link = native.join(name);
    let _ = fs::remove_file(&link);
    if let Some(library) = find_zstd() {
        symlink(&library, &link).map_err(StackError::io("link", &link))?;
    }
    Ok(())
}

fn find_zstd() -> Option<PathBuf> {
    let triple = format!("{}-linux-gnu", std::env::consts::ARCH);
    let folders = [
        format!("/usr/lib/{triple}"),
        format!("/lib/{triple}"),
        "/usr/lib64".to_owned(),
        "/usr/lib".to_owned(),
        "/opt/homebrew/lib".to_owned(),
        "/usr/local/lib".to_owned(),
    ];
    let names = ["libzstd.so.1", "libzstd.so", "libzstd.1.dylib", "libzstd.dylib"];
    folders
        .iter()
        .flat_map(|folder| names.iter().map(move |name| Path::new(folder).join(name)))
        .find(|path| path.exists())
}
