//! Looks at what a server has of templates, policy and fields, and puts what is lacking.

use millrace_domain::plan::{Consent, Difference, Item, Need, State};
use millrace_settings::{Elasticsearch as Settings, Settings as AllSettings};
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use thiserror::Error;

use super::fields::differences;
use super::{index_pattern, lifecycle, mapping_text, plan, template, template_name};
use crate::bulk::fault::{self, Cause, Fault, IndexFault};
use crate::client::{Elasticsearch, explain};
use crate::stream::Stream;

/// What is to be done about a template, a policy or an index's fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// What it is, what was found, and what is done.
    pub item: Item,
    pub(super) write: Write,
}

/// What is put, if something is written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Write {
    Policy { name: String, body: Value },
    Template { name: String, body: Value },
    Fields { index: String, mapping: Value },
}

/// What the indices of a stream have of its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fields {
    /// All of them.
    Complete,
    /// Not all: the rest can be added.
    Lacking,
    /// Some as other types, or the rest cannot be added: why, and what to do.
    Unfit(String),
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

/// Looks at the lifecycle policy, where the server has such, at every template, and at the fields
/// of the months' indices, and says what is to be done about each; changes nothing. What the server
/// would refuse is refused here.
///
/// # Errors
/// The server does not answer, or refuses to say.
pub async fn plan_all(
    client: &Elasticsearch,
    settings: &AllSettings,
    consent: Consent,
) -> Result<Vec<Planned>, TemplateError> {
    let (streams, settings) = (Stream::of(settings), &settings.elasticsearch);
    let policy = lifecycle::plan(client, settings, consent).await?;
    let has_policies = !matches!(policy.item.state, State::Skipped(_));
    let mut planned = vec![policy];
    for stream in streams {
        let mut template = plan_template(client, stream, settings, (has_policies, consent)).await?;
        if template.item.state.is_written()
            && let Some(reason) = simulated(client, &template.write).await?
        {
            template.item.state = State::Refused(reason);
        }
        planned.push(template);
        planned.extend(plan_fields(client, stream, settings).await?);
    }
    Ok(planned)
}

/// Does what is planned of one thing. An index that does not take the new fields is no error, as
/// the others can be written to: why, and what to do, is given back.
///
/// # Errors
/// The server does not answer, or refuses.
pub async fn apply(client: &Elasticsearch, planned: &Planned) -> Result<Option<String>, TemplateError> {
    if !planned.item.state.is_written() {
        return Ok(None);
    }
    match &planned.write {
        Write::Policy { name, body } => lifecycle::put(client, name, body).await?,
        Write::Template { name, body } => put_template(client, name, body).await?,
        Write::Fields { index, mapping } => match put_fields(client, index, mapping).await {
            Err(TemplateError::Refused { answer, .. }) => return Ok(Some(answer)),
            done => done?,
        },
    }
    Ok(None)
}

/// As [`plan_all`], and does it. What is refused is left alone.
///
/// # Errors
/// The server does not answer, or refuses.
pub async fn put_all(client: &Elasticsearch, settings: &AllSettings) -> Result<Vec<Item>, TemplateError> {
    let planned = plan_all(client, settings, Consent::default()).await?;
    let mut items = Vec::new();
    for one in planned {
        let unfit = apply(client, &one).await?;
        let mut item = one.item;
        if let Some(reason) = unfit {
            item.state = State::Warning(reason);
        }
        items.push(item);
    }
    Ok(items)
}

/// Makes sure of the policy and the template of one stream.
pub(crate) async fn put_stream(
    client: &Elasticsearch,
    stream: Stream,
    settings: &Settings,
) -> Result<(), TemplateError> {
    let consent = Consent::default();
    let policy = lifecycle::plan(client, settings, consent).await?;
    let has_policies = !matches!(policy.item.state, State::Skipped(_));
    apply(client, &policy).await?;
    let template = plan_template(client, stream, settings, (has_policies, consent)).await?;
    apply(client, &template).await.map(drop)
}

async fn plan_template(
    client: &Elasticsearch,
    stream: Stream,
    settings: &Settings,
    (has_policies, consent): (bool, Consent),
) -> Result<Planned, TemplateError> {
    let name = template_name(stream, settings);
    let policy = has_policies.then(|| lifecycle::policy_name(settings));
    let wanted = template(stream, settings, &mapping(stream), policy.as_deref());
    let (state, body) = match get(client, &name).await? {
        None => (State::New, wanted),
        Some(found) => plan::template(&found, &wanted, consent),
    };
    Ok(Planned {
        item: Item {
            name: format!("index template {name}"),
            state,
        },
        write: Write::Template { name, body },
    })
}

/// Why the server would refuse a template, as another one of the same priority has its indices;
/// `None` where it would not.
async fn simulated(client: &Elasticsearch, write: &Write) -> Result<Option<String>, TemplateError> {
    let Write::Template { name, body } = write else {
        return Ok(None);
    };
    let action = format!("try the index template {name}");
    let request = client.request(Method::POST, &["_index_template", "_simulate", name]);
    let (status, answer) = sent(&action, request.json(body)).await?;
    match checked(&action, status, answer) {
        Err(TemplateError::Refused {
            status: 400, answer, ..
        }) => Ok(Some(answer)),
        answer => answer.map(|_| None),
    }
}

