//! The servers' configuration files, written anew at every start.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::components::write;
use crate::error::StackError;
use crate::node::Node;
use crate::options::{Ports, PrometheusOptions, SecureListener, StackOptions};

pub(crate) const LOG4J: &str = include_str!("../config/log4j2.properties");
const BROKER: &str = include_str!("../config/broker.properties");
const CONTROLLER: &str = include_str!("../config/controller.properties");
const SECURE: &str = include_str!("../config/secure.properties");
const AUTHORIZER: &str = include_str!("../config/authorizer.properties");
const ELASTICSEARCH: &str = include_str!("../config/elasticsearch.yml");

/// Node ids of the controllers start here, those of the brokers at 1.
pub(crate) const CONTROLLER_IDS: u16 = 100;

/// Folder of a node's configuration and data.
pub(crate) fn folder(options: &StackOptions, node: Node) -> PathBuf {
    options.state_dir.join(node.name())
}

/// Where a Kafka node keeps its data.
pub(crate) fn kafka_data(options: &StackOptions, node: Node) -> PathBuf {
    folder(options, node).join("data")
}

/// The logging configuration that all JVMs share.
pub(crate) fn log4j_path(options: &StackOptions) -> PathBuf {
    options.state_dir.join("log4j2.properties")
}

/// Writes the properties of a controller or broker and returns their path.
pub(crate) fn write_kafka(options: &StackOptions, node: Node) -> Result<PathBuf, StackError> {
    let mut text = kafka_properties(&options.ports, node, &kafka_data(options, node));
    if let (Node::Broker(number), Some(secure)) = (node, &options.secure) {
        let port = options.ports.secure_brokers[usize::from(number) - 1];
        text = with_secure_listener(&text, secure, port);
    }
    // Users are told apart by the listener that they log in to. Rights are the controllers'.
    if options.secure.is_some() {
        text.push_str(AUTHORIZER);
    }
    write(&folder(options, node).join("server.properties"), &text)
}

fn kafka_properties(ports: &Ports, node: Node, data: &Path) -> String {
    let voters: Vec<String> = (1..)
        .zip(ports.controllers)
        .map(|(number, port)| format!("{}@127.0.0.1:{port}", CONTROLLER_IDS + number))
        .collect();
    let (template, id, port) = match node {
        Node::Controller(n) => (
            CONTROLLER,
            CONTROLLER_IDS + u16::from(n),
            ports.controllers[usize::from(n) - 1],
        ),
        Node::Broker(n) => (BROKER, u16::from(n), ports.brokers[usize::from(n) - 1]),
        Node::Registry | Node::Elasticsearch | Node::Prometheus => ("", 0, 0),
    };
    template
        .replace("@ID@", &id.to_string())
        .replace("@PORT@", &port.to_string())
        .replace("@VOTERS@", &voters.join(","))
        .replace("@DATA@", &data.display().to_string())
}

/// A broker's properties with a listener for clients that speak TLS.
fn with_secure_listener(properties: &str, secure: &SecureListener, port: u16) -> String {
    let listener = |line: &str| format!("{line},SECURE://127.0.0.1:{port}\n");
    let mut text = String::new();
    for line in properties.lines() {
        if line.starts_with("listeners=") || line.starts_with("advertised.listeners=") {
            text.push_str(&listener(line));
        } else if line.starts_with("listener.security.protocol.map=") {
            text.push_str(&format!("{line},SECURE:SASL_SSL\n"));
        } else {
            text.push_str(line);
            text.push('\n');
        }
    }
    let filled = SECURE
        .replace("@KEY_STORE@", &secure.key_store.display().to_string())
        .replace("@TRUST_STORE@", &secure.trust_store.display().to_string())
        .replace("@USER@", &secure.user)
        .replace("@PASSWORD@", &secure.password)
        .replace("@TOKEN_KEYS@", &file_url(&secure.token_keys))
        .replace("@TOKEN_AUDIENCE@", &secure.token_audience);
    text + &filled
}

/// A file as a URL.
fn file_url(path: &Path) -> String {
    format!("file://{}", path.display())
}

/// The options of a broker's JVM that let it read the keys of its tokens: it takes no URL and no
/// file that is not named.
pub(crate) fn token_options(secure: &SecureListener) -> [String; 2] {
    let allowed = "-Dorg.apache.kafka.sasl.oauthbearer.allowed";
    [
        format!("{allowed}.urls={}", file_url(&secure.token_keys)),
        format!("{allowed}.files={}", secure.token_keys.display()),
    ]
}

