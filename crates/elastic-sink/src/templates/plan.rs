//! What is to be done about a template or policy that is there already: found × wanted, without
//! I/O.
//!
//! # Decision
//! *Last applied.* Whether somebody has changed a template of ours, or our configuration has
//! changed, cannot be told from what is found and what is wanted. So a template says in its
//! `_meta.last_applied` what Millrace has set, as `kubectl apply` does in an annotation: what is as
//! Millrace left it follows the configuration, and what is not stays.

use millrace_domain::plan::{Action, Consent, Difference, Need, State};
use serde_json::{Map, Value, json};

use super::fields;

/// What says that a template or policy is Millrace's.
pub(super) const MANAGED_BY: &str = "millrace";

/// The settings of a template that are compared: each by its name, and where it is.
const SETTINGS: [(&str, &[&str]); 5] = [
    ("index_patterns", &["index_patterns"]),
    ("priority", &["priority"]),
    (
        "index.number_of_shards",
        &["template", "settings", "index", "number_of_shards"],
    ),
    (
        "index.number_of_replicas",
        &["template", "settings", "index", "number_of_replicas"],
    ),
    (
        "index.lifecycle.name",
        &["template", "settings", "index", "lifecycle", "name"],
    ),
];

/// What a template may be sent back with; the server adds more when it is asked for it.
const PARTS: [&str; 9] = [
    "index_patterns",
    "priority",
    "_meta",
    "template",
    "composed_of",
    "ignore_missing_component_templates",
    "version",
    "allow_auto_create",
    "deprecated",
];

/// A template with what it sets noted in it.
pub(super) fn noted(mut template: Value) -> Value {
    let applied: Map<String, Value> = SETTINGS
        .iter()
        .map(|(name, path)| ((*name).to_owned(), text(at(&template, path)).into()))
        .collect();
    template["_meta"]["last_applied"] = applied.into();
    template
}

/// What is done about the template `found`, where a new one would be `wanted`; and what is put if
/// something is written.
pub(super) fn template(found: &Value, wanted: &Value, consent: Consent) -> (State, Value) {
    if !found["data_stream"].is_null() {
        let reason = "it makes data streams, which take no external versions, so that a replay would double every \
                      document. Remove it, or choose another elasticsearch.index_prefix";
        return (State::Refused(reason.to_owned()), Value::Null);
    }
    if !is_ours(found) {
        let reason = "new indices get its settings, and Millrace's mapping all the same";
        let values = ("somebody else's", "Millrace's");
        let difference = Difference::decide("template", values, (Need::Optional, reason), consent);
        return (State::of(vec![difference]), wanted.clone());
    }
    let mut body = writable(found);
    let mut differences = Vec::new();
    for (name, path) in SETTINGS {
        let applied = found["_meta"]["last_applied"][name].as_str();
        let (there, here) = (text(at(found, path)), text(at(wanted, path)));
        let rule = match applied {
            Some(applied) if applied != there => (
                Need::Optional,
                "somebody has changed it since Millrace set it, and it reaches new indices alone",
            ),
            _ => (
                Need::Required,
                "Millrace set it, and the configuration has changed; it reaches new indices alone",
            ),
        };
        if there == here {
            body["_meta"]["last_applied"][name] = here.into();
            continue;
        }
        let difference = Difference::decide(name, (&there, &here), rule, consent);
        if difference.action == Action::Change {
            set(&mut body, path, at(wanted, path).clone());
            body["_meta"]["last_applied"][name] = here.into();
        }
        differences.push(difference);
    }
    differences.extend(mapping(found, wanted, &mut body, consent));
    if !found["_meta"]["last_applied"].is_object() {
        let reason = "so that what somebody changes from now on can be told from what Millrace has set";
        let values = ("none", "what is set");
        let rule = (Need::Required, reason);
        differences.push(Difference::decide("_meta.last_applied", values, rule, consent));
    }
    (State::of(differences), body)
}

fn mapping(found: &Value, wanted: &Value, body: &mut Value, consent: Consent) -> Option<Difference> {
    let (there, here) = (&found["template"]["mappings"], &wanted["template"]["mappings"]);
    let compared = fields::differences(here, there);
    let said = match (compared.conflict(), compared.is_incomplete) {
        (Some(conflict), _) => conflict,
        (None, true) => "without what this release has".to_owned(),
        (None, false) => return None,
    };
    merge(&mut body["template"]["mappings"], here);
    let reason = "documents have these fields, and no others are taken";
    let values = (&*said, "this release's");
    Some(Difference::decide(
        "mapping",
        values,
        (Need::Required, reason),
        consent,
    ))
}

/// What is done about the lifecycle policy `found`, where a new one would delete after so many
/// days.
pub(super) fn policy(found: &Value, retention_days: u32, consent: Consent) -> State {
    let wanted = phases(retention_days);
    let there = &found["phases"];
    if *there == wanted {
        return State::AsWanted;
    }
    let min_age = there["delete"]["min_age"].as_str().unwrap_or_default();
    let days = min_age.strip_suffix('d').and_then(|days| days.parse().ok());
    let difference = match days {
        Some(days) if is_ours(found) && *there == phases(days) => {
            let rule = match days < retention_days {
                true => (
                    Need::Required,
                    "indices are kept for elasticsearch.retention_days",
                ),
                false => (
                    Need::Deletes,
                    "indices are kept for longer than elasticsearch.retention_days says",
                ),
            };
            let wanted = format!("{retention_days}d");
            Difference::decide("delete.min_age", (min_age, &wanted), rule, consent)
        }
        _ => {
            let there: String = there.to_string().chars().take(300).collect();
            let values = (&*there, &*wanted.to_string());
            let rule = (
                Need::Deletes,
                "somebody has written it, and it says when indices are deleted",
            );
            Difference::decide("phases", values, rule, consent)
        }
    };
    State::of(vec![difference])
}

/// The phases of a policy that deletes an index so many days after it was made.
pub(super) fn phases(retention_days: u32) -> Value {
    json!({
        "hot": { "min_age": "0ms", "actions": {} },
        "delete": {
            "min_age": format!("{retention_days}d"),
            "actions": { "delete": { "delete_searchable_snapshot": true } },
        },
    })
}

fn is_ours(found: &Value) -> bool {
    found["_meta"]["managed_by"] == MANAGED_BY
}

fn writable(found: &Value) -> Value {
    let parts = PARTS.iter().filter(|part| !found[**part].is_null());
    parts
        .map(|part| ((*part).to_owned(), found[*part].clone()))
        .collect::<Map<_, _>>()
        .into()
}

fn at<'v>(value: &'v Value, path: &[&str]) -> &'v Value {
    path.iter().fold(value, |value, part| &value[*part])
}

fn set(value: &mut Value, path: &[&str], to: Value) {
    *path.iter().fold(value, |value, part| &mut value[*part]) = to;
}

/// The server gives numbers in settings as text.
fn text(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Lays `over` on what is there; fields that are there alone stay.
fn merge(there: &mut Value, over: &Value) {
    match (there, over) {
        (Value::Object(there), Value::Object(over)) if !over.get("type").is_some_and(Value::is_string) => {
            for (name, value) in over {
                merge(there.entry(name).or_insert(Value::Null), value);
            }
        }
        (there, over) => *there = over.clone(),
    }
}

#[cfg(test)]
mod tests;
