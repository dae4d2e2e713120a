//! Kafka's own tools, for what librdkafka cannot ask for.

use std::path::PathBuf;
use std::process::Command;

use crate::error::StackError;
use crate::maven;

/// Runs Kafka's tools of the release that the stack has.
#[derive(Debug, Clone)]
pub struct KafkaTools {
    /// The JVM.
    pub(crate) java: PathBuf,
    /// Kafka's jars.
    pub(crate) class_path: String,
}

impl KafkaTools {
    /// Runs a tool, by its class as `org.apache.kafka.tools.AclCommand`, to its end.
    ///
    /// # Errors
    /// It cannot be run, or fails; with the end of what it said.
    pub fn run(&self, class: &str, arguments: &[&str]) -> Result<(), StackError> {
        let mut command = Command::new(&self.java);
        command
            .args(["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .args(["-cp", &self.class_path, class])
            .args(arguments);
        maven::run(command, class)
    }
}
