//! The saved objects in `kibana/`: their references resolve, and every field they use is in the
//! templates.

#![allow(missing_docs)]
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use millrace_elastic_sink::stream::Stream;
use millrace_elastic_sink::templates::{Field, fields};
use serde_json::Value;

/// What Lens calls a count of documents, which is no field.
const RECORDS: &str = "___records___";

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../kibana")
}

fn objects() -> Vec<Value> {
    let text = std::fs::read_to_string(folder().join("millrace.ndjson")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("{name} of {value}"))
}

/// A part that Kibana keeps as text.
fn embedded(object: &Value, name: &str) -> Value {
    serde_json::from_str(text(&object["attributes"], name)).unwrap()
}

fn of_type<'a>(objects: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    objects.iter().filter(move |object| object["type"] == kind)
}

fn stream_of_pattern(pattern: &str) -> Stream {
    let found = Stream::ALL
        .into_iter()
        .find(|stream| pattern == format!("{}-*", stream.index()));
    found.unwrap_or_else(|| panic!("{pattern} is the pattern of no stream"))
}

/// The template's fields that a visualization's only data view has.
fn fields_behind(object: &Value, views: &BTreeMap<String, Stream>) -> Vec<Field> {
    let references = object["references"].as_array().unwrap();
    assert_eq!(references.len(), 1, "{object}");
    fields(views[text(&references[0], "id")])
}

fn views(objects: &[Value]) -> BTreeMap<String, Stream> {
    of_type(objects, "index-pattern")
        .map(|view| {
            (
                text(view, "id").to_owned(),
                stream_of_pattern(text(&view["attributes"], "title")),
            )
        })
        .collect()
}

/// The columns of a Lens visualization.
fn columns(lens: &Value) -> &serde_json::Map<String, Value> {
    let layers = &lens["attributes"]["state"]["datasourceStates"]["formBased"]["layers"];
    layers["main"]["columns"].as_object().unwrap()
}

/// The fields of a visualization, a Lens or a map.
fn used_fields(object: &Value) -> BTreeSet<String> {
    if object["type"] == "lens" {
        let names = columns(object)
            .values()
            .map(|column| text(column, "sourceField").to_owned());
        return names.filter(|name| name != RECORDS).collect();
    }
    let layers = embedded(object, "layerListJSON");
    let sources = layers
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| &layer["sourceDescriptor"]);
    sources
        .filter_map(|source| source["geoField"].as_str())
        .map(str::to_owned)
        .collect()
}

/// Every value of a key `field`, at any depth.
fn query_fields(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                match value.as_str() {
                    Some(field) if name == "field" => {
                        found.insert(field.to_owned());
                    }
                    _ => query_fields(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| query_fields(item, found)),
        _ => {}
    }
}

#[test]
fn every_stream_has_a_data_view_with_its_time() {
    let objects = objects();
    let streams: BTreeSet<Stream> = views(&objects).into_values().collect();
    assert_eq!(streams, BTreeSet::from(Stream::ALL));
    for view in of_type(&objects, "index-pattern") {
        assert_eq!(text(&view["attributes"], "timeFieldName"), "@timestamp");
    }
}

#[test]
fn references_resolve_and_come_before_what_uses_them() {
    let mut known = BTreeSet::new();
    for object in objects() {
        for reference in object["references"].as_array().unwrap() {
            let target = (
                text(reference, "type").to_owned(),
                text(reference, "id").to_owned(),
            );
            assert!(known.contains(&target), "{target:?} of {}", text(&object, "id"));
        }
        let identity = (text(&object, "type").to_owned(), text(&object, "id").to_owned());
        assert!(known.insert(identity), "{} is there twice", text(&object, "id"));
    }
}

