//! What keys there are and of what kind, read off the defaults, and the check of a source against
//! it.

use figment::value::{Dict, Value};
use serde_json::Value as Json;
use serde_yaml_ng::Value as Yaml;

use crate::error::Problem;
use crate::redact::{HIDDEN, is_secret};
use crate::sections::Settings;

/// The kind of a key's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Section,
    /// Free keys with text values: librdkafka properties, options of an object store.
    Properties,
    Bool,
    Integer,
    Float,
    Text,
    OptionalText,
    /// Texts, which may be none.
    Texts,
}

impl Kind {
    /// The kind of a key, by its default: no section is empty, so an empty object is a map of
    /// properties.
    pub(crate) fn of(default: &Json) -> Self {
        match default {
            Json::Object(entries) if entries.is_empty() => Self::Properties,
            Json::Object(_) => Self::Section,
            Json::Bool(_) => Self::Bool,
            Json::Number(number) if number.is_f64() => Self::Float,
            Json::Number(_) => Self::Integer,
            Json::Null => Self::OptionalText,
            Json::String(_) => Self::Text,
            Json::Array(_) => Self::Texts,
        }
    }

    /// What a value of this kind is, for a person.
    pub(crate) fn expected(self) -> &'static str {
        match self {
            Self::Section => "a section with keys of its own",
            Self::Properties => "a map of names to text, as {security.protocol: SASL_SSL}",
            Self::Bool => "true or false",
            Self::Integer => "a whole number, in digits alone",
            Self::Float => "a number",
            Self::Text | Self::OptionalText => "text (put it in quotes)",
            Self::Texts => "a list of texts, as [one, two]",
        }
    }
}

/// The defaults as a tree: the known keys.
pub(crate) fn known() -> Json {
    // The sections are plain structs with text keys; serde_json refuses none of them.
    serde_json::to_value(Settings::default()).unwrap_or_default()
}

/// Checks the tree of one source against the known keys and turns it into figment's values.
pub(crate) struct Checker<'a> {
    /// The source's name in messages.
    pub(crate) source: &'a str,
    /// What was wrong.
    pub(crate) problems: Vec<Problem>,
}

impl Checker<'_> {
    /// The entries of a section that are known and of the right kind.
    pub(crate) fn section(&mut self, path: &str, given: &Yaml, known: &Json) -> Dict {
        let mut entries = Dict::new();
        let (Yaml::Mapping(mapping), Json::Object(defaults)) = (given, known) else {
            // A section with all its keys commented out.
            if !given.is_null() {
                self.refuse(path, mismatch(path, given, Kind::Section));
            }
            return entries;
        };
        for (key, value) in mapping {
            let Yaml::String(key) = key else {
                self.refuse(path, format!("has the key {}: keys are text", show("", key)));
                continue;
            };
            let full = join(path, key);
            match defaults.get(key) {
                None => self.refuse(&full, unknown_key(&full, known, path)),
                Some(default) if Kind::of(default) == Kind::Section => {
                    entries.insert(key.clone(), Value::from(self.section(&full, value, default)));
                }
                Some(default) => {
                    if let Some(value) = self.leaf(&full, value, Kind::of(default)) {
                        entries.insert(key.clone(), value);
                    }
                }
            }
        }
        entries
    }

    /// A value of a key that is no section.
    pub(crate) fn leaf(&mut self, path: &str, given: &Yaml, kind: Kind) -> Option<Value> {
        match (kind, given) {
            (Kind::Bool, Yaml::Bool(value)) => Some(Value::from(*value)),
            (Kind::Integer, Yaml::Number(number)) if !number.is_f64() => integer(number),
            (Kind::Float, Yaml::Number(number)) => number.as_f64().map(Value::from),
            (Kind::Text | Kind::OptionalText, Yaml::String(text)) => Some(Value::from(text.clone())),
            (Kind::Texts, Yaml::String(text)) => {
                let texts = text.split(',').map(str::trim).filter(|text| !text.is_empty());
                Some(Value::from(texts.map(str::to_owned).collect::<Vec<_>>()))
            }
            (Kind::Texts, Yaml::Sequence(texts)) if texts.iter().all(Yaml::is_string) => {
                let texts = texts.iter().filter_map(Yaml::as_str);
                Some(Value::from(texts.map(str::to_owned).collect::<Vec<_>>()))
            }
            // Neither changes what the defaults say.
            (Kind::OptionalText | Kind::Properties | Kind::Texts, Yaml::Null) => None,
            (Kind::Properties, Yaml::Mapping(mapping)) => {
                let mut properties = Dict::new();
                for (key, value) in mapping {
                    match (key, scalar(value)) {
                        (Yaml::String(key), Some(text)) => {
                            properties.insert(key.clone(), Value::from(text));
                        }
                        (key, _) => {
                            let name = key.as_str().map_or_else(|| show("", key), str::to_owned);
                            self.refuse(
                                &join(path, &name),
                                "must be text, a number, true or false".to_owned(),
                            );
                        }
                    }
                }
                Some(Value::from(properties))
            }
            _ => {
                self.refuse(path, mismatch(path, given, kind));
                None
            }
        }
    }

    /// Notes something wrong.
    pub(crate) fn refuse(&mut self, key: &str, message: String) {
        self.problems.push(Problem {
            source: self.source.to_owned(),
            key: if key.is_empty() { "(no key)" } else { key }.to_owned(),
            message,
        });
    }
}

