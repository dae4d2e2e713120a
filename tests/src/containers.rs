//! The stack in containers: three controllers, three brokers, registry and Elasticsearch, on free
//! loopback ports.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use futures::FutureExt as _;
use futures::future::{BoxFuture, try_join_all};
use millrace_lab::chaos::Cluster;
use millrace_lab::chaos::cluster::nodes;
use millrace_stack::{Node, Ports, quorum};

mod run;

use self::run::{Container, Network, Request, docker};
use crate::ready;

/// How long one container may take to start on a busy machine.
const STARTUP_LIMIT: Duration = Duration::from_secs(180);
const NODES: u16 = 3;
/// Node ids of the brokers start here; those of the controllers at 1.
const BROKER_IDS: u16 = 10;
/// Where the image keeps a node's data.
const KAFKA_DATA: &str = "/tmp/kraft-combined-logs";

/// The running containers; dropping them removes them.
pub struct Containers {
    nodes: BTreeMap<Node, Container>,
    /// Dropped after the containers, as one that is in use cannot be removed.
    _network: Network,
    /// Brokers as the clients on this machine reach them.
    pub bootstrap_servers: String,
    /// The registry's Confluent API.
    pub registry_url: String,
    /// Elasticsearch.
    pub elasticsearch_url: String,
}

/// Whether a Docker engine answers.
#[must_use]
pub fn engine_answers() -> bool {
    Command::new("docker")
        .args(["version", "--format", "{{.Server.Version}}"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

impl Containers {
    /// Starts everything and waits until it serves.
    ///
    /// # Errors
    /// An image that cannot be had, or a container that does not start; the message names it.
    pub async fn start() -> Result<Self> {
        let run = format!("millrace-test-{}", std::process::id());
        let ports = Ports::free()?;
        let network = Network::create(&run).await?;
        let number = |node: Node| match node {
            Node::Controller(number) | Node::Broker(number) => u16::from(number),
            _ => 0,
        };
        let controllers = Node::controllers().map(|node| (node, kafka_controller(&run, number(node))));
        let brokers = Node::brokers()
            .zip(ports.brokers)
            .map(|(node, port)| (node, kafka_broker(&run, number(node), port)));
        let mut requests: Vec<_> = controllers.chain(brokers).collect();
        requests.push((Node::Elasticsearch, elasticsearch(&run, ports.elasticsearch)));
        let starting = requests
            .into_iter()
            .map(|(node, request)| async move { anyhow::Ok((node, start(request).await?)) });
        let mut nodes: BTreeMap<_, _> = try_join_all(starting).await?.into_iter().collect();
        let bootstrap_servers = ports.brokers.map(|port| format!("127.0.0.1:{port}")).join(",");
        ready::brokers(&bootstrap_servers, usize::from(NODES), STARTUP_LIMIT).await?;
        nodes.insert(Node::Registry, start(registry(&run, ports.registry)).await?);
        let containers = Self {
            nodes,
            _network: network,
            bootstrap_servers,
            registry_url: format!("http://127.0.0.1:{}/apis/ccompat/v7", ports.registry),
            elasticsearch_url: format!("http://127.0.0.1:{}", ports.elasticsearch),
        };
        containers.serves(Node::Registry).await?;
        containers.serves(Node::Elasticsearch).await?;
        Ok(containers)
    }

    /// Waits until a node answers its users' requests.
    async fn serves(&self, node: Node) -> Result<()> {
        match node {
            Node::Registry => ready::answers(&format!("{}/subjects", self.registry_url), STARTUP_LIMIT).await,
            Node::Elasticsearch => {
                let url = format!("{}/_cluster/health", self.elasticsearch_url);
                ready::answers(&url, STARTUP_LIMIT).await
            }
            Node::Broker(number) => {
                let server = self.bootstrap_servers.split(',').nth(usize::from(number) - 1);
                ready::broker(
                    server.unwrap_or_default(),
                    i32::from(BROKER_IDS + u16::from(number)),
                    STARTUP_LIMIT,
                )
                .await
            }
            Node::Controller(_) | Node::Prometheus => Ok(()),
        }
    }

    /// Runs `docker ARGUMENTS… CONTAINER THEN…` for a node; returns what it printed.
    async fn docker(&self, arguments: &[&str], node: Node, then: &[&str]) -> Result<String> {
        let container = self
            .nodes
            .get(&node)
            .with_context(|| format!("no container for {node}"))?;
        docker(&[arguments, &[container.name()], then].concat()).await
    }

    /// Removes every container: clients before brokers, brokers before controllers.
    pub async fn stop(mut self) {
        let removed = tokio::task::spawn_blocking(move || while self.nodes.pop_last().is_some() {});
        if let Err(error) = removed.await {
            eprintln!("the containers were not removed: {error}");
        }
    }
}

impl Cluster for Containers {
    fn kill(&self, node: Node) -> BoxFuture<'_, Result<()>> {
        self.docker(&["kill"], node, &[])
            .map(|done| done.map(drop))
            .boxed()
    }

    fn stop(&self, node: Node) -> BoxFuture<'_, Result<()>> {
        self.docker(&["stop", "--time", "25"], node, &[])
            .map(|done| done.map(drop))
            .boxed()
    }

    fn start(&self, node: Node) -> BoxFuture<'_, Result<()>> {
        async move {
            self.docker(&["start"], node, &[]).await?;
            self.serves(node).await
        }
        .boxed()
    }

    fn mend(&self) -> BoxFuture<'_, Result<()>> {
        async move {
            // To start a container that runs changes nothing.
            for node in nodes() {
                self.start(node).await?;
            }
            Ok(())
        }
        .boxed()
    }

    fn active_controller(&self) -> BoxFuture<'_, Result<Option<Node>>> {
        async move {
            let path = format!("{KAFKA_DATA}/{}", quorum::STATE_FILE);
            let mut files = Vec::new();
            for node in Node::controllers() {
                // One that was killed cannot say.
                files.extend(self.docker(&["exec"], node, &["cat", &path]).await.ok());
            }
            let leader = quorum::leader(&files);
            Ok(leader.and_then(|id| Some(Node::Controller(u8::try_from(id).ok()?))))
        }
        .boxed()
    }
}