#[test]
fn every_panel_shows_an_object_and_every_object_is_shown() {
    let objects = objects();
    let dashboard = of_type(&objects, "dashboard").next().unwrap();
    let references: BTreeMap<&str, &Value> = dashboard["references"]
        .as_array()
        .unwrap()
        .iter()
        .map(|reference| (text(reference, "name"), reference))
        .collect();
    let mut shown = BTreeSet::new();
    let mut cells = BTreeSet::new();
    for panel in embedded(dashboard, "panelsJSON").as_array().unwrap() {
        let name = format!("{}:{}", text(panel, "panelIndex"), text(panel, "panelRefName"));
        let reference = references.get(name.as_str()).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(text(reference, "type"), text(panel, "type"));
        shown.insert(text(reference, "id").to_owned());
        let side = |name: &str| panel["gridData"][name].as_u64().unwrap();
        assert!(side("x") + side("w") <= 48, "{name} is beyond the grid");
        for x in side("x")..side("x") + side("w") {
            for y in side("y")..side("y") + side("h") {
                assert!(cells.insert((x, y)), "{name} lies over another panel");
            }
        }
    }
    let drawn: BTreeSet<String> = objects
        .iter()
        .filter(|object| matches!(text(object, "type"), "lens" | "map"))
        .map(|object| text(object, "id").to_owned())
        .collect();
    assert_eq!(shown, drawn);
}

#[test]
fn every_field_is_in_the_template_and_of_a_fitting_type() {
    let objects = objects();
    let views = views(&objects);
    for object in objects
        .iter()
        .filter(|object| matches!(text(object, "type"), "lens" | "map"))
    {
        let fields = fields_behind(object, &views);
        for name in used_fields(object) {
            assert!(
                fields.iter().any(|field| field.name == name),
                "{name} of {}",
                text(object, "id")
            );
        }
        if object["type"] != "lens" {
            continue;
        }
        for column in columns(object).values() {
            let name = text(column, "sourceField");
            let kind = fields
                .iter()
                .find(|field| field.name == name)
                .map_or("", |field| field.kind.as_str());
            let fits: &[&str] = match text(column, "operationType") {
                "count" => &[""],
                "date_histogram" => &["date"],
                "terms" => &["keyword"],
                "sum" => &["double", "long"],
                "max" => &["double", "long", "date"],
                other => panic!("{other} is not checked here"),
            };
            assert!(
                fits.contains(&kind),
                "{name}, a {kind:?}, of {}",
                text(object, "id")
            );
        }
    }
}

#[test]
fn columns_that_are_named_are_there() {
    for lens in of_type(&objects(), "lens") {
        let columns = columns(lens);
        let layer = &lens["attributes"]["state"]["datasourceStates"]["formBased"]["layers"]["main"];
        let order: BTreeSet<&str> = layer["columnOrder"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .collect();
        assert_eq!(order, columns.keys().map(String::as_str).collect());
        for column in columns.values() {
            let by = &column["params"]["orderBy"]["columnId"];
            assert!(by.is_null() || columns.contains_key(by.as_str().unwrap()), "{by}");
        }
        let drawn = lens["attributes"]["state"]["visualization"].to_string();
        for name in columns.keys() {
            assert!(
                drawn.contains(&format!("\"{name}\"")),
                "{name} of {} is not shown",
                text(lens, "id")
            );
        }
    }
}

/// Sums of money are split by currency, as two are never added together.
#[test]
fn money_is_never_added_across_currencies() {
    for lens in of_type(&objects(), "lens") {
        let used = used_fields(lens);
        let has_money = used
            .iter()
            .any(|name| name.ends_with("Sum") || name.contains("Amount"));
        assert!(!has_money || used.contains("currency"), "{}", text(lens, "id"));
    }
}

#[test]
fn every_visualization_has_its_query_over_the_same_fields() {
    let objects = objects();
    let mut queries = std::fs::read_dir(folder().join("queries")).unwrap().count();
    for object in objects
        .iter()
        .filter(|object| matches!(text(object, "type"), "lens" | "map"))
    {
        let path = folder()
            .join("queries")
            .join(format!("{}.json", text(object, "id")));
        let query: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(
            text(&query, "index"),
            format!("{}-*", text(&object["references"][0], "id"))
        );
        let mut found = BTreeSet::new();
        query_fields(&query["body"], &mut found);
        assert_eq!(found, used_fields(object), "{}", path.display());
        queries -= 1;
    }
    assert_eq!(queries, 0, "a query belongs to no visualization");
}
