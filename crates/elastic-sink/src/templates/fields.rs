//! Whether the mapping that an index has is ours.

use serde_json::Value;

/// What an index's mapping lacks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Differences {
    /// Fields of another type, each as `currency is text and must be keyword`. They cannot be
    /// changed.
    pub(crate) conflicts: Vec<String>,
    /// Whether fields are missing, or unknown ones are taken: that can be put right.
    pub(crate) is_incomplete: bool,
}

impl Differences {
    /// The first of the conflicts, and how many there are; `None` without any.
    #[must_use]
    pub(crate) fn conflict(&self) -> Option<String> {
        let first = self.conflicts.first()?;
        Some(match self.conflicts.len() {
            1 => format!("field {first}"),
            count => format!("field {first} ({count} such fields)"),
        })
    }
}

/// Compares the mapping `there` with the one `wanted`. Fields that are there alone do no harm.
#[must_use]
pub(crate) fn differences(wanted: &Value, there: &Value) -> Differences {
    let mut found = Differences::default();
    compare(wanted, there, "", &mut found);
    found
}

fn compare(wanted: &Value, there: &Value, parent: &str, found: &mut Differences) {
    // Elasticsearch gives the value back as text, whether it was text or a boolean.
    found.is_incomplete |= there["dynamic"] != wanted["dynamic"];
    for (name, field) in wanted["properties"].as_object().into_iter().flatten() {
        let there = &there["properties"][name];
        let name = format!("{parent}{name}");
        if there.is_null() {
            found.is_incomplete = true;
        } else if kind(field) != kind(there) {
            let conflict = format!("{name} is {} and must be {}", kind(there), kind(field));
            found.conflicts.push(conflict);
        } else if kind(field) == "object" {
            compare(field, there, &format!("{name}."), found);
        }
    }
}

fn kind(field: &Value) -> &str {
    field["type"].as_str().unwrap_or("object")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::stream::Stream;
    use crate::templates::mapping_text;

    #[test]
    fn our_own_mapping_has_no_differences() {
        for stream in Stream::ALL {
            let wanted: Value = serde_json::from_str(mapping_text(stream)).unwrap();
            let mut there = wanted.clone();
            there["properties"]["more"] = json!({"type": "text"});
            assert_eq!(differences(&wanted, &there), Differences::default());
        }
    }

    #[test]
    fn a_guessed_mapping_is_told_by_its_fields() {
        let wanted = json!({"dynamic": "strict", "properties": {
            "@timestamp": {"type": "date"}, "currency": {"type": "keyword"},
            "evidence": {"dynamic": "strict", "properties": {"figures": {"type": "flattened"}, "ids": {"type": "keyword"}}},
        }});
        let guessed = json!({"properties": {
            "@timestamp": {"type": "long"}, "currency": {"type": "text", "fields": {"keyword": {"type": "keyword"}}},
            "evidence": {"properties": {"figures": {"properties": {"a": {"type": "float"}}}}},
        }});
        let found = differences(&wanted, &guessed);
        assert_eq!(
            found.conflicts,
            [
                "@timestamp is long and must be date",
                "currency is text and must be keyword",
                "evidence.figures is object and must be flattened",
            ]
        );
        assert!(found.is_incomplete);
        assert_eq!(
            found.conflict().unwrap(),
            "field @timestamp is long and must be date (3 such fields)"
        );
    }

    #[test]
    fn new_fields_can_be_added() {
        let wanted =
            json!({"dynamic": "strict", "properties": {"a": {"type": "long"}, "b": {"type": "long"}}});
        let there = json!({"dynamic": "strict", "properties": {"a": {"type": "long"}}});
        let found = differences(&wanted, &there);
        assert_eq!((found.conflict(), found.is_incomplete), (None, true));
    }
}
