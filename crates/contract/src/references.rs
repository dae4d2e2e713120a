//! Puts the types of referenced schemas into the schema that names them, so that it stands alone:
//! each where it is named first. (Avro 1.12, "Names": a name without a dot is in the namespace
//! around it, or else in none.)

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value as Json};

/// How deep a schema may be, with what it refers to: recursion is on a worker's stack.
pub(crate) const MAX_DEPTH: usize = 96;

/// The schema alone, as JSON.
///
/// # Errors
/// A text that is no JSON, or too deep.
pub(crate) fn inline(text: &str, references: &[String]) -> Result<Json, String> {
    let parse = |text: &str| -> Result<Json, String> {
        serde_json::from_str(text).map_err(|error| format!("the schema is no JSON: {error}"))
    };
    let mut schema = parse(text)?;
    if references.is_empty() {
        return Ok(schema);
    }
    let mut types = Types::default();
    for reference in references {
        types.collect(&parse(reference)?, "", 0)?;
    }
    types.place(&mut schema, "", 0)?;
    Ok(schema)
}

#[derive(Default)]
struct Types {
    /// The definitions of all referenced schemas by full name, each with its namespace.
    referenced: HashMap<String, Json>,
    /// What the schema has defined so far.
    defined: HashSet<String>,
}

impl Types {
    fn collect(&mut self, schema: &Json, namespace: &str, depth: usize) -> Result<(), String> {
        check(depth)?;
        match schema {
            Json::Array(branches) => branches
                .iter()
                .try_for_each(|branch| self.collect(branch, namespace, depth + 1)),
            Json::Object(object) => {
                let name = full_name(object, namespace);
                let namespace = name.as_deref().map_or(namespace, namespace_of).to_owned();
                if let Some(name) = name {
                    let mut alone = object.clone();
                    alone.insert("namespace".to_owned(), namespace.clone().into());
                    self.referenced.entry(name).or_insert(Json::Object(alone));
                }
                inner(object).try_for_each(|inner| self.collect(inner, &namespace, depth + 1))
            }
            _ => Ok(()),
        }
    }

    fn place(&mut self, schema: &mut Json, namespace: &str, depth: usize) -> Result<(), String> {
        check(depth)?;
        match schema {
            Json::String(name) => {
                let Some(known) = self.look_up(name, namespace) else {
                    return Ok(());
                };
                if self.defined.contains(&known) {
                    *name = absolute(&known);
                } else if let Some(definition) = self.referenced.get(&known) {
                    *schema = definition.clone();
                    return self.place(schema, namespace, depth + 1);
                }
                Ok(())
            }
            Json::Array(branches) => branches
                .iter_mut()
                .try_for_each(|branch| self.place(branch, namespace, depth + 1)),
            Json::Object(object) => {
                let name = full_name(object, namespace);
                let namespace = name.as_deref().map_or(namespace, namespace_of).to_owned();
                if let Some(name) = name
                    && !self.defined.insert(name.clone())
                {
                    *schema = absolute(&name).into();
                    return Ok(());
                }
                inner_mut(object).try_for_each(|inner| self.place(inner, &namespace, depth + 1))
            }
            _ => Ok(()),
        }
    }

    /// The full name of a type that is known by a name in a namespace.
    fn look_up(&self, name: &str, namespace: &str) -> Option<String> {
        let around = (!name.contains('.') && !namespace.is_empty()).then(|| format!("{namespace}.{name}"));
        let alone = name.strip_prefix('.').unwrap_or(name).to_owned();
        around
            .into_iter()
            .chain([alone])
            .find(|name| self.defined.contains(name) || self.referenced.contains_key(name))
    }
}

fn check(depth: usize) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(format!(
            "the schema is more than {MAX_DEPTH} deep with what it refers to"
        ));
    }
    Ok(())
}

/// The full name of a record, an enum or a fixed; `None` for other types.
fn full_name(object: &Map<String, Json>, namespace: &str) -> Option<String> {
    let kind = object.get("type").and_then(Json::as_str)?;
    if !["record", "error", "enum", "fixed"].contains(&kind) {
        return None;
    }
    let name = object.get("name").and_then(Json::as_str)?;
    if name.contains('.') {
        return Some(name.strip_prefix('.').unwrap_or(name).to_owned());
    }
    let own = object.get("namespace").and_then(Json::as_str);
    match own.unwrap_or(namespace) {
        "" => Some(name.to_owned()),
        namespace => Some(format!("{namespace}.{name}")),
    }
}

fn namespace_of(full_name: &str) -> &str {
    full_name.rsplit_once('.').map_or("", |(namespace, _)| namespace)
}