fn integer(number: &serde_yaml_ng::Number) -> Option<Value> {
    number
        .as_i64()
        .map(Value::from)
        .or_else(|| number.as_u64().map(Value::from))
}

fn scalar(value: &Yaml) -> Option<String> {
    match value {
        Yaml::String(text) => Some(text.clone()),
        Yaml::Bool(value) => Some(value.to_string()),
        Yaml::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A key below another.
pub(crate) fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

fn mismatch(path: &str, given: &Yaml, kind: Kind) -> String {
    // What was meant as a map of properties may hold a password.
    let shown = if kind == Kind::Properties && given.is_string() {
        HIDDEN.to_owned()
    } else {
        show(path, given)
    };
    format!("is {shown}: must be {}", kind.expected())
}

/// A value in a message; a secret is not shown.
fn show(path: &str, given: &Yaml) -> String {
    match given {
        _ if is_secret(path) => HIDDEN.to_owned(),
        Yaml::String(text) => format!("{text:?}"),
        Yaml::Null => "empty".to_owned(),
        Yaml::Mapping(_) => "a map".to_owned(),
        Yaml::Sequence(_) => "a list".to_owned(),
        other => scalar(other).unwrap_or_else(|| "a tagged value".to_owned()),
    }
}

/// The message for a key that is not known, with the nearest one that is.
pub(crate) fn unknown_key(full: &str, section: &Json, section_path: &str) -> String {
    let mut all = Vec::new();
    collect(&known(), "", &mut all);
    let last = full.rsplit('.').next().unwrap_or(full);
    // The same name elsewhere is the likeliest mistake (a key in the wrong section), then the start
    // of a name, then a slip of the keyboard.
    let same = all.iter().find(|key| key.rsplit('.').next() == Some(last));
    let start = || all.iter().find(|key| !last.is_empty() && key.starts_with(full));
    let nearest = same.or_else(start).or_else(|| {
        all.iter()
            .map(|key| (strsim::normalized_damerau_levenshtein(full, key), key))
            .filter(|(likeness, _)| *likeness > 0.6)
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, key)| key)
    });
    let place = if section_path.is_empty() {
        "the sections are".to_owned()
    } else {
        format!("{section_path} has")
    };
    let names = section
        .as_object()
        .map(|entries| entries.keys().cloned().collect::<Vec<_>>().join(", "))
        .unwrap_or_default();
    match nearest {
        Some(key) => format!("unknown key; did you mean {key}? ({place} {names})"),
        None => format!("unknown key ({place} {names})"),
    }
}

/// Every known key, sections included, in full.
fn collect(known: &Json, path: &str, all: &mut Vec<String>) {
    let Json::Object(entries) = known else { return };
    for (key, value) in entries {
        let full = join(path, key);
        collect(value, &full, all);
        all.push(full);
    }
}
