//! Reading what was written with another schema: Avro's schema resolution, by apache-avro.
//!
//! Both schemas are stripped of their logical types first. apache-avro compares a decimal's length with the reader's
//! precision, so that no decimal of the least length would resolve to ours, and it does not compare scales at all.
//! Here the logical types are compared once, when the schema is first seen, and the plain types are resolved.

use std::collections::BTreeMap;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::schema_compatibility::SchemaCompatibility;
use apache_avro::writer::datum::GenericDatumWriter;
use serde_json::Value as Json;

use crate::money::Money;
use crate::registry::WriterSchema;
use crate::{DecodeError, references};

/// What a writer's schema is to our reader.
#[derive(Debug)]
pub(crate) enum Relation {
    /// The same bytes mean the same: our own decoder reads them.
    Same,
    /// Values are to be resolved.
    Resolvable(Box<Resolver>),
}

/// Turns the bytes of one writer's schema into those of ours.
#[derive(Debug)]
pub(crate) struct Resolver {
    writer: Schema,
    /// Ours, with the writer's type where money is of another type than ours.
    resolved: Schema,
    money: Vec<Money>,
    reader: Schema,
}

/// The most that one string or array of a value may take, in bytes: more than any record that a broker takes. Without
/// a bound of ours, damaged bytes could have apache-avro reserve half a gigabyte.
const MAX_ALLOCATION: usize = 16 << 20;

