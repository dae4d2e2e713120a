//! What Elasticsearch holds.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use millrace_catalog::DocumentSpec;
use millrace_catalog::payments::{AGGREGATE_DOCUMENTS, ANOMALY_DOCUMENTS};
use millrace_domain::{Currency, MerchantAggregate, Sum};
use millrace_elastic_sink::client::{self, Elasticsearch};
use millrace_settings::Settings;
use reqwest::{Method, RequestBuilder, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::figures::Indexed;
use super::totals::{Totals, Windows, add_to};

/// Windows and currencies, or documents, in one page of an answer.
const PAGE: usize = 5_000;

/// What is added up.
const FIGURES: [&str; 4] = [
    "purchaseCount",
    "purchaseSumUnits",
    "refundCount",
    "refundSumUnits",
];

/// Doubles above this need not be exact integers, and Elasticsearch adds up in doubles.
const EXACT_BELOW: f64 = 9_007_199_254_740_992.0;

/// The server, with the indices that are looked at.
pub struct Index {
    client: Elasticsearch,
    prefix: String,
    aggregates: String,
    anomalies: String,
}

/// How many documents a stream has, and what a field of them adds up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Total {
    pub(crate) documents: u64,
    pub(crate) sum: u64,
}

#[derive(Deserialize)]
struct Answer {
    timed_out: bool,
    hits: Hits,
    aggregations: Option<Aggregations>,
}

#[derive(Deserialize)]
struct Hits {
    /// Only counted where it was asked for.
    total: Option<HitCount>,
    #[serde(default)]
    hits: Vec<Hit>,
}

#[derive(Deserialize)]
struct Hit {
    #[serde(rename = "_source")]
    source: Document,
    sort: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    purchase_count: u64,
    purchase_sum_units: i64,
    refund_count: u64,
    refund_sum_units: i64,
}

