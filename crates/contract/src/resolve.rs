//! Reading what was written with another schema: Avro's schema resolution, by apache-avro.
//!
//! Both schemas are stripped of their logical types first. apache-avro compares a decimal's length
//! with the reader's precision, so that no decimal of the least length would resolve to ours, and
//! it does not compare scales at all. Here the logical types are compared once, when the schema is
//! first seen, and the plain types are resolved.

use std::collections::BTreeMap;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::schema_compatibility::SchemaCompatibility;
use apache_avro::writer::datum::GenericDatumWriter;
use serde_json::Value as Json;

use crate::extent::Types;
use crate::money::{Money, OtherMoney};
use crate::source::WriterSchema;
use crate::{DecodeError, references};

/// What a writer's schema is to our reader.
#[derive(Debug)]
pub enum Relation {
    /// The same bytes mean the same: our own decoder reads them.
    Same,
    /// Values are to be resolved.
    Resolvable(Box<Resolver>),
}

/// Turns the bytes of one writer's schema into those of ours.
#[derive(Debug)]
pub struct Resolver {
    writer: Schema,
    types: Types,
    /// Ours, with the writer's type where money is of another type than ours.
    resolved: Schema,
    money: Vec<OtherMoney>,
    reader: Schema,
}

/// The most that one string or array of a value may take, in bytes: more than any record that a
/// broker takes. Without a bound of ours, damaged bytes could have apache-avro reserve half a
/// gigabyte.
const MAX_ALLOCATION: usize = 16 << 20;

/// Compares a writer's schema with ours.
///
/// # Errors
/// Why a value of the one can never be read as the other.
pub fn relate(
    writer: &WriterSchema,
    reader: &str,
    money_fields: &[(&'static str, Option<Money>)],
) -> Result<Relation, String> {
    // Takes effect once in a process; later calls change nothing.
    apache_avro::util::max_allocation_bytes(MAX_ALLOCATION);
    let mut writer = references::inline(&writer.text, &writer.references)?;
    let ours = references::inline(reader, &[])?;
    rename_by_aliases(&mut writer, &ours);
    let mut resolved = ours.clone();
    let mut money = Vec::new();
    for &(field, as_money) in money_fields {
        let Some(as_money) = as_money else { continue };
        money.extend(OtherMoney::of((field, as_money), &writer, &mut resolved)?);
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
        types: Types::of(&writer)?,
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
    pub fn rewrite(&self, id: u32, mut body: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let unresolvable = |message| DecodeError::Unresolvable { id, message };
        self.types.check(body).map_err(unresolvable)?;
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

/// Gives the fields of a writer's schema that ours knows by an alias our names. Names are not in
/// the bytes. (Avro 1.12, "Aliases"; apache-avro compares by them, and does not resolve by them.)
fn rename_by_aliases(writer: &mut Json, reader: &Json) {
    let Some(reader_fields) = reader.get("fields").and_then(Json::as_array) else {
        return;
    };
    let Some(writer_fields) = writer.get_mut("fields").and_then(Json::as_array_mut) else {
        return;
    };
    for reader_field in reader_fields {
        let find =
            |fields: &[Json], name: &Json| fields.iter().position(|field| field.get("name") == Some(name));
        let name = &reader_field["name"];
        let aliases = reader_field.get("aliases").and_then(Json::as_array);
        let mut by_alias = aliases.into_iter().flatten();
        let found = find(writer_fields, name);
        let Some(at) = found.or_else(|| by_alias.find_map(|alias| find(writer_fields, alias))) else {
            continue;
        };
        writer_fields[at]["name"] = name.clone();
        if let Some(writer_type) = writer_fields[at].get_mut("type") {
            rename_by_aliases(writer_type, &reader_field["type"]);
        }
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
