//! What Elasticsearch holds.

use anyhow::{Context, bail};
use elasticsearch::indices::IndicesRefreshParts;
use elasticsearch::{Elasticsearch, SearchParts};
use millrace_domain::{Currency, MerchantAggregate, Sum};
use millrace_elastic_sink::client;
use millrace_elastic_sink::stream::Stream;
use millrace_settings::Settings;
use serde::Deserialize;
use serde_json::{Value, json};

use super::compare::Indexed;
use super::totals::{Totals, Windows, add_to};

/// Windows and currencies in one page of the answer.
const PAGE: usize = 5_000;

/// Doubles above this need not be exact integers, and Elasticsearch adds up in doubles.
const EXACT_BELOW: f64 = 9_007_199_254_740_992.0;

/// The server, with the indices that are looked at.
pub struct Index {
    client: Elasticsearch,
    aggregates: String,
    anomalies: String,
}

#[derive(Deserialize)]
struct Answer {
    timed_out: bool,
    hits: Hits,
    aggregations: Option<Aggregations>,
}

#[derive(Deserialize)]
struct Hits {
    total: Total,
}

#[derive(Deserialize)]
struct Total {
    value: u64,
}

#[derive(Deserialize)]
struct Aggregations {
    windows: Page,
}

#[derive(Deserialize)]
struct Page {
    after_key: Option<Value>,
    buckets: Vec<Bucket>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bucket {
    key: Key,
    purchase_count: Figure,
    purchase_sum_units: Figure,
    refund_count: Figure,
    refund_sum_units: Figure,
}

#[derive(Deserialize)]
struct Key {
    start_ms: i64,
    currency: String,
}

#[derive(Deserialize)]
struct Figure {
    value: f64,
}

impl Index {
    /// Makes the client; nothing is connected yet.
    ///
    /// # Errors
    /// The settings are wrong.
    pub fn new(settings: &Settings) -> anyhow::Result<Self> {
        let prefix = &settings.elasticsearch.index_prefix;
        let pattern = |stream: Stream| format!("{prefix}{}-*", stream.index());
        Ok(Self {
            client: client::connect(&settings.elasticsearch)?,
            aggregates: pattern(Stream::Aggregates),
            anomalies: pattern(Stream::Anomalies),
        })
    }

    /// Makes every document visible and adds them up.
    ///
    /// # Errors
    /// The server is away or refuses, or a sum is too large to be exact.
    pub async fn look(&self) -> anyhow::Result<Indexed> {
        let indices = [self.aggregates.as_str(), self.anomalies.as_str()];
        let refreshed = self
            .client
            .indices()
            .refresh(IndicesRefreshParts::Index(&indices))
            .send()
            .await;
        accepted(refreshed, "refresh its indices").await?;
        let anomalies = self
            .search(&self.anomalies, &json!({ "size": 0, "track_total_hits": true }))
            .await?;
        let (aggregate_count, aggregates) = self.aggregates().await?;
        Ok(Indexed {
            aggregates,
            aggregate_count,
            anomalies: anomalies.hits.total.value,
        })
    }

    /// Number and sums of the final results: where early ones are on, open windows have documents too.
    async fn aggregates(&self) -> anyhow::Result<(u64, Windows)> {
        let mut windows = Windows::new();
        let mut after: Option<Value> = None;
        loop {
            let mut composite = json!({
                "size": PAGE,
                "sources": [
                    { "start_ms": { "terms": { "field": "@timestamp" } } },
                    { "currency": { "terms": { "field": "currency" } } },
                ],
            });
            if let Some(after) = &after {
                composite["after"] = after.clone();
            }
            let figures = [
                "purchaseCount",
                "purchaseSumUnits",
                "refundCount",
                "refundSumUnits",
            ];
            let sums: Value = figures
                .iter()
                .map(|&field| (field.to_owned(), json!({ "sum": { "field": field } })))
                .collect::<serde_json::Map<_, _>>()
                .into();
            let body = json!({
                "size": 0,
                "track_total_hits": true,
                "query": { "term": { "revision": MerchantAggregate::FINAL } },
                "aggs": { "windows": { "composite": composite, "aggs": sums } },
            });
            let answer = self.search(&self.aggregates, &body).await?;
            let count = answer.hits.total.value;
            // Without an index there is no aggregation in the answer.
            let Some(page) = answer.aggregations.map(|aggregations| aggregations.windows) else {
                return Ok((count, windows));
            };
            for bucket in &page.buckets {
                let currency = Currency::parse(bucket.key.currency.as_bytes())?;
                add_to(&mut windows, bucket.key.start_ms, currency, &bucket.totals()?);
            }
            after = page.after_key;
            if after.is_none() {
                return Ok((count, windows));
            }
        }
    }

    async fn search(&self, index: &str, body: &Value) -> anyhow::Result<Answer> {
        let sent = self
            .client
            .search(SearchParts::Index(&[index]))
            .body(body)
            .send()
            .await;
        let what = format!("search {index}");
        let response = accepted(sent, &what).await?;
        let answer: Answer = response
            .json()
            .await
            .with_context(|| format!("the answer to {what} is not as expected"))?;
        if answer.timed_out {
            bail!("Elasticsearch gave part of an answer when asked to {what}");
        }
        Ok(answer)
    }
}

impl Bucket {
    fn totals(&self) -> anyhow::Result<Totals> {
        Ok(Totals {
            purchase_count: exact(&self.purchase_count)? as u64,
            purchase_sum: Sum::from_units(exact(&self.purchase_sum_units)?),
            refund_count: exact(&self.refund_count)? as u64,
            refund_sum: Sum::from_units(exact(&self.refund_sum_units)?),
        })
    }
}

fn exact(figure: &Figure) -> anyhow::Result<i128> {
    if figure.value.abs() >= EXACT_BELOW {
        bail!(
            "a window's sum of {} units is too large for Elasticsearch to add up exactly",
            figure.value
        );
    }
    Ok(figure.value as i128)
}

async fn accepted(
    sent: Result<elasticsearch::http::response::Response, elasticsearch::Error>,
    what: &str,
) -> anyhow::Result<elasticsearch::http::response::Response> {
    let response =
        sent.map_err(|error| anyhow::anyhow!("Elasticsearch did not {what}: {}", client::explain(&error)))?;
    let status = response.status_code();
    if !status.is_success() {
        let text = response.text().await.unwrap_or_default();
        bail!(
            "Elasticsearch did not {what}: {status}: {}",
            text.chars().take(500).collect::<String>()
        );
    }
    Ok(response)
}