/// Cassandra alone, for a test of its own.
pub struct CassandraContainer {
    container: Container,
    /// Dropped after the container.
    _network: Network,
}

impl CassandraContainer {
    /// Starts it, with its clients' port published as `port`. It need not serve yet.
    ///
    /// # Errors
    /// Its image cannot be had.
    pub async fn start(port: u16) -> Result<Self> {
        let run = format!("millrace-test-{}-{port}", std::process::id());
        let network = Network::create(&run).await?;
        let request = Request::new(&run, "cassandra", "cassandra:5.0.9").variable("MAX_HEAP_SIZE", "512M");
        Ok(Self {
            container: start(request.port(port, 9042)).await?,
            _network: network,
        })
    }

    /// Kills it, as a crash would.
    ///
    /// # Errors
    /// The engine refuses.
    pub async fn kill(&self) -> Result<()> {
        docker(&["kill", self.container.name()]).await.map(drop)
    }

    /// Starts it again. It need not serve yet.
    ///
    /// # Errors
    /// The engine refuses.
    pub async fn resume(&self) -> Result<()> {
        docker(&["start", self.container.name()]).await.map(drop)
    }
}

async fn start(request: Request) -> Result<Container> {
    let name = request.name().to_owned();
    let started = tokio::time::timeout(STARTUP_LIMIT, request.start()).await;
    let started = started.with_context(|| format!("the engine did not start {name} in time"))?;
    started.with_context(|| {
        format!(
            "starting {name}; without its image, MILLRACE_TEST_STACK=local runs the tests on local processes"
        )
    })
}

