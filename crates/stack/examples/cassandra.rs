//! Cassandra alone: `cargo run -p millrace-stack --example cassandra -- FOLDER [PORT]`.
//!
//! It runs on port 9042, or that one, until Ctrl-C, with its state in FOLDER. For working on the
//! sink, and for its tests.

use millrace_stack::{Cassandra, CassandraOptions};

#[tokio::main]
#[allow(clippy::print_stderr, reason = "what the developer is told")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments
        .next()
        .ok_or("a folder for the server's state is to be named")?;
    let port = arguments.next().map_or(Ok(9042), |port| port.parse())?;
    let options = CassandraOptions::new(folder, port)?;
    let cassandra = Cassandra::start(options, |progress| eprintln!("{progress:?}")).await?;
    let pid = cassandra.pid().unwrap_or_default();
    eprintln!(
        "Cassandra {}, process {pid}; Ctrl-C stops it",
        cassandra.address()
    );
    tokio::signal::ctrl_c().await?;
    cassandra.stop().await?;
    Ok(())
}
