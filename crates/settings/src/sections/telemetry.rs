//! Logs and the metrics endpoint.

use serde::{Deserialize, Serialize};

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For a person at a terminal.
    Text,
}

/// Logs and the metrics endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    /// Filter directives, as `info,millrace_kafka=debug`.
    pub log_level: String,
    /// JSON or text.
    pub log_format: LogFormat,
    /// Address that `/metrics` and `/health/*` bind; each service has its own port.
    pub bind_host: String,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            log_level: "info".to_owned(),
            log_format: LogFormat::Json,
            bind_host: "127.0.0.1".to_owned(),
        }
    }
}
