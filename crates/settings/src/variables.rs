//! `MILLRACE__SECTION__KEY` variables, in and out.
//!
//! Two underscores separate the parts of a key: `MILLRACE__DETECTOR__RULES__VELOCITY__MAX_COUNT` is
//! `detector.rules.velocity.max_count`. A value is read as its key's type: text needs no quotes.
//!
//! A librdkafka property goes below its map in capitals, with one underscore for each dot:
//! `MILLRACE__KAFKA__PROPERTIES__SECURITY_PROTOCOL=SASL_SSL` is `security.protocol`. A name with a
//! small letter is taken as it is, for the few properties with an underscore of their own:
//! `MILLRACE__KAFKA__PROPERTIES__log_level=7`. The map as a whole may be given as YAML:
//! `MILLRACE__KAFKA__PROPERTIES='{security.protocol: SASL_SSL}'`.

use std::collections::BTreeMap;

use figment::value::{Dict, Value};
use serde_json::Value as Json;
use serde_yaml_ng::Value as Yaml;

use crate::redact::{HIDDEN, is_secret};
use crate::sections::Settings;
use crate::shape::{Checker, Kind, join, known, unknown_key};

/// What the name of every configuration variable starts with.
pub const PREFIX: &str = "MILLRACE__";

impl Settings {
    /// Every value as the variable that sets it, by name: what a child process or a container needs
    /// to run with the same settings. Passwords are among them. A value that is not set (a password
    /// of `None`) is left out.
    #[must_use]
    pub fn variables(&self) -> BTreeMap<String, String> {
        let mut variables = BTreeMap::new();
        let tree = serde_json::to_value(self).unwrap_or_default();
        flatten(&tree, &known(), PREFIX.trim_end_matches('_'), &mut variables);
        variables
    }
}

fn flatten(value: &Json, known: &Json, name: &str, variables: &mut BTreeMap<String, String>) {
    match (value, Kind::of(known)) {
        (Json::Object(entries), Kind::Section) => {
            for (key, entry) in entries {
                let name = format!("{name}__{}", key.to_ascii_uppercase());
                flatten(entry, &known[key], &name, variables);
            }
        }
        (Json::Object(properties), _) => {
            for (property, text) in properties {
                let name = format!("{name}__{}", property_to_name(property));
                variables.insert(name, text.as_str().unwrap_or_default().to_owned());
            }
        }
        (Json::Null, _) => {}
        (Json::String(text), _) => {
            variables.insert(name.to_owned(), text.clone());
        }
        (other, _) => {
            variables.insert(name.to_owned(), other.to_string());
        }
    }
}

fn property_to_name(property: &str) -> String {
    let plain = !property.contains('_') && !property.contains(|c: char| c.is_ascii_uppercase());
    if plain {
        property.replace('.', "_").to_ascii_uppercase()
    } else {
        property.to_owned()
    }
}

fn name_to_property(name: &str) -> String {
    if name.contains(|c: char| c.is_ascii_lowercase()) {
        name.to_owned()
    } else {
        name.replace('_', ".").to_ascii_lowercase()
    }
}

/// The tree of one variable, as a figment provider would give it: nested by its key. What is wrong
/// goes to `checker`.
pub(crate) fn parse(name: &str, text: &str, checker: &mut Checker<'_>) -> Option<Dict> {
    let known = known();
    let mut section = &known;
    let mut path = Vec::new();
    let mut parts = name[PREFIX.len()..].split("__");
    let value = loop {
        let Some(part) = parts.next() else {
            let full = path.join(".");
            checker.refuse(
                &full,
                "is a section: name one of its keys, after two more underscores".to_owned(),
            );
            return None;
        };
        let key = part.to_ascii_lowercase();
        let full = join(&path.join("."), &key);
        let Some(entry) = section.get(&key) else {
            checker.refuse(&full, unknown_key(&full, section, &path.join(".")));
            return None;
        };
        path.push(key);
        section = entry;
        let kind = Kind::of(entry);
        if kind == Kind::Section {
            continue;
        }
        let rest = parts.collect::<Vec<_>>();
        break match (kind, rest.as_slice()) {
            (kind, []) => leaf(&full, text, kind, checker)?,
            (Kind::Properties, [property]) if !property.is_empty() => {
                Value::from(Dict::from([(name_to_property(property), Value::from(text))]))
            }
            (Kind::Properties, _) => {
                checker.refuse(
                    &full,
                    "wants one property after it, as __SECURITY_PROTOCOL for security.protocol".to_owned(),
                );
                return None;
            }
            _ => {
                checker.refuse(&full, "is one value and has no keys below it".to_owned());
                return None;
            }
        };
    };
    nest(&path, value)
}

/// One value in the tree of its sections.
fn nest(path: &[String], value: Value) -> Option<Dict> {
    let (last, sections) = path.split_last()?;
    let mut tree = Dict::from([(last.clone(), value)]);
    for section in sections.iter().rev() {
        tree = Dict::from([(section.clone(), Value::from(tree))]);
    }
    Some(tree)
}

/// A variable's text as a value of its key's kind.
fn leaf(path: &str, text: &str, kind: Kind, checker: &mut Checker<'_>) -> Option<Value> {
    let given = match kind {
        Kind::Text => return Some(Value::from(text)),
        // Compose passes a variable that is not set as an empty one.
        Kind::OptionalText if text.is_empty() => return None,
        Kind::OptionalText => return Some(Value::from(text)),
        _ => serde_yaml_ng::from_str::<Yaml>(text.trim()).ok(),
    };
    if let Some(given) = given {
        return checker.leaf(path, &given, kind);
    }
    let shown = if kind == Kind::Properties || is_secret(path) {
        HIDDEN.to_owned()
    } else {
        format!("{text:?}")
    };
    checker.refuse(path, format!("is {shown}: must be {}", kind.expected()));
    None
}