fn kafka_node(run: &str, name: &str, id: u16) -> Request {
    let voters = (1..=NODES)
        .map(|number| format!("{number}@{run}-controller-{number}:9093"))
        .collect::<Vec<_>>()
        .join(",");
    Request::new(run, name, "apache/kafka:4.3.1")
        .variable("CLUSTER_ID", "bWlsbHJhY2UtdGVzdC0wMQ")
        .variable("KAFKA_NODE_ID", id)
        .variable("KAFKA_CONTROLLER_QUORUM_VOTERS", voters)
        .variable("KAFKA_CONTROLLER_LISTENER_NAMES", "CONTROLLER")
        .variable(
            "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP",
            "CONTROLLER:PLAINTEXT,INTERNAL:PLAINTEXT,HOST:PLAINTEXT",
        )
        .variable("KAFKA_LOG_DIRS", KAFKA_DATA)
        .variable("KAFKA_HEAP_OPTS", "-Xmx320m -Xms128m")
        .command(["sh".to_owned(), "-c".to_owned(), again_or_at_first()])
}

/// The image's own script formats the storage, and fails where a node that was killed is started
/// again: then the server starts with the settings that its first life has made.
fn again_or_at_first() -> String {
    format!(
        "test -e {KAFKA_DATA}/meta.properties && \
         exec /opt/kafka/bin/kafka-server-start.sh /opt/kafka/config/server.properties; exec /etc/kafka/docker/run"
    )
}

fn kafka_controller(run: &str, number: u16) -> Request {
    kafka_node(run, &format!("controller-{number}"), number)
        .variable("KAFKA_PROCESS_ROLES", "controller")
        .variable("KAFKA_LISTENERS", "CONTROLLER://:9093")
}

fn kafka_broker(run: &str, number: u16, host_port: u16) -> Request {
    let name = format!("broker-{number}");
    let advertised = format!("INTERNAL://{run}-{name}:9092,HOST://127.0.0.1:{host_port}");
    let broker = kafka_node(run, &name, BROKER_IDS + number)
        .variable("KAFKA_PROCESS_ROLES", "broker")
        .variable("KAFKA_LISTENERS", "INTERNAL://:9092,HOST://:19092")
        .variable("KAFKA_ADVERTISED_LISTENERS", advertised)
        .variable("KAFKA_INTER_BROKER_LISTENER_NAME", "INTERNAL")
        .variable("KAFKA_AUTO_CREATE_TOPICS_ENABLE", "false")
        .variable("KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS", "0")
        .variable("KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR", "3")
        .variable("KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS", "6")
        .variable("KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR", "3")
        .variable("KAFKA_TRANSACTION_STATE_LOG_MIN_ISR", "2")
        .variable("KAFKA_TRANSACTION_STATE_LOG_NUM_PARTITIONS", "6");
    broker.port(host_port, 19092)
}

fn registry(run: &str, host_port: u16) -> Request {
    let registry = Request::new(run, "registry", "apicurio/apicurio-registry:3.3.3")
        .variable("APICURIO_STORAGE_KIND", "kafkasql")
        .variable(
            "APICURIO_KAFKASQL_BOOTSTRAP_SERVERS",
            format!("{run}-broker-1:9092"),
        )
        .variable("JAVA_OPTS", "-Xmx320m");
    registry.port(host_port, 8080)
}

fn elasticsearch(run: &str, host_port: u16) -> Request {
    let elasticsearch = Request::new(run, "elasticsearch", "elasticsearch:9.5.3")
        .variable("xpack.security.enabled", "false")
        .file(
            concat!(env!("CARGO_MANIFEST_DIR"), "/../docker/elasticsearch.yml"),
            "/usr/share/elasticsearch/config/elasticsearch.yml",
        )
        .variable("ES_JAVA_OPTS", "-Xms512m -Xmx512m");
    elasticsearch.port(host_port, 9200)
}
