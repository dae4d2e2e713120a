//! Where and how the stack runs.

use std::collections::BTreeSet;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use crate::error::StackError;

/// The ports of the stack, all on 127.0.0.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ports {
    /// The brokers' client ports.
    pub brokers: [u16; 3],
    /// The brokers' ports for clients that speak TLS, where [`StackOptions::secure`] asks for them.
    pub secure_brokers: [u16; 3],
    /// The controllers' ports.
    pub controllers: [u16; 3],
    /// The schema registry.
    pub registry: u16,
    /// The schema registry's health and metrics.
    pub registry_management: u16,
    /// Elasticsearch's HTTP API.
    pub elasticsearch: u16,
    /// Elasticsearch's own protocol.
    pub elasticsearch_transport: u16,
    /// Prometheus.
    pub prometheus: u16,
}

impl Default for Ports {
    /// The documented ports, those of the compose file.
    fn default() -> Self {
        Self {
            brokers: [19092, 29092, 39092],
            secure_brokers: [19094, 29094, 39094],
            controllers: [19093, 29093, 39093],
            registry: 8081,
            registry_management: 8082,
            elasticsearch: 9200,
            elasticsearch_transport: 9300,
            prometheus: 9090,
        }
    }
}

/// Free ports are looked for in this range: below the range that systems take for outgoing
/// connections, so that none is taken between the look and the server's bind.
const FREE_PORTS: std::ops::Range<u16> = 20_000..32_000;

/// What this process has been given: a port that nobody listens on yet is somebody's all the same.
static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// How many ports a stack has.
const COUNT: usize = 14;

impl Ports {
    /// Ports that are free now, for a stack beside others.
    ///
    /// # Errors
    /// Fewer than fourteen ports are free.
    pub fn free() -> Result<Self, StackError> {
        let mut ports = Self::take(COUNT)?.into_iter();
        let mut next = || ports.next().ok_or(StackError::NoFreePorts { range: FREE_PORTS });
        Ok(Self {
            brokers: [next()?, next()?, next()?],
            secure_brokers: [next()?, next()?, next()?],
            controllers: [next()?, next()?, next()?],
            registry: next()?,
            registry_management: next()?,
            elasticsearch: next()?,
            elasticsearch_transport: next()?,
            prometheus: next()?,
        })
    }

    /// `count` ports that are free now, each another, for what runs beside a stack. None is given
    /// twice by one process.
    ///
    /// # Errors
    /// Fewer are free.
    pub fn take(count: usize) -> Result<Vec<u16>, StackError> {
        let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held: Vec<(u16, TcpListener)> = Vec::with_capacity(count);
        // RandomState is seeded anew for each process and call: two runs at once look in different
        // places.
        let mut candidate =
            RandomState::new().build_hasher().finish() % u64::from(FREE_PORTS.end - FREE_PORTS.start);
        for _ in FREE_PORTS {
            if held.len() == count {
                break;
            }
            let port = FREE_PORTS.start + u16::try_from(candidate).unwrap_or_default();
            if !given.contains(&port)
                && let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            {
                held.push((port, listener));
            }
            candidate = (candidate + 1) % u64::from(FREE_PORTS.end - FREE_PORTS.start);
        }
        if held.len() < count {
            return Err(StackError::NoFreePorts { range: FREE_PORTS });
        }
        let ports: Vec<u16> = held.into_iter().map(|(port, _)| port).collect();
        given.extend(&ports);
        Ok(ports)
    }
}

/// The largest heap of each kind of JVM, in MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heaps {
    /// Of each controller.
    pub controller_mib: u32,
    /// Of each broker.
    pub broker_mib: u32,
    /// Of the schema registry.
    pub registry_mib: u32,
    /// Of Elasticsearch.
    pub elasticsearch_mib: u32,
}

impl Default for Heaps {
    fn default() -> Self {
        Self {
            controller_mib: 96,
            broker_mib: 320,
            registry_mib: 192,
            elasticsearch_mib: 512,
        }
    }
}