#[derive(Deserialize)]
struct HitCount {
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
    #[serde(rename = "doc_count")]
    doc_count: u64,
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
        let pattern = |of: &DocumentSpec| format!("{prefix}{}-*", of.index);
        Ok(Self {
            client: client::connect(&settings.elasticsearch)?,
            prefix: prefix.clone(),
            aggregates: pattern(&AGGREGATE_DOCUMENTS),
            anomalies: pattern(&ANOMALY_DOCUMENTS),
        })
    }

    /// Makes every document visible and adds them up.
    ///
    /// # Errors
    /// The server is away or refuses.
    pub async fn look(&self) -> anyhow::Result<Indexed> {
        let indices = format!("{},{}", self.aggregates, self.anomalies);
        let refresh = self.client.request(Method::POST, &[&indices, "_refresh"]);
        accepted(refresh, "refresh its indices").await?;
        let anomalies = self
            .search(&self.anomalies, &json!({ "size": 0, "track_total_hits": true }))
            .await?;
        let (documents, aggregates) = self.aggregates().await?;
        Ok(Indexed {
            aggregates,
            documents,
            anomalies: anomalies.hits.total.map_or(0, |total| total.value),
        })
    }

    /// Makes the documents of a stream visible, counts them and adds a field up.
    ///
    /// # Errors
    /// The server is away or refuses, or the sum is beyond what it adds exactly.
    pub(crate) async fn total(&self, of: &DocumentSpec, field: &str) -> anyhow::Result<Total> {
        let pattern = format!("{}{}-*", self.prefix, of.index);
        let refresh = self.client.request(Method::POST, &[&pattern, "_refresh"]);
        accepted(refresh, &format!("refresh {pattern}")).await?;
        let body = json!({
            "size": 0, "track_total_hits": true, "aggs": { "sum": { "sum": { "field": field } } },
        });
        let what = format!("search {pattern}");
        let request = self.client.request(Method::POST, &[&pattern, "_search"]);
        let answer: Value = accepted(request.json(&body), &what).await?.json().await?;
        if answer["timed_out"] == true {
            bail!("Elasticsearch gave part of an answer when asked to {what}");
        }
        // Without an index there is no aggregation in the answer.
        let sum = Figure {
            value: answer["aggregations"]["sum"]["value"].as_f64().unwrap_or(0.0),
        };
        let sum = exact(&sum).context("the sum is beyond what Elasticsearch adds exactly")?;
        Ok(Total {
            documents: answer["hits"]["total"]["value"].as_u64().unwrap_or(0),
            sum: u64::try_from(sum)?,
        })
    }

    /// Number and sums of the final results: where early ones are on, open windows have documents
    /// too.
    async fn aggregates(&self) -> anyhow::Result<(BTreeMap<i64, u64>, Windows)> {
        let (mut documents, mut windows) = (BTreeMap::new(), Windows::new());
        let mut inexact = Vec::new();
        let mut after: Option<Value> = None;
        loop {
            let answer = self
                .search(&self.aggregates, &page_of_windows(after.as_ref()))
                .await?;
            // Without an index there is no aggregation in the answer.
            let Some(page) = answer.aggregations.map(|aggregations| aggregations.windows) else {
                break;
            };
            for bucket in &page.buckets {
                let (start_ms, currency) = (
                    bucket.key.start_ms,
                    Currency::parse(bucket.key.currency.as_bytes())?,
                );
                *documents.entry(start_ms).or_default() += bucket.doc_count;
                match bucket.totals() {
                    Some(totals) => add_to(&mut windows, start_ms, currency, &totals),
                    None => inexact.push((start_ms, currency)),
                }
            }
            after = page.after_key;
            if after.is_none() {
                break;
            }
        }
        for (start_ms, currency) in inexact {
            let totals = self.add_up(start_ms, currency).await?;
            add_to(&mut windows, start_ms, currency, &totals);
        }
        Ok((documents, windows))
    }

    /// Adds up the documents of one window and currency themselves, as their sum is beyond what the
    /// server adds exactly.
    async fn add_up(&self, start_ms: i64, currency: Currency) -> anyhow::Result<Totals> {
        let mut totals = Totals::default();
        let mut after: Option<Value> = None;
        loop {
            let body = page_of_documents(start_ms, currency, after.as_ref());
            let hits = self.search(&self.aggregates, &body).await?.hits.hits;
            for hit in &hits {
                totals.add(&hit.source.totals());
            }
            match hits.last() {
                Some(last) => after = Some(last.sort.clone()),
                None => return Ok(totals),
            }
        }
    }

    async fn search(&self, index: &str, body: &Value) -> anyhow::Result<Answer> {
        let request = self.client.request(Method::POST, &[index, "_search"]);
        let what = format!("search {index}");
        let response = accepted(request.json(body), &what).await?;
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

/// Asks for sums by window and currency.
fn page_of_windows(after: Option<&Value>) -> Value {
    let mut composite = json!({
        "size": PAGE,
        "sources": [
            { "start_ms": { "terms": { "field": "@timestamp" } } },
            { "currency": { "terms": { "field": "currency" } } },
        ],
    });
    if let Some(after) = after {
        composite["after"] = after.clone();
    }
    let sums: Value = FIGURES
        .iter()
        .map(|&field| (field.to_owned(), json!({ "sum": { "field": field } })))
        .collect::<serde_json::Map<_, _>>()
        .into();
    json!({
        "size": 0,
        "query": { "term": { "revision": MerchantAggregate::FINAL } },
        "aggs": { "windows": { "composite": composite, "aggs": sums } },
    })
}

/// Asks for the figures of each document of a window and currency. A merchant has one of them.
fn page_of_documents(start_ms: i64, currency: Currency, after: Option<&Value>) -> Value {
    let mut body = json!({
        "size": PAGE,
        "query": { "bool": { "filter": [
            { "term": { "revision": MerchantAggregate::FINAL } },
            { "term": { "@timestamp": { "value": start_ms } } },
            { "term": { "currency": currency.as_str() } },
        ] } },
        "_source": FIGURES,
        "sort": [ { "merchantId": "asc" } ],
    });
    if let Some(after) = after {
        body["search_after"] = after.clone();
    }
    body
}

impl Document {
    fn totals(&self) -> Totals {
        Totals {
            purchase_count: self.purchase_count,
            purchase_sum: Sum::from_units(i128::from(self.purchase_sum_units)),
            refund_count: self.refund_count,
            refund_sum: Sum::from_units(i128::from(self.refund_sum_units)),
        }
    }
}

impl Bucket {
    /// `None` where a figure is beyond what the server adds exactly.
    fn totals(&self) -> Option<Totals> {
        Some(Totals {
            purchase_count: exact(&self.purchase_count)? as u64,
            purchase_sum: Sum::from_units(exact(&self.purchase_sum_units)?),
            refund_count: exact(&self.refund_count)? as u64,
            refund_sum: Sum::from_units(exact(&self.refund_sum_units)?),
        })
    }
}

/// What is added is never negative, so that no sum on the way was larger than the last.
fn exact(figure: &Figure) -> Option<i128> {
    (figure.value.abs() < EXACT_BELOW).then_some(figure.value as i128)
}

async fn accepted(request: RequestBuilder, what: &str) -> anyhow::Result<Response> {
    let response = request
        .send()
        .await
        .map_err(|error| anyhow::anyhow!("Elasticsearch did not {what}: {}", client::explain(&error)))?;
    let status = response.status();
    if !status.is_success() {
        let text = response.text().await.unwrap_or_default();
        bail!(
            "Elasticsearch did not {what}: {status}: {}",
            text.chars().take(500).collect::<String>()
        );
    }
    Ok(response)
}
