//! One line about the pipeline, from the services' metrics.

use std::time::{Duration, Instant};

use indicatif::HumanCount;
use millrace_catalog::Service;
use millrace_settings::Settings;
use reqwest::Client;

use super::services::url;
use millrace_telemetry::exposition;

/// A slow answer must not hold up the watch over the processes.
const TIMEOUT: Duration = Duration::from_millis(700);

/// Looks at the services now and then, and remembers the last look for the rate.
#[derive(Debug)]
pub(super) struct Summary<'a> {
    settings: &'a Settings,
    http: Client,
    last: Option<(Instant, f64)>,
}

impl<'a> Summary<'a> {
    pub(super) fn new(settings: &'a Settings) -> anyhow::Result<Self> {
        Ok(Self {
            settings,
            http: millrace_http::local_client(TIMEOUT)?,
            last: None,
        })
    }

    /// The line. What a service does not tell is left out.
    pub(super) async fn look(&mut self) -> String {
        let texts = self.settings.services().map(|service| self.metrics(service));
        let texts = futures::future::join_all(texts).await;
        let of = |wanted: Service| {
            let mut all = self.settings.services().zip(&texts);
            let found = all.find(|(service, _)| *service == wanted);
            found.and_then(|(_, text)| text.as_deref()).unwrap_or_default()
        };
        let (producer, aggregator) = (of(Service::Producer), of(Service::Aggregator));
        let mut parts = Vec::new();
        if let Some(acknowledged) = exposition::sum(producer, "millrace_producer_acknowledged_total") {
            let rate = self
                .rate(acknowledged)
                .map_or_else(String::new, |rate| format!(" ({}/s)", count(rate)));
            parts.push(format!("{} acknowledged{rate}", count(acknowledged)));
        }
        let closed = exposition::samples(aggregator, "millrace_windows_closed_total")
            .filter(|sample| sample.label("operator") == Some("aggregate-merge"))
            .map(|sample| sample.value)
            .sum::<f64>();
        if !aggregator.is_empty() {
            parts.push(format!("{} windows closed", count(closed)));
        }
        if let Some(alerts) = exposition::sum(of(Service::Detector), "millrace_anomalies_total") {
            parts.push(format!("{} anomalies", count(alerts)));
        }
        if let Some(documents) = exposition::sum(of(Service::ElasticSink), "millrace_sink_documents_total") {
            parts.push(format!("{} documents", count(documents)));
        }
        let lag = texts
            .iter()
            .flatten()
            .filter_map(|text| exposition::sum(text, "millrace_consumer_lag_records"))
            .fold(None, |most: Option<f64>, lag| {
                Some(most.map_or(lag, |most| most.max(lag)))
            });
        if let Some(lag) = lag {
            parts.push(format!("lag {}", count(lag)));
        }
        if parts.is_empty() {
            "no service answers".to_owned()
        } else {
            parts.join(" · ")
        }
    }

    async fn metrics(&self, service: Service) -> Option<String> {
        let url = url(service, self.settings, "/metrics");
        self.http.get(url).send().await.ok()?.text().await.ok()
    }

    fn rate(&mut self, acknowledged: f64) -> Option<f64> {
        let now = Instant::now();
        let (at, before) = self.last.replace((now, acknowledged))?;
        // A producer that was started anew counts from 0.
        let since_s = now.duration_since(at).as_secs_f64();
        (acknowledged >= before && since_s > 0.0).then(|| (acknowledged - before) / since_s)
    }
}

/// A counter for a person. Counters are never negative, and a float holds them exactly.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn count(value: f64) -> HumanCount {
    HumanCount(value.round() as u64)
}
