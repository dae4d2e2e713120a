//! Looking into Elasticsearch over plain HTTP.

use anyhow::{Context, Result, ensure};
use millrace_settings::Settings;
use serde_json::Value;

/// Number of documents in the monthly indices of `index`, after a refresh; `None` while an index
/// just made has no shard that can be searched.
///
/// # Errors
/// Elasticsearch does not answer, or refuses.
pub async fn count(settings: &Settings, index: &str) -> Result<Option<u64>> {
    let counted = search(
        settings,
        index,
        &serde_json::json!({"size": 0, "track_total_hits": true}),
    )
    .await?;
    if counted["status"] == 503 {
        return Ok(None);
    }
    Ok(Some(
        counted["hits"]["total"]["value"]
            .as_u64()
            .context("an answer without a total")?,
    ))
}

/// Runs a search over the monthly indices of `index`, after a refresh. An answer that no shard can
/// be searched comes back as it is, with `status` 503.
///
/// # Errors
/// Elasticsearch does not answer, or refuses.
pub async fn search(settings: &Settings, index: &str, body: &Value) -> Result<Value> {
    let indices = format!(
        "{}/{}{index}-*",
        settings.elasticsearch.url, settings.elasticsearch.index_prefix
    );
    let client = reqwest::Client::new();
    let refreshed = client
        .post(format!("{indices}/_refresh?allow_no_indices=true"))
        .send()
        .await?;
    let refresh_status = refreshed.status();
    ensure!(
        refresh_status.is_success() || refresh_status == 503,
        "refreshing {index}: {}",
        refreshed.text().await?
    );
    let answer = client
        .post(format!("{indices}/_search?allow_no_indices=true"))
        .json(body)
        .send()
        .await?;
    let (status, answer) = (answer.status(), answer.json::<Value>().await?);
    ensure!(
        status.is_success() || status == 503,
        "searching {index}: {answer}"
    );
    Ok(answer)
}

/// Calls Elasticsearch at `url`; gives status and body, null where that is no JSON.
///
/// # Errors
/// It does not answer.
pub async fn call(
    url: &str,
    method: reqwest::Method,
    path: &str,
    body: Option<&Value>,
) -> Result<(u16, Value)> {
    let mut request = reqwest::Client::new().request(method, format!("{url}/{path}"));
    if let Some(body) = body {
        request = request.json(body);
    }
    let answer = request.send().await?;
    let (status, text) = (answer.status().as_u16(), answer.text().await?);
    Ok((status, serde_json::from_str(&text).unwrap_or_default()))
}
