//! Puts templates and policy on a server.

use std::fmt;

use millrace_settings::Elasticsearch as Settings;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use thiserror::Error;

use super::fields::differences;
use super::{index_pattern, lifecycle, mapping_text, template, template_name};
use crate::bulk::fault::{self, Cause, Fault, IndexFault};
use crate::client::{Elasticsearch, explain};
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
    /// An index that is there cannot be written to; why, and what to do. Others can.
    Unfit(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created => f.write_str("created"),
            Self::Updated => f.write_str("updated"),
            Self::Unchanged => f.write_str("unchanged"),
            Self::Missing(reason) => write!(f, "not put: {reason}"),
            Self::Unfit(reason) => write!(f, "takes no documents: {reason}"),
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
        /// Whose fault it is; `None` where the words are not Elasticsearch's.
        fault: Option<Fault>,
    },
}

/// Puts the lifecycle policy, where the server has such, and every template; adds new fields to the
/// indices there are. Done again it changes nothing. Gives each name with what became of it; an
/// index that cannot take the new fields is named with the reason, and is no error: the others can
/// be written to.
///
/// # Errors
/// The server does not answer, or refuses a template.
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
        let pattern = index_pattern(stream, settings);
        for (index, outcome) in add_fields(client, stream, &pattern).await? {
            if outcome != Outcome::Unchanged {
                outcomes.push((format!("index {index}"), outcome));
            }
        }
    }
    Ok(outcomes)
}

/// Puts the policy and the template of one stream.
pub(crate) async fn put_stream(
    client: &Elasticsearch,
    stream: Stream,
    settings: &Settings,
) -> Result<Outcome, TemplateError> {
    let policy_name = lifecycle::policy_name(settings);
    let has_policy = !matches!(lifecycle::put(client, settings).await?, Outcome::Missing(_));
    put(client, stream, settings, has_policy.then_some(&*policy_name)).await
}

async fn put(
    client: &Elasticsearch,
    stream: Stream,
    settings: &Settings,
    policy: Option<&str>,
) -> Result<Outcome, TemplateError> {
    let name = template_name(stream, settings);
    let wanted = template(stream, settings, &mapping(stream), policy);
    let before = get(client, &name).await?;
    if before.as_ref() == Some(&normalized(&wanted)) {
        return Ok(Outcome::Unchanged);
    }
    let action = format!("put the index template {name}");
    let request = client.request(Method::PUT, &["_index_template", &name]);
    let (status, body) = sent(&action, request.json(&wanted)).await?;
    checked(&action, status, body)?;
    Ok(if before.is_some() {
        Outcome::Updated
    } else {
        Outcome::Created
    })
}

/// Adds the fields that the indices of `name` (an index, an alias or a pattern) lack; gives each
/// index with what became of it.
pub(crate) async fn add_fields(
    client: &Elasticsearch,
    stream: Stream,
    name: &str,
) -> Result<Vec<(String, Outcome)>, TemplateError> {
    let wanted = mapping(stream);
    let action = format!("get the mapping of {name}");
    let request = client.request(Method::GET, &[name, "_mapping"]);
    let (status, body) = sent(&action, request.query(&[("allow_no_indices", "true")])).await?;
    let answer = checked(&action, status, body)?;
    let mut outcomes = Vec::new();
    for (index, there) in answer.as_object().into_iter().flatten() {
        let found = differences(&wanted, &there["mappings"]);
        let outcome = match (found.conflict(), found.is_incomplete) {
            (Some(conflict), _) => Outcome::Unfit(format!("{conflict}: {}", IndexFault::Mapping.remedy())),
            (None, false) => Outcome::Unchanged,
            (None, true) => match put_fields(client, index, &wanted).await {
                Ok(()) => Outcome::Updated,
                Err(TemplateError::Refused { answer, .. }) => Outcome::Unfit(answer),
                Err(unreachable) => return Err(unreachable),
            },
        };
        outcomes.push((index.clone(), outcome));
    }
    Ok(outcomes)
}

async fn put_fields(client: &Elasticsearch, index: &str, mapping: &Value) -> Result<(), TemplateError> {
    let action = format!("add new fields to the index {index}");
    let request = client.request(Method::PUT, &[index, "_mapping"]).json(mapping);
    let (status, body) = sent(&action, request).await?;
    checked(&action, status, body).map(drop)
}

/// The template that is there.
async fn get(client: &Elasticsearch, name: &str) -> Result<Option<Value>, TemplateError> {
    let action = format!("get the index template {name}");
    let request = client.request(Method::GET, &["_index_template", name]);
    let (status, body) = sent(&action, request).await?;
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

/// A stream's mapping.
pub(crate) fn mapping(stream: Stream) -> Value {
    serde_json::from_str(mapping_text(stream)).expect("a mapping of ours is JSON")
}

/// Status and body of the answer to a request.
pub(crate) async fn sent(action: &str, request: RequestBuilder) -> Result<(u16, String), TemplateError> {
    let unreachable = |error: reqwest::Error| TemplateError::Unreachable {
        action: action.to_owned(),
        cause: explain(&error),
    };
    let response = request.send().await.map_err(unreachable)?;
    let status = response.status().as_u16();
    Ok((status, response.text().await.map_err(unreachable)?))
}

/// The body of a success.
pub(crate) fn checked(action: &str, status: u16, body: String) -> Result<Value, TemplateError> {
    let refused = |answer: String| {
        let cause = Cause::of(answer.as_bytes());
        TemplateError::Refused {
            action: action.to_owned(),
            status,
            fault: cause.as_ref().map(|cause| fault::of_item(status, cause)),
            answer: cause.map_or_else(|| answer.chars().take(1_000).collect(), |cause| cause.message()),
        }
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
