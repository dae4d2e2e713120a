//! What answers over HTTP.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use millrace_catalog::Service;
use millrace_kafka::clock::now_ms;
use millrace_settings::Settings;
use reqwest::Client;
use serde::Serialize;
use serde_json::Value;

use crate::up::url;
use millrace_telemetry::exposition;

const TIMEOUT: Duration = Duration::from_secs(3);
/// Since the service's start.
const MISPLACED: &str = "millrace_misplaced_records_total";
const WATERMARK_LAG: &str = "millrace_watermark_lag_seconds";
const OPEN_TRANSACTION: &str = "millrace_open_transaction_seconds";
const OPEN_WINDOWS: &str = "millrace_open_windows";
const CLOSED_WINDOWS: &str = "millrace_windows_closed_total";

/// One part of the suite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) address: String,
    pub(super) ready: bool,
    /// Whether the pipeline runs without it.
    pub(super) optional: bool,
    /// Why it is not ready; or what is worth a word.
    pub(super) note: String,
}

impl Part {
    pub(super) fn ready(name: &str, address: &str, note: String) -> Self {
        Self {
            name: name.to_owned(),
            address: address.to_owned(),
            ready: true,
            optional: false,
            note,
        }
    }

    pub(super) fn down(name: &str, address: &str, note: String) -> Self {
        Self {
            ready: false,
            ..Self::ready(name, address, note)
        }
    }
}

/// How far an operator's event time has come.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Watermark {
    pub(super) operator: String,
    /// Of the partition that is furthest behind, in milliseconds since 1970.
    pub(super) watermark_ms: i64,
    /// How far that is behind now.
    pub(super) lag_s: f64,
    /// Partitions that have a watermark.
    pub(super) partitions: usize,
    /// For how long an open transaction of a writer has held a partition back, of the longest;
    /// absent without one.
    pub(super) open_transaction_s: Option<f64>,
    /// Windows that are open, over all partitions, where the operator has windows.
    pub(super) open_windows: Option<f64>,
    /// Windows closed since the service's start, over all partitions.
    pub(super) closed_windows: Option<f64>,
}

/// Asks everything at once.
pub(super) async fn look(settings: &Settings) -> anyhow::Result<(Vec<Part>, Vec<Watermark>)> {
    let http = millrace_http::local_client(TIMEOUT).context("cannot make an HTTP client")?;
    let (mut parts, services, optional, watermarks) = tokio::join!(
        servers(&http, settings),
        futures::future::join_all(
            settings
                .services()
                .map(|service| self::service(&http, settings, service))
        ),
        optional(&http, settings),
        watermarks(&http, settings),
    );
    parts.extend(services);
    parts.extend(optional);
    Ok((parts, watermarks))
}

async fn servers(http: &Client, settings: &Settings) -> Vec<Part> {
    let registry = &settings.schema_registry;
    let mut subjects = http.get(format!("{}/subjects", registry.url.trim_end_matches('/')));
    if let Some(user) = &registry.username {
        subjects = subjects.basic_auth(user, registry.password.as_ref());
    }
    let elasticsearch = &settings.elasticsearch;
    let mut health = http.get(format!(
        "{}/_cluster/health",
        elasticsearch.url.trim_end_matches('/')
    ));
    if let Some(key) = &elasticsearch.api_key {
        health = health.header("Authorization", format!("ApiKey {key}"));
    } else if let Some(user) = &elasticsearch.username {
        health = health.basic_auth(user, elasticsearch.password.as_ref());
    }
    let (subjects, health) = tokio::join!(json(subjects), json(health));
    vec![
        match subjects {
            Ok(subjects) => {
                let count = subjects.as_array().map_or(0, Vec::len);
                Part::ready("schema registry", &registry.url, format!("{count} subjects"))
            }
            Err(reason) => Part::down("schema registry", &registry.url, reason),
        },
        match health {
            Ok(health) => {
                let colour = health["status"].as_str().unwrap_or("unknown").to_owned();
                let part = Part::ready("Elasticsearch", &elasticsearch.url, colour.clone());
                Part {
                    ready: colour != "red",
                    ..part
                }
            }
            Err(reason) => Part::down("Elasticsearch", &elasticsearch.url, reason),
        },
    ]
}