/// What Prometheus is started with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PrometheusOptions {
    /// The services to scrape: job name and `host:port`.
    pub targets: Vec<(String, String)>,
    /// Files of recording and alerting rules; globs as Prometheus takes them.
    pub rule_files: Vec<PathBuf>,
}

/// A second listener of each broker, as a bank's cluster has: TLS and a login, by SCRAM-SHA-256 and
/// -512, PLAIN, or OAUTHBEARER with signed tokens. A connection is closed when its token has
/// expired, unless its client shows a newer one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecureListener {
    /// A PEM file with the brokers' private key (PKCS 8) and certificate, for 127.0.0.1.
    pub key_store: PathBuf,
    /// A PEM file with the authority whose client certificates are accepted; none is asked for by
    /// force.
    pub trust_store: PathBuf,
    /// The one user.
    pub user: String,
    /// The user's password.
    pub password: String,
    /// A JWKS file with the public keys that the tokens of OAUTHBEARER are signed with.
    pub token_keys: PathBuf,
    /// Whom a token must be for, its claim `aud`.
    pub token_audience: String,
}

/// Where and how the stack runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackOptions {
    /// Data, logs and pid records. Kept at a stop: the next start goes on with the same data.
    pub state_dir: PathBuf,
    /// Where the programs are kept; see [`crate::cache::default_dir`].
    pub cache_dir: PathBuf,
    /// The ports.
    pub ports: Ports,
    /// Start Prometheus too, where its program is on the PATH.
    pub prometheus: Option<PrometheusOptions>,
    /// Give each broker a second listener. The user is made when the storage is formatted, at the
    /// first start.
    pub secure: Option<SecureListener>,
    /// Heap sizes.
    pub heaps: Heaps,
    /// Whether the servers live for minutes, as in a test: then they compile quickly what would be
    /// compiled well for a longer life.
    pub are_brief: bool,
}

impl StackOptions {
    /// The documented ports, the default heaps and cache, no Prometheus.
    #[must_use]
    pub fn new(state_dir: impl Into<PathBuf>) -> Self {
        Self {
            state_dir: state_dir.into(),
            cache_dir: crate::cache::default_dir(),
            ports: Ports::default(),
            prometheus: None,
            secure: None,
            heaps: Heaps::default(),
            are_brief: false,
        }
    }

    /// Folder of the log files.
    #[must_use]
    pub fn logs_dir(&self) -> PathBuf {
        self.state_dir.join("logs")
    }

    /// Folder of the pid records.
    #[must_use]
    pub fn pids_dir(&self) -> PathBuf {
        self.state_dir.join("pids")
    }

    /// The brokers, as librdkafka's `bootstrap.servers` takes them.
    #[must_use]
    pub fn bootstrap_servers(&self) -> String {
        self.ports
            .brokers
            .map(|port| format!("127.0.0.1:{port}"))
            .join(",")
    }

    /// The registry's Confluent-compatible API.
    #[must_use]
    pub fn registry_url(&self) -> String {
        format!("http://127.0.0.1:{}/apis/ccompat/v7", self.ports.registry)
    }

    /// Elasticsearch's HTTP API.
    #[must_use]
    pub fn elasticsearch_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.elasticsearch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_are_distinct_and_can_be_bound() {
        let ports = Ports::free().unwrap();
        let mut all = vec![
            ports.registry,
            ports.registry_management,
            ports.elasticsearch,
            ports.elasticsearch_transport,
            ports.prometheus,
        ];
        all.extend(ports.brokers);
        all.extend(ports.controllers);
        let held: Vec<_> = all
            .iter()
            .map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).unwrap())
            .collect();
        assert_eq!(held.len(), 11, "binding all at once shows that they are distinct");
    }

    #[test]
    fn a_port_is_given_once_although_nobody_listens_yet() {
        let mut all = BTreeSet::new();
        for _ in 0..40 {
            all.extend(Ports::take(50).unwrap());
        }
        assert_eq!(all.len(), 2_000);
    }
}
