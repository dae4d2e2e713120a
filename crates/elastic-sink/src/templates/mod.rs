//! Index templates: one for each stream, with a strict mapping, applied to the index of every
//! month.
//!
//! # Decisions
//! * *Indices by month of event time, no rollover.* A document's index must follow from the
//!   document alone: after a rollover a replay would write the same `_id` into another index, and
//!   have it twice, if it were not looked for in each of them, which costs ([`crate::indices`]).
//! * *Lifecycle only where the server has it.* Index lifecycle management is a module that a plain
//!   server need not have. Where it is, a policy deletes an index `elasticsearch.retention_days`
//!   after the first document of its month came; where it is not, `State::Skipped` says so and
//!   indices stay until someone deletes them.
//! * *Only types of the plain server.* See [`crate::document`] for money. `flattened` keeps the
//!   figures of an anomaly, whose names each rule chooses, in one field, so that `dynamic: strict`
//!   holds and the mapping stays small.
//! * *A template reaches new indices only.* A new field is added to the indices there are as well,
//!   as their strict mappings would refuse it otherwise; of one where a field has another type,
//!   `State::Warning` says so, and it gets no documents ([`crate::indices`]).

pub(crate) mod fields;
mod lifecycle;
mod plan;
pub(crate) mod put;

use serde_json::{Value, json};

use millrace_settings::Elasticsearch as Settings;

pub use put::{Planned, TemplateError, apply, plan_all, put_all};

use crate::stream::Stream;

/// Above the built-in templates (100), as Elastic advises for one's own.
pub(crate) const PRIORITY: u32 = 200;

/// The mapping of a stream's documents.
#[must_use]
pub const fn mapping_text(stream: Stream) -> &'static str {
    stream.spec().mapping
}

/// The name of a stream's template.
#[must_use]
pub fn template_name(stream: Stream, settings: &Settings) -> String {
    format!("{}{}", settings.index_prefix, stream.index())
}

/// What the indices of a stream are called.
#[must_use]
pub fn index_pattern(stream: Stream, settings: &Settings) -> String {
    format!("{}-*", template_name(stream, settings))
}

/// A composable index template.
fn template(stream: Stream, settings: &Settings, mapping: &Value, policy: Option<&str>) -> Value {
    let mut index = json!({
        "number_of_shards": settings.shards,
        "number_of_replicas": settings.replicas,
    });
    if let Some(policy) = policy {
        index["lifecycle"] = json!({ "name": policy });
    }
    plan::noted(json!({
        "index_patterns": [index_pattern(stream, settings)],
        "priority": PRIORITY,
        "_meta": { "managed_by": plan::MANAGED_BY },
        "template": { "settings": { "index": index }, "mappings": mapping },
    }))
}

/// A field of a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its full name, with dots.
    pub name: String,
    /// Its type, such as `keyword`.
    pub kind: String,
}

/// The fields of a stream's documents, without the objects that hold some of them.
///
/// # Panics
/// Never: the mappings are part of the program and checked by its tests.
#[must_use]
pub fn fields(stream: Stream) -> Vec<Field> {
    let mapping: Value = serde_json::from_str(mapping_text(stream)).expect("a mapping of ours is JSON");
    let mut fields = Vec::new();
    collect(&mapping, "", &mut fields);
    fields
}

fn collect(mapping: &Value, parent: &str, fields: &mut Vec<Field>) {
    for (name, field) in mapping["properties"].as_object().into_iter().flatten() {
        let name = format!("{parent}{name}");
        match field["type"].as_str() {
            Some(kind) => fields.push(Field {
                name,
                kind: kind.to_owned(),
            }),
            None => collect(field, &format!("{name}."), fields),
        }
    }
}

#[cfg(test)]
mod tests;