/// The users that formatting makes, as `kafka-storage format --add-scram` takes them.
pub(crate) fn scram_users(secure: &SecureListener) -> [String; 2] {
    ["SCRAM-SHA-256", "SCRAM-SHA-512"]
        .map(|mechanism| format!("{mechanism}=[name={},password={}]", secure.user, secure.password))
}

/// Writes Elasticsearch's configuration folder and returns it.
pub(crate) fn write_elasticsearch(options: &StackOptions) -> Result<PathBuf, StackError> {
    let folder = folder(options, Node::Elasticsearch);
    let text = ELASTICSEARCH
        .replace("@HTTP_PORT@", &options.ports.elasticsearch.to_string())
        .replace(
            "@TRANSPORT_PORT@",
            &options.ports.elasticsearch_transport.to_string(),
        )
        .replace("@DATA@", &quoted(&folder.join("data")))
        .replace("@LOGS@", &quoted(&folder.join("logs")));
    let config = folder.join("config");
    write(&config.join("elasticsearch.yml"), &text)?;
    write(&config.join("log4j2.properties"), LOG4J)?;
    Ok(config)
}

/// Writes Prometheus's configuration and returns its path.
pub(crate) fn write_prometheus(
    options: &StackOptions,
    prometheus: &PrometheusOptions,
) -> Result<PathBuf, StackError> {
    let path = folder(options, Node::Prometheus).join("prometheus.yml");
    write(&path, &prometheus_config(prometheus))
}

fn prometheus_config(prometheus: &PrometheusOptions) -> String {
    // Writing to a String cannot fail.
    let mut text = String::from("global:\n  scrape_interval: 5s\n  evaluation_interval: 5s\n");
    if !prometheus.rule_files.is_empty() {
        text.push_str("rule_files:\n");
    }
    for file in &prometheus.rule_files {
        let _ = writeln!(text, "  - {}", quoted(file));
    }
    text.push_str("scrape_configs:\n");
    for (job, address) in &prometheus.targets {
        let _ = writeln!(
            text,
            "  - job_name: {job}\n    static_configs:\n      - targets: ['{address}']"
        );
    }
    text
}

/// A path as a YAML scalar.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_of_a_template_is_filled() {
        for node in Node::controllers().chain(Node::brokers()) {
            let text = kafka_properties(&Ports::default(), node, Path::new("/data"));
            assert!(!text.contains('@') || text.contains("@127.0.0.1:"), "{text}");
            assert!(text.contains(
                "controller.quorum.voters=101@127.0.0.1:19093,102@127.0.0.1:29093,103@127.0.0.1:39093"
            ));
            assert!(text.contains("log.dirs=/data"));
        }
        let broker = kafka_properties(&Ports::default(), Node::Broker(2), Path::new("/data"));
        assert!(
            broker.contains("node.id=2\n") && broker.contains("PLAINTEXT://127.0.0.1:29092"),
            "{broker}"
        );
    }

    #[test]
    fn a_secure_listener_stands_beside_the_plain_one() {
        let secure = SecureListener {
            key_store: PathBuf::from("/keys/broker.pem"),
            trust_store: PathBuf::from("/keys/ca.pem"),
            user: "millrace".to_owned(),
            password: "secret".to_owned(),
            token_keys: PathBuf::from("/keys/jwks.json"),
            token_audience: "brokers".to_owned(),
        };
        let plain = kafka_properties(&Ports::default(), Node::Broker(1), Path::new("/data"));
        let text = with_secure_listener(&plain, &secure, 19094);
        for line in [
            "listeners=PLAINTEXT://127.0.0.1:19092,SECURE://127.0.0.1:19094",
            "advertised.listeners=PLAINTEXT://127.0.0.1:19092,SECURE://127.0.0.1:19094",
            "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SECURE:SASL_SSL",
            "listener.name.secure.ssl.keystore.location=/keys/broker.pem",
            "listener.name.secure.oauthbearer.sasl.oauthbearer.jwks.endpoint.url=file:///keys/jwks.json",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
        assert!(!text.replace("@127.0.0.1", "").contains('@'), "{text}");
    }

    #[test]
    fn prometheus_scrapes_each_target() {
        let options = PrometheusOptions {
            targets: vec![("producer".to_owned(), "127.0.0.1:9101".to_owned())],
            rule_files: vec![PathBuf::from("rules/it's.yml")],
        };
        let text = prometheus_config(&options);
        assert!(
            text.contains(
                "  - job_name: producer\n    static_configs:\n      - targets: ['127.0.0.1:9101']\n"
            ),
            "{text}"
        );
        assert!(text.contains("  - 'rules/it''s.yml'\n"), "{text}");
    }
}