async fn put_template(client: &Elasticsearch, name: &str, body: &Value) -> Result<(), TemplateError> {
    let action = format!("put the index template {name}");
    let request = client.request(Method::PUT, &["_index_template", name]);
    let (status, body) = sent(&action, request.json(body)).await?;
    checked(&action, status, body).map(drop)
}

/// Of the months' indices, those that lack fields or have others. An index of another name is not
/// ours, even where it begins as ours do.
async fn plan_fields(
    client: &Elasticsearch,
    stream: Stream,
    settings: &Settings,
) -> Result<Vec<Planned>, TemplateError> {
    let name = template_name(stream, settings);
    let all = fields_of(client, stream, &index_pattern(stream, settings)).await?;
    let months = all.into_iter().filter(|(index, _)| is_month_of(index, &name));
    let planned = months.filter_map(|(index, found)| {
        let state = match found {
            Fields::Complete => return None,
            Fields::Lacking => {
                let values = ("without what this release has", "this release's");
                let rule = (
                    Need::Required,
                    "documents have these fields, and no others are taken",
                );
                State::of(vec![Difference::decide(
                    "mapping",
                    values,
                    rule,
                    Consent::default(),
                )])
            }
            Fields::Unfit(reason) => State::Warning(format!("it takes no documents: {reason}")),
        };
        let name = format!("index {index}");
        let mapping = mapping(stream);
        Some(Planned {
            item: Item { name, state },
            write: Write::Fields { index, mapping },
        })
    });
    Ok(planned.collect())
}

/// Whether `index` is a month's, as `millrace-anomalies-2026.01`, or one that an administrator has
/// put in a month's place, as `millrace-anomalies-2026.01-2`.
fn is_month_of(index: &str, stem: &str) -> bool {
    let Some(month) = index.strip_prefix(stem).and_then(|rest| rest.strip_prefix('-')) else {
        return false;
    };
    let month = month.as_bytes();
    let digits = |range: std::ops::Range<usize>| {
        month
            .get(range)
            .is_some_and(|part| part.iter().all(u8::is_ascii_digit))
    };
    digits(0..4) && month.get(4) == Some(&b'.') && digits(5..7) && matches!(month.get(7), None | Some(b'-'))
}

/// Adds the fields that the indices of `name` (an index, an alias or a pattern) lack; gives each
/// index with what it has then.
pub(crate) async fn add_fields(
    client: &Elasticsearch,
    stream: Stream,
    name: &str,
) -> Result<Vec<(String, Fields)>, TemplateError> {
    let mut all = fields_of(client, stream, name).await?;
    for (index, found) in &mut all {
        if *found == Fields::Lacking {
            *found = match put_fields(client, index, &mapping(stream)).await {
                Ok(()) => Fields::Complete,
                Err(TemplateError::Refused { answer, .. }) => Fields::Unfit(answer),
                Err(unreachable) => return Err(unreachable),
            };
        }
    }
    Ok(all)
}

async fn fields_of(
    client: &Elasticsearch,
    stream: Stream,
    name: &str,
) -> Result<Vec<(String, Fields)>, TemplateError> {
    let wanted = mapping(stream);
    let action = format!("get the mapping of {name}");
    let request = client.request(Method::GET, &[name, "_mapping"]);
    let (status, body) = sent(&action, request.query(&[("allow_no_indices", "true")])).await?;
    let answer = checked(&action, status, body)?;
    let found = |(index, there): (&String, &Value)| {
        let found = differences(&wanted, &there["mappings"]);
        let fields = match (found.conflict(), found.is_incomplete) {
            (Some(conflict), _) => Fields::Unfit(format!("{conflict}: {}", IndexFault::Mapping.remedy())),
            (None, false) => Fields::Complete,
            (None, true) => Fields::Lacking,
        };
        (index.clone(), fields)
    };
    Ok(answer.as_object().into_iter().flatten().map(found).collect())
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
    Ok(Some(answer["index_templates"][0]["index_template"].take()))
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

/// Whether the server does not know the path: the module that would is not there. 400 and 405 carry
/// the same words.
pub(super) fn is_no_handler(status: u16, body: &str) -> bool {
    matches!(status, 400 | 405)
        && (body.contains("no handler found for uri") || body.contains("Incorrect HTTP method for uri"))
}

#[cfg(test)]
mod tests {
    use super::is_month_of;

    #[test]
    fn a_months_index_is_known_by_its_name() {
        let is_month = |index: &str| is_month_of(index, "t1-millrace-anomalies");
        assert!(is_month("t1-millrace-anomalies-2026.01"));
        assert!(is_month("t1-millrace-anomalies-2026.01-2"));
        for other in ["archive", "2026", "2026.1", "2026.013", "2026.01x", "202a.01", ""] {
            assert!(!is_month(&format!("t1-millrace-anomalies-{other}")), "{other}");
        }
        assert!(!is_month("millrace-anomalies-2026.01"));
    }
}
