//! A record that is not what its schema says.

use millrace_contract::schema_check::check;
use serde_json::json;

fn refused(schema: &str, fields: &[(&str, serde_json::Value)]) -> String {
    check("t.R", schema, fields).expect_err(schema)
}

fn of(fields: &str) -> String {
    format!(r#"{{"type":"record","name":"R","namespace":"t","fields":[{fields}]}}"#)
}

#[test]
fn what_differs_is_named() {
    let long = [("a", json!("long"))];
    assert_eq!(
        check("t.R", &of(r#"{"name":"a","type":{"type":"long"}}"#), &long),
        Ok(())
    );
    let other = of("").replace("\"R\"", "\"S\"");
    assert_eq!(
        refused(&other, &[]),
        "the schema is of \"t.S\", and the record is \"t.R\""
    );
    assert_eq!(refused(&of(""), &long), "t.R.a is not in the schema");
    assert_eq!(
        refused(&of(r#"{"name":"a","type":"int"}"#), &long),
        "t.R.a is \"int\" in the schema, and \"long\" in the record"
    );
    assert_eq!(
        refused(&of(r#"{"name":"b","type":"long"}"#), &long),
        "field 0 of t.R is \"b\" in the schema, and \"a\" in the record"
    );
    assert_eq!(
        refused(
            &of(r#"{"name":"a","type":"long"},{"name":"b","type":"long"}"#),
            &long
        ),
        "t.R.\"b\" is not in the record"
    );
    let micros = of(r#"{"name":"a","type":{"type":"long","logicalType":"timestamp-micros"}}"#);
    assert!(refused(&micros, &long).contains("timestamp-micros"));
    let optional = [("a", json!(["null", "long"]))];
    let without = of(r#"{"name":"a","type":["null","long"]}"#);
    assert!(refused(&without, &optional).contains("\"default\": null"));
}
