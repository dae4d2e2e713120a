//! The local stack's ports, from the addresses that the services are configured with.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context as _, bail};
use millrace_catalog::Service;
use millrace_settings::Settings;
use millrace_stack::{Ports, listening_process};
use reqwest::Url;

/// The ports that make the configured addresses true.
///
/// # Errors
/// An address is not one that processes on this machine can have.
pub(super) fn of(settings: &Settings) -> anyhow::Result<Ports> {
    let brokers = broker_ports(&settings.kafka.bootstrap_servers)?;
    let registry = port_of("schema_registry.url", &settings.schema_registry.url)?;
    let elasticsearch = port_of("elasticsearch.url", &settings.elasticsearch.url)?;
    let mut ports = Ports {
        brokers,
        controllers: [next(brokers[0])?, next(brokers[1])?, next(brokers[2])?],
        registry,
        registry_management: next(registry)?,
        elasticsearch,
        elasticsearch_transport: elasticsearch
            .checked_add(100)
            .context("elasticsearch.url has too high a port")?,
        ..Ports::default()
    };
    // Two stacks on one machine differ in their brokers; a Prometheus of its own is then 3 above
    // the first.
    if brokers != Ports::default().brokers {
        ports.prometheus = brokers[0]
            .checked_add(3)
            .context("kafka.bootstrap_servers has too high a port")?;
    }
    Ok(ports)
}

fn broker_ports(servers: &str) -> anyhow::Result<[u16; 3]> {
    let ports: Option<Vec<u16>> = servers
        .split(',')
        .map(|server| {
            let (host, port) = server.trim().rsplit_once(':')?;
            is_loopback(host).then(|| port.parse().ok())?
        })
        .collect();
    ports.and_then(|ports| ports.try_into().ok()).with_context(|| {
        format!(
            "kafka.bootstrap_servers is {servers:?}: `up` starts three brokers on this machine, so it must be \
             127.0.0.1:PORT,127.0.0.1:PORT,127.0.0.1:PORT (by default 19092, 29092, 39092)"
        )
    })
}

fn port_of(key: &str, url: &str) -> anyhow::Result<u16> {
    let parsed = Url::parse(url).ok().filter(|url| url.scheme() == "http");
    let host_and_port = parsed
        .as_ref()
        .and_then(|url| Some((url.host_str()?, url.port()?)));
    match host_and_port {
        Some((host, port)) if is_loopback(host) => Ok(port),
        _ => bail!(
            "{key} is {url:?}: `up` starts its own on this machine, so it must be http://127.0.0.1:PORT…"
        ),
    }
}

/// The port of Cassandra.
///
/// # Errors
/// The address is not one that a process on this machine can have.
pub(super) fn of_cassandra(contact_points: &str) -> anyhow::Result<u16> {
    let port = contact_points.rsplit_once(':').and_then(|(host, port)| {
        let port = port.parse().ok()?;
        is_loopback(host.trim()).then_some(port)
    });
    port.with_context(|| {
        format!(
            "cassandra_sink.contact_points is {contact_points:?}: `up` starts one node on this machine, so it must be \
             127.0.0.1:PORT (by default 9042)"
        )
    })
}

fn is_loopback(host: &str) -> bool {
    host == "127.0.0.1" || host == "localhost"
}

fn next(port: u16) -> anyhow::Result<u16> {
    port.checked_add(1)
        .with_context(|| format!("port {port} has none above it"))
}

/// Refuses ports of services that are 0 or taken, before anything is started.
///
/// # Errors
/// One is; the message names all of them.
pub(super) fn check_services(settings: &Settings) -> anyhow::Result<()> {
    let ports = settings.services().flat_map(|service| {
        let section = service.section();
        let metrics = (format!("{section}.metrics_port"), settings.metrics_port(service));
        let api = settings.api_port(service);
        let api = api.map(|port| (format!("{section}.port"), port));
        [Some(metrics), api]
            .into_iter()
            .flatten()
            .map(move |port| (service, port))
    });
    let problem = |(service, (key, port)): (Service, (String, u16))| {
        if port == 0 {
            return Some(format!("{key} must not be 0 for `up`, which tells where it is"));
        }
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).err()?;
        let holder = listening_process(port).map_or_else(String::new, |holder| format!(" by {holder}"));
        let name = service.name();
        Some(format!(
            "port {port} (for {name}) is in use{holder}: stop it, or set {key} to another"
        ))
    };
    let problems: Vec<_> = ports.filter_map(problem).collect();
    if problems.is_empty() {
        Ok(())
    } else {
        bail!("{}", problems.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_configuration_gives_the_documented_ports() {
        assert_eq!(of(&Settings::default()).unwrap(), Ports::default());
    }

    #[test]
    fn other_loopback_ports_are_taken_over() {
        let mut settings = Settings::default();
        settings.kafka.bootstrap_servers = "localhost:1100, 127.0.0.1:1200,127.0.0.1:1300".to_owned();
        settings.elasticsearch.url = "http://localhost:9201".to_owned();
        let ports = of(&settings).unwrap();
        assert_eq!(
            (ports.brokers, ports.controllers),
            ([1100, 1200, 1300], [1101, 1201, 1301])
        );
        assert_eq!((ports.elasticsearch, ports.elasticsearch_transport), (9201, 9301));
    }

    #[test]
    fn cassandra_is_one_node_of_this_machine() {
        assert_eq!(of_cassandra("127.0.0.1:9043").unwrap(), 9043);
        for points in ["c1.bank:9042", "127.0.0.1:9042,127.0.0.1:9043", "127.0.0.1"] {
            let error = of_cassandra(points).unwrap_err().to_string();
            assert!(error.starts_with("cassandra_sink.contact_points is"), "{error}");
        }
    }

    #[test]
    fn an_address_elsewhere_is_refused_by_name() {
        for servers in [
            "kafka.example:9092",
            "127.0.0.1:19092",
            "127.0.0.1:1,127.0.0.1:2,127.0.0.1:99999",
        ] {
            let mut settings = Settings::default();
            settings.kafka.bootstrap_servers = servers.to_owned();
            let error = of(&settings).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("kafka.bootstrap_servers is {servers:?}")),
                "{error}"
            );
        }
        let mut settings = Settings::default();
        settings.schema_registry.url = "https://registry.example/".to_owned();
        let error = of(&settings).unwrap_err().to_string();
        assert!(error.starts_with("schema_registry.url is"), "{error}");
    }
}
