//! The table of addresses.

use comfy_table::{Table, presets};
use millrace_catalog::Service;
use millrace_settings::Settings;

use super::services::url;

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) what: String,
    pub(super) address: String,
    pub(super) note: String,
}

impl Address {
    pub(super) fn new(what: &str, address: impl Into<String>, note: &str) -> Self {
        Self {
            what: what.to_owned(),
            address: address.into(),
            note: note.to_owned(),
        }
    }
}

/// What every start has: Kafka, the registry, Elasticsearch, the services.
pub(super) fn core(settings: &Settings) -> Vec<Address> {
    let mut rows = vec![
        Address::new(
            "Kafka",
            settings.kafka.bootstrap_servers.as_str(),
            "three brokers",
        ),
        Address::new(
            "schema registry",
            settings.schema_registry.url.as_str(),
            "the Confluent API",
        ),
        Address::new("Elasticsearch", settings.elasticsearch.url.as_str(), ""),
    ];
    for service in settings.services() {
        if service == Service::CassandraSink {
            let contact_points = settings.cassandra_sink.contact_points.as_str();
            rows.push(Address::new(
                "Cassandra",
                contact_points,
                "`millrace query` asks it",
            ));
        }
        if let Some(port) = settings.api_port(service) {
            let address = format!("http://127.0.0.1:{port}");
            rows.push(Address::new(
                service.name(),
                address,
                "described by /openapi.json",
            ));
        }
        rows.push(Address::new(
            service.name(),
            url(service, settings, "/metrics"),
            "also /health/ready, /health/live",
        ));
    }
    rows
}

/// The rows as a table.
pub(super) fn table(rows: &[Address]) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(["what", "address", ""]);
    for row in rows {
        table.add_row([&row.what, &row.address, &row.note]);
    }
    table.to_string()
}