async fn json(request: reqwest::RequestBuilder) -> Result<Value, String> {
    let answer = request.send().await.map_err(|error| reason(&error))?;
    let status = answer.status();
    if !status.is_success() {
        return Err(status.to_string());
    }
    answer.json().await.map_err(|error| reason(&error))
}

/// The innermost reason: the outer ones repeat the address.
fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

async fn service(http: &Client, settings: &Settings, service: Service) -> Part {
    let ready = url(service, settings, "/health/ready");
    let address = url(service, settings, "");
    let name = service.name();
    let answer = match http.get(&ready).send().await {
        Ok(answer) => answer,
        Err(error) => return silent(service, &address, reason(&error)),
    };
    // Not ready is a 503 with the same body.
    let is_ready = answer.status().is_success();
    let body: Value = answer.json().await.unwrap_or_default();
    if is_ready {
        let text = match http.get(url(service, settings, "/metrics")).send().await {
            Ok(answer) => answer.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        };
        return Part::ready(name, &address, misplaced(&text));
    }
    let reasons: Vec<String> = body["components"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(component, state)| Some(format!("{component}: {}", state["reason"].as_str()?)))
        .collect();
    Part::down(name, &address, reasons.join("; "))
}

/// A service that does not answer. A producer is there only while something is generated or
/// replayed, and others' programs write too, past the gateway as well.
fn silent(service: Service, address: &str, reason: String) -> Part {
    let note = match service {
        Service::Producer => format!("nothing is generated or replayed here ({reason})"),
        Service::Gateway => format!("nothing is taken over HTTP here ({reason})"),
        _ => reason,
    };
    Part {
        optional: service.is_source(),
        ..Part::down(service.name(), address, note)
    }
}

/// What a service has counted of records that lie elsewhere than those of their user; empty where
/// there are none.
fn misplaced(text: &str) -> String {
    let mut reasons = Vec::new();
    let mut records = 0.0;
    for sample in exposition::samples(text, MISPLACED).filter(|sample| sample.value > 0.0) {
        records += sample.value;
        reasons.push(format!(
            "{} {}",
            sample.label("reason").unwrap_or_default(),
            sample.value
        ));
    }
    if reasons.is_empty() {
        return String::new();
    }
    format!(
        "{records} records lie elsewhere than murmur2 of userId puts them ({}): see docs/writing.md",
        reasons.join(", ")
    )
}

/// Parts that the pipeline runs without: shown where they answer.
async fn optional(http: &Client, settings: &Settings) -> Vec<Part> {
    let asked = [
        ("Kibana", settings.kibana.url.clone(), "/api/status"),
        ("Prometheus", "http://127.0.0.1:9090".to_owned(), "/-/ready"),
        ("Grafana", "http://127.0.0.1:3000".to_owned(), "/api/health"),
    ];
    let answers = asked.map(async |(name, address, path)| {
        let answer = http.get(format!("{address}{path}")).send().await.ok()?;
        let part = Part::ready(name, &address, String::new());
        Some(Part {
            ready: answer.status().is_success(),
            optional: true,
            ..part
        })
    });
    futures::future::join_all(answers)
        .await
        .into_iter()
        .flatten()
        .collect()
}

async fn watermarks(http: &Client, settings: &Settings) -> Vec<Watermark> {
    let mut all = Vec::new();
    for service in settings.services().filter(|service| service.has_jobs()) {
        let text = async {
            http.get(url(service, settings, "/metrics"))
                .send()
                .await
                .ok()?
                .text()
                .await
                .ok()
        };
        all.extend(
            text.await
                .map_or_else(Vec::new, |text| parse_watermarks(&text, now_ms())),
        );
    }
    all
}

