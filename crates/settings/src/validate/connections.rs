//! Kafka, the schema registry, Elasticsearch, Kibana and the endpoint of telemetry.

use std::net::IpAddr;

use url::Url;

use super::Check;
use crate::sections::Settings;

/// Kafka's names are at most 249 characters; the longest of ours has 36.
const MAX_TOPIC_PREFIX: usize = 200;
/// Elasticsearch's names are at most 255 bytes; the longest of ours has 28.
const MAX_INDEX_PREFIX: usize = 200;
/// Longest time that one call may take.
const MAX_TIMEOUT_MS: u64 = 600_000;

pub(super) fn check(check: &mut Check, settings: &Settings) {
    kafka(check, settings);
    let registry = &settings.schema_registry;
    url(check, "schema_registry.url", &registry.url);
    check.range(
        "schema_registry.timeout_ms",
        registry.timeout_ms,
        1,
        MAX_TIMEOUT_MS,
    );
    user(
        check,
        "schema_registry",
        registry.username.as_deref(),
        registry.password.as_deref(),
    );
    elasticsearch(check, settings);
    let kibana = &settings.kibana;
    url(check, "kibana.url", &kibana.url);
    user(
        check,
        "kibana",
        kibana.username.as_deref(),
        kibana.password.as_deref(),
    );
    for (section, tls) in [
        ("schema_registry", &registry.tls),
        ("elasticsearch", &settings.elasticsearch.tls),
        ("kibana", &kibana.tls),
    ] {
        if tls.certificate_file.is_some() != tls.key_file.is_some() {
            check.refuse(
                &format!("{section}.tls"),
                "has one of certificate_file and key_file: give both or neither",
            );
        }
    }
    log_level(check, &settings.telemetry.log_level);
    let host = &settings.telemetry.bind_host;
    if host != "localhost" && host.parse::<IpAddr>().is_err() {
        check.refuse(
            "telemetry.bind_host",
            format!("is {host:?}: must be an IP address, as 127.0.0.1, or 0.0.0.0 for every interface"),
        );
    }
}

fn kafka(check: &mut Check, settings: &Settings) {
    let kafka = &settings.kafka;
    for server in kafka.bootstrap_servers.split(',') {
        let right = server.trim().rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty() && !host.contains('/') && port.parse::<u16>().is_ok_and(|port| port > 0)
        });
        if !right {
            check.refuse(
                "kafka.bootstrap_servers",
                format!("has {server:?}: must be host:port,host:port"),
            );
        }
    }
    let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if !kafka.topic_prefix.chars().all(legal) || kafka.topic_prefix.len() > MAX_TOPIC_PREFIX {
        check.refuse(
            "kafka.topic_prefix",
            format!(
                "is {:?}: must be at most {MAX_TOPIC_PREFIX} letters, digits, '.', '_' or '-'",
                kafka.topic_prefix
            ),
        );
    }
    check.range(
        "kafka.replication_factor",
        kafka.replication_factor,
        1,
        i32::from(i16::MAX),
    );
    if kafka.min_insync_replicas < 1 || kafka.min_insync_replicas > kafka.replication_factor {
        check.refuse(
            "kafka.min_insync_replicas",
            format!(
                "is {}: must be from 1 to kafka.replication_factor, which is {}",
                kafka.min_insync_replicas, kafka.replication_factor
            ),
        );
    }
    if kafka.retention_ms != -1 && kafka.retention_ms < 60_000 {
        check.refuse(
            "kafka.retention_ms",
            format!(
                "is {}: must be at least 60000, or -1 for ever",
                kafka.retention_ms
            ),
        );
    }
    check.properties("kafka.properties", &kafka.properties);
}

fn elasticsearch(check: &mut Check, settings: &Settings) {
    let elasticsearch = &settings.elasticsearch;
    url(check, "elasticsearch.url", &elasticsearch.url);
    user(
        check,
        "elasticsearch",
        elasticsearch.username.as_deref(),
        elasticsearch.password.as_deref(),
    );
    if elasticsearch.api_key.is_some() && elasticsearch.username.is_some() {
        check.refuse(
            "elasticsearch.api_key",
            "is given beside elasticsearch.username: give one of the two",
        );
    }
    let prefix = &elasticsearch.index_prefix;
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    let starts_right = prefix
        .chars()
        .next()
        .is_none_or(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    if !prefix.chars().all(legal) || !starts_right || prefix.len() > MAX_INDEX_PREFIX {
        check.refuse(
            "elasticsearch.index_prefix",
            format!(
                "is {prefix:?}: must be at most {MAX_INDEX_PREFIX} small letters, digits, '.', '_' or '-', \
                 the first a letter or digit"
            ),
        );
    }
    check.range("elasticsearch.shards", elasticsearch.shards, 1, 1_024);
    check.range("elasticsearch.replicas", elasticsearch.replicas, 0, 100);
    check.range(
        "elasticsearch.retention_days",
        elasticsearch.retention_days,
        1,
        36_500,
    );
    check.range(
        "elasticsearch.timeout_ms",
        elasticsearch.timeout_ms,
        1,
        MAX_TIMEOUT_MS,
    );
}

/// A word that is no level is one that somebody has mistyped: the filter would take it for the name
/// of a part, and everything else would be silent. The filter itself reads the rest.
fn log_level(check: &mut Check, text: &str) {
    const KEY: &str = "telemetry.log_level";
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    check.not_empty(KEY, text);
    // Commas may be within a span's fields.
    if text.contains('{') {
        return;
    }
    let is_level = |word: &str| {
        LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word)) || matches!(word.parse(), Ok(0..=5_u8))
    };
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    for word in words.filter(|word| !word.contains(['=', '[']) && !is_level(word)) {
        check.refuse(
            KEY,
            format!(
                "has {word:?}: must be a level (error, warn, info, debug, trace, off), or a part's, as \
                 info,millrace_kafka=debug"
            ),
        );
    }
}

/// An address of an HTTP API. The text is not shown where it may hold a password.
fn url(check: &mut Check, key: &str, text: &str) {
    match Url::parse(text) {
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            let section = key.trim_end_matches(".url");
            check.refuse(
                key,
                format!(
                    "has a user or password in it: give them as {section}.username and {section}.password"
                ),
            );
        }
        Ok(url) if ["http", "https"].contains(&url.scheme()) && url.has_host() => {}
        _ if text.contains('@') => check.refuse(key, "must be an address as http://host:port"),
        Ok(_) => check.refuse(
            key,
            format!("is {text:?}: must be an address as http://host:port"),
        ),
        Err(error) => check.refuse(
            key,
            format!("is {text:?} ({error}): must be an address as http://host:port"),
        ),
    }
}

fn user(check: &mut Check, section: &str, username: Option<&str>, password: Option<&str>) {
    match (username, password) {
        (None, Some(_)) => check.refuse(
            &format!("{section}.password"),
            format!("is given without {section}.username: give both or neither"),
        ),
        (Some(_), None) => check.refuse(
            &format!("{section}.username"),
            format!("is given without {section}.password: give both or neither"),
        ),
        _ => {}
    }
}
