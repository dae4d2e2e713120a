//! The local stack alone, without any service of Millrace:
//! `cargo run -p millrace-stack --example stack -- FOLDER`.
//!
//! It runs on the documented ports until Ctrl-C, with its state in FOLDER. For working on a
//! service, or for tests with `MILLRACE_TEST_STACK=running`, which then need not start a stack each
//! time.

use millrace_stack::{LocalStack, Ports, StackOptions};

#[tokio::main]
#[allow(clippy::print_stderr, reason = "what the developer is told")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args()
        .nth(1)
        .ok_or("a folder for the stack's state is to be named")?;
    let options = StackOptions {
        ports: Ports::default(),
        ..StackOptions::new(folder)
    };
    let stack = LocalStack::start(options, |progress| eprintln!("{progress:?}")).await?;
    eprintln!(
        "Kafka {}, registry {}, Elasticsearch {}; Ctrl-C stops them",
        stack.bootstrap_servers(),
        stack.registry_url(),
        stack.elasticsearch_url()
    );
    tokio::signal::ctrl_c().await?;
    stack.stop().await?;
    Ok(())
}
