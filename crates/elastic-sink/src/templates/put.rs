//! Puts templates and policy on a server.

use std::fmt;

use elasticsearch::Elasticsearch;
use elasticsearch::http::response::Response;
use elasticsearch::indices::{
    IndicesGetIndexTemplateParts, IndicesPutIndexTemplateParts, IndicesPutMappingParts,
};
use millrace_settings::Elasticsearch as Settings;
use serde_json::Value;
use thiserror::Error;

use super::{index_pattern, lifecycle, mapping_text, template, template_name};
use crate::client::explain;
use crate::stream::Stream;

/// What became of a template or policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is new.
    Created,
    /// It was there, and other than it should be.
    Updated,
    /// It was there as it should be.
    Unchanged,
    /// The server lacks what it needs; why, and what follows. Everything else works without.
    Missing(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created => f.write_str("created"),
            Self::Updated => f.write_str("updated"),
            Self::Unchanged => f.write_str("unchanged"),
            Self::Missing(reason) => write!(f, "not put: {reason}"),
        }
    }
}

/// Why the templates cannot be put.
#[derive(Debug, Error)]
pub enum TemplateError {
    /// The server does not answer.
    #[error("cannot {action}: Elasticsearch does not answer: {cause}")]
    Unreachable {
        /// What was to be done.
        action: String,
        /// Why it could not be done.
        cause: String,
    },
    /// The server refuses.
    #[error("cannot {action}: Elasticsearch answers {status}: {answer}")]
    Refused {
        /// What was to be done.
        action: String,
        /// The HTTP status.
        status: u16,
        /// The server's words.
        answer: String,
    },
}

/// Puts the lifecycle policy, where the server has such, and every template; adds new fields to the indices there are.
/// Done again it changes nothing. Gives each name with what became of it.
///
/// # Errors
/// The server does not answer or refuses, as it does where a field of an index there is has another type.
pub async fn put_all(
    client: &Elasticsearch,
    settings: &Settings,
) -> Result<Vec<(String, Outcome)>, TemplateError> {
    let policy_name = lifecycle::policy_name(settings);
    let outcome = lifecycle::put(client, settings).await?;
    let policy = (!matches!(outcome, Outcome::Missing(_))).then(|| policy_name.clone());
    let mut outcomes = vec![(format!("lifecycle policy {policy_name}"), outcome)];
    for stream in Stream::ALL {
        let name = template_name(stream, settings);
        let outcome = put(client, stream, settings, policy.as_deref()).await?;
        outcomes.push((format!("index template {name}"), outcome));
    }
    Ok(outcomes)
}

async fn put(
    client: &Elasticsearch,
    stream: Stream,
    settings: &Settings,
    policy: Option<&str>,
) -> Result<Outcome, TemplateError> {
    let name = template_name(stream, settings);
    let mapping = parsed(mapping_text(stream));
    let wanted = template(stream, settings, &mapping, policy);
    let before = get(client, &name).await?;
    let outcome = match before {
        Some(before) if before == normalized(&wanted) => Outcome::Unchanged,
        before => {
            let action = format!("put the index template {name}");
            let indices = client.indices();
            let request = indices.put_index_template(IndicesPutIndexTemplateParts::Name(&name));
            let (status, body) = sent(&action, request.body(&wanted).send().await).await?;
            checked(&action, status, body)?;
            if before.is_some() {
                Outcome::Updated
            } else {
                Outcome::Created
            }
        }
    };
    let pattern = index_pattern(stream, settings);
    let action = format!("add new fields to the indices {pattern}");
    let patterns = [pattern.as_str()];
    let indices = client.indices();
    let request = indices.put_mapping(IndicesPutMappingParts::Index(&patterns));
    let (status, body) = sent(
        &action,
        request.allow_no_indices(true).body(&mapping).send().await,
    )
    .await?;
    checked(&action, status, body)?;
    Ok(outcome)
}

/// The template that is there.
async fn get(client: &Elasticsearch, name: &str) -> Result<Option<Value>, TemplateError> {
    let action = format!("get the index template {name}");
    let parts = IndicesGetIndexTemplateParts::Name(name);
    let (status, body) = sent(&action, client.indices().get_index_template(parts).send().await).await?;
    if status == 404 {
        return Ok(None);
    }
    let mut answer = checked(&action, status, body)?;
    Ok(Some(normalized(
        &answer["index_templates"][0]["index_template"].take(),
    )))
}

/// A template in a form that can be compared: the server gives numbers in settings as text, and adds what it added of
/// its own (`composed_of`, timestamps).
fn normalized(template: &Value) -> Value {
    let mut kept = serde_json::Map::new();
    for part in ["index_patterns", "priority", "_meta", "template"] {
        kept.insert(part.to_owned(), template[part].clone());
    }
    let mut kept = Value::Object(kept);
    if let Some(index) = kept
        .pointer_mut("/template/settings/index")
        .and_then(Value::as_object_mut)
    {
        for value in index.values_mut().filter(|value| value.is_number()) {
            *value = Value::String(value.to_string());
        }
    }
    kept
}

fn parsed(mapping: &str) -> Value {
    serde_json::from_str(mapping).expect("a mapping of ours is JSON")
}

/// Status and body of an answer.
pub(super) async fn sent(
    action: &str,
    response: Result<Response, elasticsearch::Error>,
) -> Result<(u16, String), TemplateError> {
    let unreachable = |error: elasticsearch::Error| TemplateError::Unreachable {
        action: action.to_owned(),
        cause: explain(&error),
    };
    let response = response.map_err(unreachable)?;
    let status = response.status_code().as_u16();
    Ok((status, response.text().await.map_err(unreachable)?))
}

/// The body of a success.
pub(super) fn checked(action: &str, status: u16, body: String) -> Result<Value, TemplateError> {
    let refused = |answer: String| TemplateError::Refused {
        action: action.to_owned(),
        status,
        answer: answer.chars().take(1_000).collect(),
    };
    if !(200..300).contains(&status) {
        return Err(refused(body));
    }
    serde_json::from_str(&body).map_err(|error| refused(format!("{error}: {body}")))
}

/// Whether the server does not know the path: the module that would is not there. 400 and 405 carry the same words.
pub(super) fn is_no_handler(status: u16, body: &str) -> bool {
    matches!(status, 400 | 405)
        && (body.contains("no handler found for uri") || body.contains("Incorrect HTTP method for uri"))
}
