//! The Avro body of an entry of a list, or of a snooze.

use millrace_contract::wire::{Cursor, put_bytes, put_long};
use millrace_contract::{DecodeError, framing};

use crate::list_entry::{ListEntry, ListKey, ListPurpose, ListedKind, is_list_name};
use crate::{InvalidValue, ShortId};

/// Appends the Avro body.
pub fn encode(entry: &ListEntry, bytes: &mut Vec<u8>) {
    put_long(entry.key.purpose as i64, bytes);
    put_bytes(entry.key.name.as_bytes(), bytes);
    put_long(entry.key.kind as i64, bytes);
    put_bytes(entry.key.entity.as_bytes(), bytes);
    put_long(i64::from(entry.until_ms.is_some()), bytes);
    if let Some(until_ms) = entry.until_ms {
        put_long(until_ms, bytes);
    }
    put_bytes(entry.author.as_bytes(), bytes);
    put_bytes(entry.reason.as_bytes(), bytes);
    put_long(entry.time_ms, bytes);
}

/// Appends the framing and the Avro body.
pub fn encode_framed(schema_id: u32, entry: &ListEntry, bytes: &mut Vec<u8>) {
    framing::write_header(schema_id, bytes);
    encode(entry, bytes);
}

/// Reads an Avro body that was written with our schema.
///
/// # Errors
/// Anything but one whole, valid entry.
pub fn decode(body: &[u8]) -> Result<ListEntry, DecodeError> {
    let mut cursor = Cursor::new(body);
    let purpose = cursor.one_of("purpose", &ListPurpose::ALL)?;
    let name = cursor.string("name")?.to_owned();
    if !is_list_name(&name) {
        return Err(InvalidValue::ListName(name.chars().take(40).collect()).into());
    }
    let kind = cursor.one_of("entityKind", &ListedKind::ALL)?;
    let entity = cursor.string("entity")?.to_owned();
    ShortId::new(&entity, "entity")?;
    let entry = ListEntry {
        key: ListKey {
            purpose,
            name,
            kind,
            entity,
        },
        until_ms: match cursor.one_of("until", &[false, true])? {
            true => Some(cursor.long("until")?),
            false => None,
        },
        author: cursor.string("author")?.to_owned(),
        reason: cursor.string("reason")?.to_owned(),
        time_ms: cursor.long("time")?,
    };
    cursor.end()?;
    Ok(entry)
}