fn parse_watermarks(text: &str, now_ms: i64) -> Vec<Watermark> {
    let mut lags: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for sample in exposition::samples(text, WATERMARK_LAG) {
        if let Some(operator) = sample.label("operator") {
            lags.entry(operator).or_default().push(sample.value);
        }
    }
    let of_operator = |metric: &'static str, operator: &str| {
        exposition::samples(text, metric)
            .filter(|sample| sample.label("operator") == Some(operator))
            .map(|sample| sample.value)
            .reduce(|a, b| a + b)
    };
    let open_transaction = |operator: &str| {
        exposition::samples(text, OPEN_TRANSACTION)
            .filter(|sample| sample.label("operator") == Some(operator) && sample.value > 0.0)
            .map(|sample| sample.value)
            .reduce(f64::max)
    };
    lags.into_iter()
        .map(|(operator, lags)| {
            let lag_s = lags.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            Watermark {
                operator: operator.to_owned(),
                // Within i64 for every lag that a clock can give.
                #[allow(clippy::cast_possible_truncation)]
                watermark_ms: now_ms - (lag_s * 1000.0) as i64,
                lag_s,
                partitions: lags.len(),
                open_transaction_s: open_transaction(operator),
                open_windows: of_operator(OPEN_WINDOWS, operator),
                closed_windows: of_operator(CLOSED_WINDOWS, operator),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_need_not_run_and_every_other_service_must() {
        for service in Settings::default().services() {
            let part = silent(service, "http://127.0.0.1:9", "refused".to_owned());
            assert!(!part.ready && part.note.contains("refused"), "{part:?}");
            assert_eq!(part.optional, service.is_source(), "{part:?}");
        }
    }

    #[test]
    fn records_elsewhere_are_told_by_reason() {
        let text = "millrace_misplaced_records_total{operator=\"detect\",reason=\"no_key\"} 500
millrace_misplaced_records_total{operator=\"detect\",reason=\"other_key\"} 0
millrace_misplaced_records_total{operator=\"detect\",reason=\"other_partitioner\"} 390
";
        assert_eq!(
            misplaced(text),
            "890 records lie elsewhere than murmur2 of userId puts them (no_key 500, other_partitioner 390): \
             see docs/writing.md"
        );
        assert_eq!(
            misplaced("millrace_misplaced_records_total{reason=\"no_key\"} 0\n"),
            ""
        );
    }

    #[test]
    fn the_partition_furthest_behind_is_the_operators_watermark() {
        let text = "millrace_watermark_lag_seconds{operator=\"aggregate-merge\",partition=\"0\"} 65
millrace_watermark_lag_seconds{operator=\"aggregate-partial\",partition=\"0\"} 5.5
millrace_watermark_lag_seconds{operator=\"aggregate-partial\",partition=\"1\"} 6.25
millrace_open_transaction_seconds{operator=\"aggregate-partial\",partition=\"0\"} 31.5
millrace_open_transaction_seconds{operator=\"aggregate-partial\",partition=\"1\"} 0
millrace_open_transaction_seconds{operator=\"aggregate-merge\",partition=\"0\"} 0
millrace_open_windows{operator=\"aggregate-partial\",partition=\"0\"} 1
millrace_open_windows{operator=\"aggregate-partial\",partition=\"1\"} 2
millrace_windows_closed_total{operator=\"aggregate-merge\"} 9
";
        let found = parse_watermarks(text, 1_000_000);
        assert_eq!(found.len(), 2);
        let (merge, partial) = (&found[0], &found[1]);
        assert_eq!(
            (merge.watermark_ms, merge.open_windows, merge.closed_windows),
            (935_000, None, Some(9.0))
        );
        assert_eq!((partial.watermark_ms, partial.partitions), (993_750, 2));
        assert_eq!((partial.open_windows, partial.closed_windows), (Some(3.0), None));
        assert_eq!(
            (partial.open_transaction_s, merge.open_transaction_s),
            (Some(31.5), None)
        );
    }
}
