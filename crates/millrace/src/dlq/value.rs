//! A letter's value for a person: decoded where it can be, else its bytes.

use std::fmt::Write as _;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use millrace_registry::Registry;
use millrace_registry::{Found, SchemaKind};
use serde::Serialize;

use super::letter::Letter;

/// Bytes of a dump or a text at most.
const MAX_SHOWN_BYTES: usize = 4_096;
/// Bytes before an Avro body: a zero, and the schema's id.
const FRAME_BYTES: usize = 5;

/// A value as it is shown.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "form", content = "value")]
pub(super) enum Shown {
    /// There is none.
    Tombstone,
    /// A JSON document.
    Json(serde_json::Value),
    /// Avro, by the schema it was written with.
    Avro {
        /// The schema's id.
        schema_id: u32,
        fields: serde_json::Value,
    },
    /// Other text.
    Text(String),
    /// Bytes in hexadecimal, and why they are not decoded.
    Hex { why: String, bytes: String },
}

impl Shown {
    pub(super) async fn of(letter: &Letter, registry: &Registry) -> Self {
        let Some(value) = letter.record.payload.as_deref() else {
            return Self::Tombstone;
        };
        let Some((id, body)) = framed(value) else {
            return plain(value);
        };
        let decoded = match registry.writer_schema(id).await {
            Ok(Found::Whole(schema)) if schema.kind == SchemaKind::Json => return plain(body),
            Ok(Found::Whole(schema)) => schema.standalone().and_then(|schema| decode(&schema, body)),
            Ok(Found::Nothing) => Err("the registry has no such schema".to_owned()),
            Ok(Found::Without { reference, why }) => Err(format!(
                "it refers to {}, which the registry {why}",
                reference.name
            )),
            Err(error) => Err(error.to_string()),
        };
        match decoded {
            Ok(fields) => Self::Avro {
                schema_id: id,
                fields,
            },
            Err(why) => hex(value, format!("schema {id}: {why}")),
        }
    }
}

/// Schema id and Avro body, where the value begins as the Confluent framing does.
fn framed(value: &[u8]) -> Option<(u32, &[u8])> {
    let (frame, body) = value.split_at_checked(FRAME_BYTES)?;
    let (0, id) = frame.split_first().map(|(magic, id)| (*magic, id))? else {
        return None;
    };
    Some((u32::from_be_bytes(id.try_into().ok()?), body))
}

fn decode(schema: &str, body: &[u8]) -> Result<serde_json::Value, String> {
    let schema = Schema::parse_str(schema).map_err(|error| error.to_string())?;
    let reader = GenericDatumReader::builder(&schema)
        .build()
        .map_err(|error| error.to_string())?;
    let value = reader
        .read_value(&mut &body[..])
        .map_err(|error| error.to_string())?;
    // The reader takes a text that is cut off for an empty one, and leaves what is too much.
    let written = GenericDatumWriter::builder(&schema)
        .build()
        .and_then(|writer| writer.write_value_to_vec(value.clone()))
        .map_err(|error| error.to_string())?;
    if written.len() != body.len() {
        let (len, needed) = (body.len(), written.len());
        return Err(format!(
            "a body of {len} bytes, where what it says takes {needed}"
        ));
    }
    serde_json::Value::try_from(value).map_err(|error| error.to_string())
}

fn plain(value: &[u8]) -> Shown {
    if let Ok(json) = serde_json::from_slice(value) {
        return Shown::Json(json);
    }
    match std::str::from_utf8(value) {
        Ok(text) if !text.chars().any(|c| c.is_control() && !c.is_whitespace()) => {
            let mut end = text.len().min(MAX_SHOWN_BYTES);
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            Shown::Text(text[..end].to_owned())
        }
        _ => hex(value, "neither text nor framed Avro".to_owned()),
    }
}

fn hex(value: &[u8], why: String) -> Shown {
    let mut bytes = String::new();
    for byte in value.iter().take(MAX_SHOWN_BYTES) {
        // Writing to a String cannot fail.
        let _ = write!(bytes, "{byte:02x}");
    }
    if value.len() > MAX_SHOWN_BYTES {
        let _ = write!(bytes, "... ({} bytes in all)", value.len());
    }
    Shown::Hex { why, bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_avro_is_shown_as_what_it_is() {
        assert_eq!(plain(b"{\"a\": 1}"), Shown::Json(serde_json::json!({"a": 1})));
        assert_eq!(plain(b"{\"a\": 1"), Shown::Text("{\"a\": 1".to_owned()));
        let Shown::Hex { bytes, .. } = plain(b"\xff\x00\x10") else {
            panic!("no text");
        };
        assert_eq!(bytes, "ff0010");
        let Shown::Hex { bytes, .. } = plain(&[0xff; 1_000_000]) else {
            panic!("no text");
        };
        assert!(bytes.len() < 10_000 && bytes.ends_with("(1000000 bytes in all)"));
        let Shown::Text(text) = plain("é".repeat(4_095).as_bytes()) else {
            panic!("text");
        };
        assert_eq!(text.len(), MAX_SHOWN_BYTES);
    }

    #[test]
    fn avro_is_shown_by_its_writers_schema() {
        assert_eq!(framed(b"\x00\x00\x00\x00\x07ab"), Some((7, &b"ab"[..])));
        assert_eq!(framed(b"\x01\x00\x00\x00\x07ab"), None);
        assert_eq!(framed(b"\x00\x00\x00"), None);
        let schema = r#"{"type": "record", "name": "R", "fields": [{"name": "a", "type": "string"}]}"#;
        assert_eq!(decode(schema, b"\x04hi").unwrap(), serde_json::json!({"a": "hi"}));
        assert!(decode(schema, b"\x04hi!").unwrap_err().contains("4 bytes"));
        assert!(decode(schema, b"\x04h").is_err());
    }
}