/// A name that means the same in every namespace.
fn absolute(full_name: &str) -> String {
    match full_name.contains('.') {
        true => full_name.to_owned(),
        false => format!(".{full_name}"),
    }
}

/// The types within a type.
fn inner(object: &Map<String, Json>) -> impl Iterator<Item = &Json> {
    let fields = object
        .get("fields")
        .and_then(Json::as_array)
        .into_iter()
        .flatten();
    let fields = fields.filter_map(|field| field.get("type"));
    ["items", "values", "type"]
        .into_iter()
        .filter_map(|key| object.get(key))
        .chain(fields)
}

fn inner_mut(object: &mut Map<String, Json>) -> impl Iterator<Item = &mut Json> {
    object.iter_mut().flat_map(|(key, value)| {
        let (this, fields) = match (key.as_str(), value) {
            ("items" | "values" | "type", value) => (Some(value), None),
            ("fields", Json::Array(fields)) => (None, Some(fields)),
            _ => (None, None),
        };
        let fields = fields
            .into_iter()
            .flatten()
            .filter_map(|field| field.get_mut("type"));
        this.into_iter().chain(fields)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use apache_avro::Schema;

    fn inlined(text: &str, references: &[&str]) -> Result<Json, String> {
        let references: Vec<_> = references.iter().map(|text| (*text).to_owned()).collect();
        inline(text, &references)
    }

    #[test]
    fn a_type_is_placed_where_it_is_named_first() {
        let kind = r#"{"type":"enum","name":"Kind","namespace":"shared","symbols":["a","b"]}"#;
        let text = r#"{"type":"record","name":"R","namespace":"n","fields":[
            {"name":"first","type":["null","shared.Kind"]},{"name":"second","type":"shared.Kind"}]}"#;
        let schema = inlined(text, &[kind]).unwrap();
        assert_eq!(schema["fields"][0]["type"][1]["symbols"][1], "b");
        assert_eq!(schema["fields"][1]["type"], "shared.Kind");
        Schema::parse(&schema).unwrap();
    }

    #[test]
    fn types_of_no_namespace_and_of_the_one_around_are_found() {
        let bare = r#"{"type":"fixed","name":"Bare","size":2}"#;
        let near = r#"{"type":"record","name":"n.Near","fields":[{"name":"x","type":"Bare"},{"name":"y","type":"Leaf"}]}"#;
        let leaf = r#"[{"type":"enum","name":"Leaf","namespace":"n","symbols":["a"]}]"#;
        let text = r#"{"type":"record","name":"R","namespace":"n","fields":[
            {"name":"a","type":{"type":"array","items":"Near"}},{"name":"b","type":{"type":"map","values":"Bare"}},
            {"name":"c","type":"Leaf"}]}"#;
        let schema = inlined(text, &[near, bare, leaf]).unwrap();
        assert_eq!(schema["fields"][1]["type"]["values"], ".Bare");
        Schema::parse(&schema).unwrap();
    }

    #[test]
    fn what_is_defined_twice_is_placed_once() {
        let leaf = r#"{"type":"enum","name":"n.Leaf","symbols":["a"]}"#;
        let near = r#"{"type":"record","name":"n.Near","fields":[{"name":"x","type":{"type":"enum","name":"n.Leaf","symbols":["a"]}}]}"#;
        let text = r#"{"type":"record","name":"n.R","fields":[{"name":"a","type":"n.Leaf"},{"name":"b","type":"n.Near"}]}"#;
        let schema = inlined(text, &[leaf, near]).unwrap();
        assert_eq!(schema["fields"][1]["type"]["fields"][0]["type"], "n.Leaf");
        Schema::parse(&schema).unwrap();
    }

    #[test]
    fn a_type_that_names_itself_ends() {
        let list = r#"{"type":"record","name":"n.List","fields":[{"name":"next","type":["null","List"]}]}"#;
        let schema = inlined(
            r#"{"type":"record","name":"R","fields":[{"name":"l","type":"n.List"}]}"#,
            &[list],
        )
        .unwrap();
        Schema::parse(&schema).unwrap();
    }

    #[test]
    fn a_chain_that_is_too_deep_is_refused() {
        let link = |at: usize| {
            format!(
                r#"{{"type":"record","name":"L{at}","fields":[{{"name":"x","type":"L{}"}}]}}"#,
                at + 1
            )
        };
        let links: Vec<_> = (1..64).map(link).collect();
        let message = inline(&link(0), &links).unwrap_err();
        assert!(message.contains("deep"), "{message}");
    }
}
