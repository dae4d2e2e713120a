//! Whether a node serves, asked by the requests that its users make.

use std::time::{Duration, Instant};

use reqwest::Client;
use tokio::net::TcpStream;

use crate::error::StackError;
use crate::metadata;
use crate::node::{KAFKA_NODES, Node};
use crate::options::StackOptions;
use crate::process::ManagedProcess;

/// On a slow machine with everything starting at once; a process that ends is noticed at once, not
/// after this time.
const START_TIMEOUT: Duration = Duration::from_secs(180);
const BETWEEN_TRIES: Duration = Duration::from_millis(100);

/// Waits until `node` serves. Returns how long that took.
pub(crate) async fn wait(
    options: &StackOptions,
    http: &Client,
    node: Node,
    process: &mut ManagedProcess,
) -> Result<Duration, StackError> {
    wait_for(process, || ask(options, http, node)).await
}

/// Waits until `ask` says that a process serves. Returns how long that took.
pub(crate) async fn wait_for<A: Future<Output = Result<(), String>>>(
    process: &mut ManagedProcess,
    ask: impl Fn() -> A,
) -> Result<Duration, StackError> {
    let started = Instant::now();
    loop {
        if let Some(error) = process.exit_error() {
            return Err(error);
        }
        let last = match ask().await {
            Ok(()) => return Ok(started.elapsed()),
            Err(last) => last,
        };
        if started.elapsed() >= START_TIMEOUT {
            return Err(StackError::NotReady {
                name: process.name().to_owned(),
                waited: START_TIMEOUT,
                last,
                log: process.log().to_owned(),
                tail: process.log_tail(),
            });
        }
        tokio::time::sleep(BETWEEN_TRIES).await;
    }
}

async fn ask(options: &StackOptions, http: &Client, node: Node) -> Result<(), String> {
    let ports = &options.ports;
    match node {
        Node::Controller(number) => {
            let port = ports.controllers[usize::from(number) - 1];
            TcpStream::connect(("127.0.0.1", port))
                .await
                .map(drop)
                .map_err(|error| error.to_string())
        }
        Node::Broker(number) => {
            let live = metadata::live_brokers(ports.brokers[usize::from(number) - 1]).await?;
            if live.contains(&i32::from(number)) {
                Ok(())
            } else {
                Err(format!("live brokers: {live:?}"))
            }
        }
        Node::Registry => get(http, &format!("{}/subjects", options.registry_url())).await,
        Node::Elasticsearch => {
            let url = options.elasticsearch_url();
            get(
                http,
                &format!("{url}/_cluster/health?wait_for_status=yellow&timeout=1s"),
            )
            .await
        }
        Node::Prometheus => get(http, &format!("http://127.0.0.1:{}/-/ready", ports.prometheus)).await,
    }
}

/// Waits until every broker knows that all are live: only then can a topic have its replicas.
pub(crate) async fn wait_for_all_brokers(options: &StackOptions) -> Result<(), StackError> {
    let deadline = Instant::now() + START_TIMEOUT;
    for port in options.ports.brokers {
        loop {
            let live = metadata::live_brokers(port).await.unwrap_or_default();
            if live.len() == usize::from(KAFKA_NODES) {
                break;
            }
            if Instant::now() >= deadline {
                let last = format!("the broker on port {port} knows only brokers {live:?}");
                return Err(StackError::NoCluster {
                    waited: START_TIMEOUT,
                    last,
                });
            }
            tokio::time::sleep(BETWEEN_TRIES).await;
        }
    }
    Ok(())
}

async fn get(http: &Client, url: &str) -> Result<(), String> {
    let answer = http.get(url).send().await.map_err(|error| error.to_string())?;
    if answer.status().is_success() {
        Ok(())
    } else {
        Err(format!("{url}: {}", answer.status()))
    }
}
