//! Whether a record and its `.avsc` say the same.

use std::collections::HashMap;

use serde_json::{Map, Value as Json};

/// Compares a record's fields with its schema: the full name, and the fields' names, order and
/// types. Names of enums, documentation and aliases are the schema's own.
///
/// # Errors
/// What differs first, by field.
pub fn check(name: &str, schema: &str, fields: &[(&str, Json)]) -> Result<(), String> {
    let schema: Json =
        serde_json::from_str(schema).map_err(|error| format!("the schema of {name} is no JSON: {error}"))?;
    let text = |key: &str| schema.get(key).and_then(Json::as_str).unwrap_or_default();
    let full_name = match text("namespace") {
        "" => text("name").to_owned(),
        namespace => format!("{namespace}.{}", text("name")),
    };
    if full_name != name {
        return Err(format!(
            "the schema is of {full_name:?}, and the record is {name:?}"
        ));
    }
    let of_schema = schema.get("fields").and_then(Json::as_array);
    let of_schema = of_schema.ok_or_else(|| format!("the schema of {name} has no fields"))?;
    let mut named = HashMap::new();
    for (at, (field, kind)) in fields.iter().enumerate() {
        let Some(found) = of_schema.get(at) else {
            return Err(format!("{name}.{field} is not in the schema"));
        };
        let found_name = found.get("name").and_then(Json::as_str).unwrap_or_default();
        if found_name != *field {
            return Err(format!(
                "field {at} of {name} is {found_name:?} in the schema, and {field:?} in the record"
            ));
        }
        let found_type = plain(found.get("type").unwrap_or(&Json::Null), &mut named);
        let wanted = plain(kind, &mut HashMap::new());
        if found_type != wanted {
            return Err(format!(
                "{name}.{field} is {found_type} in the schema, and {wanted} in the record"
            ));
        }
        let is_optional = kind.is_array();
        if is_optional && found.get("default") != Some(&Json::Null) {
            return Err(format!(
                "{name}.{field} may be null: the schema has to say \"default\": null, for writers without it"
            ));
        }
    }
    match of_schema.get(fields.len()) {
        Some(more) => Err(format!("{name}.{} is not in the record", more["name"])),
        None => Ok(()),
    }
}

/// A type without what does not change its bytes. One that was named before is what it was then.
fn plain(kind: &Json, named: &mut HashMap<String, Json>) -> Json {
    match kind {
        Json::Array(branches) => branches.iter().map(|branch| plain(branch, named)).collect(),
        Json::Object(object) => {
            let kept = ["type", "symbols", "logicalType", "scale"];
            let of = |key: &str| Some((key.to_owned(), object.get(key)?.clone()));
            let plain_object: Map<_, _> = kept.into_iter().filter_map(of).collect();
            let is_alone = plain_object.len() == 1;
            let kind = match object.get("type") {
                Some(alone) if is_alone => plain(alone, named),
                _ => Json::Object(plain_object),
            };
            if let Some(name) = object.get("name").and_then(Json::as_str) {
                named.insert(simple(name).to_owned(), kind.clone());
            }
            kind
        }
        Json::String(name) => named.get(simple(name)).unwrap_or(kind).clone(),
        other => other.clone(),
    }
}

/// A name without its namespace.
fn simple(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}
