//! The lifecycle policy, where the server has lifecycle management.

use millrace_settings::Elasticsearch as Settings;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::Elasticsearch;

use super::put::{Outcome, TemplateError, checked, is_no_handler, sent};

/// The name of the policy.
pub(super) fn policy_name(settings: &Settings) -> String {
    format!("{}millrace", settings.index_prefix)
}

fn policy(settings: &Settings) -> Value {
    json!({
        "_meta": { "managed_by": "millrace" },
        "phases": {
            "hot": { "min_age": "0ms", "actions": {} },
            "delete": {
                "min_age": format!("{}d", settings.retention_days),
                "actions": { "delete": { "delete_searchable_snapshot": true } },
            },
        },
    })
}

/// Puts the policy unless it is there as it should be.
pub(super) async fn put(client: &Elasticsearch, settings: &Settings) -> Result<Outcome, TemplateError> {
    let name = policy_name(settings);
    let action = format!("get the lifecycle policy {name}");
    let path = ["_ilm", "policy", &name];
    let (status, body) = sent(&action, client.request(Method::GET, &path)).await?;
    if is_no_handler(status, &body) {
        return Ok(Outcome::Missing(
            "this server has no index lifecycle management: indices stay until someone deletes them"
                .to_owned(),
        ));
    }
    let wanted = policy(settings);
    let before = match status {
        404 => None,
        _ => Some(checked(&action, status, body)?[&name]["policy"].take()),
    };
    if before.as_ref() == Some(&wanted) {
        return Ok(Outcome::Unchanged);
    }
    let action = format!("put the lifecycle policy {name}");
    let request = client
        .request(Method::PUT, &path)
        .json(&json!({ "policy": wanted }));
    let (status, body) = sent(&action, request).await?;
    checked(&action, status, body)?;
    Ok(if before.is_some() {
        Outcome::Updated
    } else {
        Outcome::Created
    })
}
