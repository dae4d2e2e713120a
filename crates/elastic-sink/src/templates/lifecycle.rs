//! The lifecycle policy, where the server has lifecycle management.

use millrace_domain::plan::{Consent, Item, State};
use millrace_settings::Elasticsearch as Settings;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::Elasticsearch;

use super::plan::{self, MANAGED_BY};
use super::put::{Planned, TemplateError, Write, checked, is_no_handler, sent};

/// The name of the policy.
pub(super) fn policy_name(settings: &Settings) -> String {
    format!("{}millrace", settings.index_prefix)
}

/// Whether the server has lifecycle management, and what is to be done about the policy.
pub(super) async fn plan(
    client: &Elasticsearch,
    settings: &Settings,
    consent: Consent,
) -> Result<Planned, TemplateError> {
    let name = policy_name(settings);
    let action = format!("get the lifecycle policy {name}");
    let request = client.request(Method::GET, &["_ilm", "policy", &name]);
    let (status, body) = sent(&action, request).await?;
    let state = if is_no_handler(status, &body) {
        State::Skipped(
            "this server has no index lifecycle management: indices stay until someone deletes them"
                .to_owned(),
        )
    } else if status == 404 {
        State::New
    } else {
        let found = &checked(&action, status, body)?[&name]["policy"];
        plan::policy(found, settings.retention_days, consent)
    };
    let body = json!({
        "_meta": { "managed_by": MANAGED_BY },
        "phases": plan::phases(settings.retention_days),
    });
    Ok(Planned {
        item: Item {
            name: format!("lifecycle policy {name}"),
            state,
        },
        write: Write::Policy { name, body },
    })
}

pub(super) async fn put(client: &Elasticsearch, name: &str, policy: &Value) -> Result<(), TemplateError> {
    let action = format!("put the lifecycle policy {name}");
    let request = client.request(Method::PUT, &["_ilm", "policy", name]);
    let (status, body) = sent(&action, request.json(&json!({ "policy": policy }))).await?;
    checked(&action, status, body).map(drop)
}
