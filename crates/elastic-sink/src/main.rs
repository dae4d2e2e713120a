//! The Elasticsearch sink's process.

use std::process::ExitCode;

fn main() -> ExitCode {
    let about = "Writes transactions, aggregates and anomalies to Elasticsearch";
    millrace_service::process::run("elastic-sink", about, millrace_elastic_sink::run)
}
