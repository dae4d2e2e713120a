//! `millrace env`: the `.env` that Docker Compose reads, from the configuration.
//!
//! Compose passes the whole file to every service and takes its own `${MILLRACE_…}` from it. What
//! the compose file fixes itself is left out: the addresses and folders inside the project.

mod file;
mod quote;

use millrace_settings::Settings;

pub use file::{Written, write};
use quote::quoted;

/// Keys whose values inside the compose project are its own.
const FIXED_BY_COMPOSE: [&str; 12] = [
    "MILLRACE__KAFKA__BOOTSTRAP_SERVERS",
    "MILLRACE__SCHEMA_REGISTRY__URL",
    "MILLRACE__ELASTICSEARCH__URL",
    "MILLRACE__KIBANA__URL",
    "MILLRACE__TELEMETRY__BIND_HOST",
    "MILLRACE__PRODUCER__LEDGER_DIR",
    "MILLRACE__GATEWAY__BIND_HOST",
    // Its port is published on this machine alone.
    "MILLRACE__GATEWAY__ALLOW_ANONYMOUS",
    // Given as MILLRACE_RATE, MILLRACE_SNAPSHOTS_URL and MILLRACE_LAKE_URL, which are shorter to
    // change by hand.
    "MILLRACE__PRODUCER__RATE_PER_S",
    "MILLRACE__SNAPSHOTS__URL",
    "MILLRACE__LAKE_SINK__URL",
    // Given as MILLRACE_CASSANDRA, where it is not on this machine.
    "MILLRACE__CASSANDRA_SINK__CONTACT_POINTS",
];

/// The lines of the `.env` for these settings, passwords among them.
#[must_use]
pub fn render(settings: &Settings) -> String {
    let mut lines = vec![format!("MILLRACE_RATE={}", settings.producer.rate_per_s)];
    for (name, url) in [
        ("MILLRACE_SNAPSHOTS_URL", &settings.snapshots.url),
        ("MILLRACE_LAKE_URL", &settings.lake_sink.url),
    ] {
        let url = url.to_string_lossy();
        // A folder of this machine is none of the containers', which have a volume for it.
        if url.contains("://") {
            lines.push(format!("{name}={}", quoted(&url)));
        }
    }
    let contact_points = &settings.cassandra_sink.contact_points;
    if !contact_points.contains("127.0.0.1") && !contact_points.contains("localhost") {
        lines.push(format!("MILLRACE_CASSANDRA={}", quoted(contact_points)));
    }
    for (name, value) in settings.variables() {
        if !FIXED_BY_COMPOSE.contains(&name.as_str()) {
            lines.push(format!("{name}={}", quoted(&value)));
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn every_value_is_there_but_those_that_compose_fixes() {
        let mut settings = Settings::default();
        settings.producer.rate_per_s = 5_000;
        settings.producer.metrics_port = 9201;
        settings
            .kafka
            .properties
            .insert("security.protocol".to_owned(), "SASL_SSL".to_owned());
        settings.elasticsearch.api_key = Some("a b".to_owned());
        let text = render(&settings);
        for line in [
            "MILLRACE_RATE=5000",
            "MILLRACE__PRODUCER__METRICS_PORT=9201",
            "MILLRACE__PRODUCER__ZIPF_EXPONENT=1.0",
            "MILLRACE__KAFKA__TOPIC_PREFIX=",
            "MILLRACE__KAFKA__PROPERTIES__SECURITY_PROTOCOL=SASL_SSL",
            "MILLRACE__ELASTICSEARCH__API_KEY='a b'",
            "MILLRACE__DETECTOR__RULES__REPLAY__ENABLED=true",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("127.0.0.1"), "{text}");
        assert!(!text.contains(".millrace/"), "{text}");
        assert!(!text.contains("RATE_PER_S"), "{text}");
    }

    #[test]
    fn only_snapshots_in_an_object_store_are_passed_on() {
        let mut settings = Settings::default();
        assert!(!render(&settings).contains("MILLRACE_SNAPSHOTS_URL"));
        settings.snapshots.url = PathBuf::from("s3://bucket/path");
        assert!(render(&settings).contains("\nMILLRACE_SNAPSHOTS_URL=s3://bucket/path\n"));
    }

    #[test]
    fn only_a_cassandra_elsewhere_is_passed_on() {
        let mut settings = Settings::default();
        assert!(!render(&settings).contains("MILLRACE_CASSANDRA="));
        settings.cassandra_sink.contact_points = "c1.bank:9042,c2.bank:9042".to_owned();
        assert!(render(&settings).contains("\nMILLRACE_CASSANDRA=c1.bank:9042,c2.bank:9042\n"));
    }

    #[test]
    fn the_names_left_out_are_names_of_keys() {
        let variables = Settings::default().variables();
        for name in FIXED_BY_COMPOSE {
            assert!(variables.contains_key(name), "{name} is no key's variable");
        }
    }
}
