//! Records of `contract!` that were written with other schemas.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use apache_avro::types::Value;
use millrace_contract::source::{NoRegistry, WriterSchema};
use millrace_contract::{Contract as _, Encode as _, ReadError, Reader, framing};
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use support::click::Click;
use support::{avro_click, sample, written};

const THEIRS: u32 = 9;

/// Our schema with its fields changed.
fn edited(edit: impl FnOnce(&mut Vec<Json>)) -> String {
    let mut schema: Json = serde_json::from_str(Click::SCHEMA).unwrap();
    edit(schema["fields"].as_array_mut().unwrap());
    schema.to_string()
}

/// What becomes of a click that another writer wrote with its own schema.
fn read(schema: &str, value: &Value) -> Result<Click, ReadError> {
    let reader = Reader::<Click>::new(NoRegistry).with_schema(THEIRS, &WriterSchema::avro(schema));
    let mut framed = Vec::new();
    framing::write_header(THEIRS, &mut framed);
    framed.extend(written(schema, value));
    reader.read(&framed)
}

fn fields(click: &Click) -> Vec<(String, Value)> {
    let Value::Record(fields) = avro_click(click) else {
        unreachable!()
    };
    fields
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn more_fields_in_any_order(click in support::click(), rotate in 0_usize..6) {
        let schema = edited(|fields| {
            fields.push(json!({"name": "device", "type": "string"}));
            fields.rotate_left(rotate);
        });
        let mut theirs = fields(&click);
        theirs.push(("device".to_owned(), Value::String("phone".to_owned())));
        theirs.rotate_left(rotate);
        prop_assert_eq!(read(&schema, &Value::Record(theirs)).unwrap(), click);
    }

    #[test]
    fn a_field_by_its_alias(click in support::click()) {
        let schema = edited(|fields| fields[2] = json!({"name": "page", "type": "string"}));
        let mut theirs = fields(&click);
        theirs[2].0 = "page".to_owned();
        prop_assert_eq!(read(&schema, &Value::Record(theirs)).unwrap(), click);
    }

    #[test]
    fn fields_that_may_be_null_there_or_never_are(click in support::click()) {
        let schema = edited(|fields| {
            fields[1]["type"] = json!(["null", "string"]);
            fields[3]["type"] = json!("string");
            fields[3].as_object_mut().unwrap().remove("default");
        });
        let referrer = click.referrer.unwrap_or(click.url);
        let mut theirs = fields(&click);
        theirs[1].1 = Value::Union(1, Box::new(theirs[1].1.clone()));
        theirs[3].1 = Value::String(referrer.to_string());
        let wanted = Click { referrer: Some(referrer), ..click };
        prop_assert_eq!(read(&schema, &Value::Record(theirs)).unwrap(), wanted);
    }

    #[test]
    fn an_optional_field_that_is_not_there_is_null(click in support::click()) {
        let schema = edited(|fields| {
            fields.remove(3);
        });
        let mut theirs = fields(&click);
        theirs.remove(3);
        let wanted = Click { referrer: None, ..click };
        prop_assert_eq!(read(&schema, &Value::Record(theirs)).unwrap(), wanted);
    }

    #[test]
    fn no_bytes_of_another_writer_panic(bytes: Vec<u8>) {
        let schema = edited(|fields| fields.reverse());
        let reader = Reader::<Click>::new(NoRegistry).with_schema(THEIRS, &WriterSchema::avro(&schema));
        let mut framed = Vec::new();
        framing::write_header(THEIRS, &mut framed);
        framed.extend(bytes);
        let _ = reader.read(&framed);
    }
}

#[test]
fn documentation_makes_no_other_schema() {
    let schema = Click::SCHEMA.replace("One page view.", "Other words.");
    let reader = Reader::<Click>::new(NoRegistry).with_schema(THEIRS, &WriterSchema::avro(&schema));
    let mut framed = Vec::new();
    sample().encode_framed(THEIRS, &mut framed);
    assert_eq!(reader.read(&framed).unwrap(), sample());
}

#[test]
fn a_schema_that_never_resolves_is_asked_for_and_not_guessed() {
    let seconds = Click::SCHEMA.replace("timestamp-millis", "timestamp-micros");
    let reader = Reader::<Click>::new(NoRegistry).with_schema(THEIRS, &WriterSchema::avro(&seconds));
    let mut framed = Vec::new();
    sample().encode_framed(THEIRS, &mut framed);
    assert!(matches!(reader.read(&framed), Err(ReadError::Registry(_))));
}

/// A few kilobytes, of which the reader of Avro would make a stack that overflows, or all memory.
#[test]
fn what_unfolds_without_end_is_a_bad_value() {
    let list =
        json!({"type": "record", "name": "List", "fields": [{"name": "next", "type": ["null", "List"]}]});
    for (field, tail, wanted) in [
        (
            json!({"name": "list", "type": ["null", list]}),
            vec![2_u8; 100_000],
            "deep",
        ),
        (
            json!({"name": "nulls", "type": {"type": "array", "items": "null"}}),
            vec![0x7e; 100_000],
            "far more",
        ),
    ] {
        let schema = edited(|fields| fields.push(field));
        let reader = Reader::<Click>::new(NoRegistry).with_schema(THEIRS, &WriterSchema::avro(&schema));
        let mut framed = Vec::new();
        framing::write_header(THEIRS, &mut framed);
        framed.extend(written(Click::SCHEMA, &avro_click(&sample())));
        framed.extend(tail);
        let error = reader.read(&framed).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
}