/// Compares a writer's schema with ours.
///
/// # Errors
/// Why a value of the one can never be read as the other.
pub(crate) fn relate(
    writer: &WriterSchema,
    reader: &str,
    money_fields: &[&'static str],
) -> Result<Relation, String> {
    // Takes effect once in a process; later calls change nothing.
    apache_avro::util::max_allocation_bytes(MAX_ALLOCATION);
    let writer = references::inline(&writer.text, &writer.references)?;
    let ours = references::inline(reader, &[])?;
    let mut resolved = ours.clone();
    let mut money = Vec::new();
    for field in money_fields {
        money.extend(Money::of(field, &writer, &mut resolved)?);
    }
    let (writer, writer_logical) = strip(writer)?;
    let (reader, reader_logical) = strip(ours)?;
    if writer.canonical_form() == reader.canonical_form() && writer_logical == reader_logical {
        return Ok(Relation::Same);
    }
    let (resolved, _) = strip(resolved)?;
    for (field, wanted) in &reader_logical {
        match writer_logical.get(field) {
            Some(found) if found != wanted => return Err(format!("field {field} is {found}, not {wanted}")),
            None if wanted.starts_with("decimal") => {
                return Err(format!("field {field} is not there as {wanted}"));
            }
            _ => {}
        }
    }
    SchemaCompatibility::can_read(&writer, &resolved).map_err(|error| error.to_string())?;
    Ok(Relation::Resolvable(Box::new(Resolver {
        writer,
        resolved,
        money,
        reader,
    })))
}

impl Resolver {
    /// Rewrites a body with our schema. `id` is that of its writer's.
    ///
    /// # Errors
    /// What is wrong with the body.
    pub(crate) fn rewrite(&self, id: u32, mut body: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let unresolvable = |message| DecodeError::Unresolvable { id, message };
        let mut value = GenericDatumReader::builder(&self.writer)
            .reader_schema(&self.resolved)
            .build()
            .and_then(|reader| reader.read_value(&mut body))
            .map_err(|error| unresolvable(error.to_string()))?;
        if !body.is_empty() {
            let left = format!("{} bytes are left after the last field", body.len());
            return Err(unresolvable(left));
        }
        for money in &self.money {
            money.convert(&mut value)?;
        }
        GenericDatumWriter::builder(&self.reader)
            .build()
            .and_then(|writer| writer.write_value_to_vec(value))
            .map_err(|error| unresolvable(error.to_string()))
    }
}

/// Logical types by the path of their field.
type LogicalTypes = BTreeMap<String, String>;

fn strip(mut json: Json) -> Result<(Schema, LogicalTypes), String> {
    let mut logical = LogicalTypes::new();
    strip_type(&mut json, "", &mut logical);
    let schema = Schema::parse(&json).map_err(|error| format!("the schema is no Avro schema: {error}"))?;
    Ok((schema, logical))
}

fn strip_type(schema: &mut Json, path: &str, logical: &mut LogicalTypes) {
    match schema {
        Json::Array(branches) => {
            for branch in branches {
                strip_type(branch, path, logical);
            }
        }
        Json::Object(object) => {
            let kind = object.remove("logicalType");
            let scale = object.remove("scale");
            object.remove("precision");
            match kind.as_ref().and_then(Json::as_str) {
                // A UUID's text is checked by the decoder, wherever it comes from.
                None | Some("uuid") => {}
                Some("decimal") => {
                    let scale = scale.as_ref().and_then(Json::as_i64).unwrap_or(0);
                    logical.insert(path.to_owned(), format!("decimal of scale {scale}"));
                }
                Some(other) => {
                    logical.insert(path.to_owned(), other.to_owned());
                }
            }
            for inner in ["items", "values", "type"] {
                if let Some(inner) = object.get_mut(inner) {
                    strip_type(inner, path, logical);
                }
            }
            for field in object
                .get_mut("fields")
                .and_then(Json::as_array_mut)
                .into_iter()
                .flatten()
            {
                let name = field.get("name").and_then(Json::as_str).unwrap_or_default();
                let path = if path.is_empty() {
                    name.to_owned()
                } else {
                    format!("{path}.{name}")
                };
                if let Some(inner) = field.get_mut("type") {
                    strip_type(inner, &path, logical);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use millrace_domain::{PartialContent, schema};
    use proptest::prelude::*;

    use super::*;

    fn relate(writer: &str, reader: &str) -> Result<Relation, String> {
        super::relate(&WriterSchema::avro(writer), reader, &["amount"])
    }

    fn edited(text: &str, edit: impl FnOnce(&mut Json)) -> String {
        let mut json = serde_json::from_str(text).unwrap();
        edit(&mut json);
        json.to_string()
    }

    #[test]
    fn documentation_and_spelling_make_no_other_schema() {
        let spelled = edited(schema::TRANSACTION, |json| {
            json["doc"] = "other".into();
            json["name"] = "millrace.Transaction".into();
            json.as_object_mut().unwrap().remove("namespace");
            json["fields"][1]["type"] = serde_json::json!({"type": "string"});
        });
        assert!(matches!(
            relate(&spelled, schema::TRANSACTION),
            Ok(Relation::Same)
        ));
    }

    #[test]
    fn another_scale_or_time_unit_is_refused_by_field() {
        let cents = schema::MERCHANT_AGGREGATE.replace("\"scale\": 4", "\"scale\": 2");
        let message = relate(&cents, schema::MERCHANT_AGGREGATE).unwrap_err();
        assert_eq!(
            message,
            "field maxAmount is decimal of scale 2, not decimal of scale 4"
        );
        let micros = schema::TRANSACTION.replace("timestamp-millis", "timestamp-micros");
        let message = relate(&micros, schema::TRANSACTION).unwrap_err();
        assert!(
            message.contains("transactionTime is timestamp-micros"),
            "{message}"
        );
    }

    fn with_channel() -> String {
        edited(schema::TRANSACTION, |json| {
            let channel = serde_json::json!({"name": "channel", "type": ["null", "string"], "default": null});
            json["fields"].as_array_mut().unwrap().insert(0, channel);
        })
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let Ok(Relation::Resolvable(resolver)) = relate(&with_channel(), schema::TRANSACTION) else {
                panic!("an optional field resolves");
            };
            let _ = resolver.rewrite(1, &bytes);
        }
    }

    #[test]
    fn decimals_of_the_least_length_resolve() {
        let writer = edited(schema::MERCHANT_AGGREGATE, |json| {
            json["fields"].as_array_mut().unwrap().pop();
        });
        let Ok(Relation::Resolvable(resolver)) = relate(&writer, schema::MERCHANT_AGGREGATE) else {
            panic!("a field with a default resolves");
        };
        // Merchant m, EUR, a window from 0 to 1 ms, five figures of one byte, two amounts, one user.
        let body = b"\x02m\x06EUR\x00\x02\x02\x02\x05\x00\x02\x00\x02\x05\x02\x05\x02";
        let ours = resolver.rewrite(1, body).unwrap();
        assert_eq!(ours, [&body[..], b"\x00"].concat());
        assert_eq!(
            crate::aggregate::decode(&ours)
                .unwrap()
                .totals
                .purchase_sum
                .units(),
            5
        );
    }

    /// A merge of before early results must not add one up: it finds a watermark there, which it may take.
    #[test]
    fn a_reader_that_knows_no_early_results_finds_a_watermark() {
        let before = edited(schema::AGGREGATE_PARTIAL, |json| {
            json["fields"].as_array_mut().unwrap().truncate(3);
        });
        let Ok(Relation::Resolvable(resolver)) = relate(schema::AGGREGATE_PARTIAL, &before) else {
            panic!("a field more is left out");
        };
        // Source 1, watermark 3, no contribution; early: merchant m, EUR, as above.
        let body = b"\x02\x06\x00\x02\x02m\x06EUR\x00\x02\x02\x02\x05\x00\x02\x00\x02\x05\x02\x05\x02\x00";
        let partial = crate::partial::decode(body).unwrap();
        let PartialContent::Early(early) = partial.content else {
            panic!("{partial:?}");
        };
        assert_eq!(early[0].totals.purchase_sum.units(), 5);
        assert_eq!(resolver.rewrite(1, body).unwrap(), b"\x02\x06\x00");
        let Ok(Relation::Resolvable(resolver)) = relate(&before, schema::AGGREGATE_PARTIAL) else {
            panic!("a field with a default resolves");
        };
        let ours = resolver.rewrite(1, b"\x02\x06\x00").unwrap();
        assert_eq!(ours, b"\x02\x06\x00\x00\x00");
        assert_eq!(crate::partial::decode(&ours).unwrap().complete_ms, None);
    }

    /// A merge of before arrays must not pass one over in silence, as its window closes without it.
    #[test]
    fn a_reader_that_knows_no_arrays_of_contributions_refuses_them() {
        let before = edited(schema::AGGREGATE_PARTIAL, |json| {
            for field in &mut json["fields"].as_array_mut().unwrap()[2..4] {
                field["type"].as_array_mut().unwrap().pop();
            }
        });
        let Ok(Relation::Resolvable(of_before)) = relate(schema::AGGREGATE_PARTIAL, &before) else {
            panic!("what both have resolves");
        };
        let contribution = b"m\x06EUR\x00\x02\x02\x02\x05\x00\x02\x00\x02\x05\x02\x05\x02";
        let array = [b"\x02\x06\x04\x02\x02", &contribution[..], b"\x00\x00\x00"].concat();
        assert!(crate::partial::decode(&array).is_ok());
        assert!(of_before.rewrite(1, &array).is_err());
        let Ok(Relation::Resolvable(resolver)) = relate(&before, schema::AGGREGATE_PARTIAL) else {
            panic!("a branch more resolves");
        };
        let alone = [b"\x02\x06\x02\x02", &contribution[..], b"\x00\x00"].concat();
        assert_eq!(resolver.rewrite(1, &alone).unwrap(), alone);
    }

    #[test]
    fn a_missing_field_is_refused_by_name() {
        let without = edited(schema::TRANSACTION, |json| {
            json["fields"].as_array_mut().unwrap().remove(2);
        });
        let message = relate(&without, schema::TRANSACTION).unwrap_err();
        assert!(message.contains("amount"), "{message}");
    }
}
