//! The Avro body of a change of rules.

use millrace_contract::wire::{Cursor, put_array, put_bytes, put_long};
use millrace_contract::{DecodeError, framing};

use super::anomaly::optional_text;
use crate::{RuleChange, RuleChangeStatus, RuleText};

/// Appends the Avro body.
pub fn encode(change: &RuleChange, bytes: &mut Vec<u8>) {
    put_number(change.number, bytes);
    put_long(change.status as i64, bytes);
    put_bytes(change.action.as_bytes(), bytes);
    put_number(change.base, bytes);
    put_long(i64::from(change.proposal.is_some()), bytes);
    if let Some(proposal) = change.proposal {
        put_number(proposal, bytes);
    }
    put_bytes(change.version.as_bytes(), bytes);
    put_array(&change.files, bytes, |file, bytes| {
        put_bytes(file.name.as_bytes(), bytes);
        put_bytes(file.text.as_bytes(), bytes);
    });
    put_array(&change.modes, bytes, |(rule, mode), bytes| {
        put_bytes(rule.as_bytes(), bytes);
        put_bytes(mode.as_bytes(), bytes);
    });
    put_bytes(change.author.as_bytes(), bytes);
    put_long(i64::from(change.approved_by.is_some()), bytes);
    if let Some(second) = &change.approved_by {
        put_bytes(second.as_bytes(), bytes);
    }
    put_bytes(change.reason.as_bytes(), bytes);
    put_long(change.time_ms, bytes);
}

fn put_number(number: u64, bytes: &mut Vec<u8>) {
    put_long(i64::try_from(number).unwrap_or(i64::MAX), bytes);
}

/// Appends the framing and the Avro body.
pub fn encode_framed(schema_id: u32, change: &RuleChange, bytes: &mut Vec<u8>) {
    framing::write_header(schema_id, bytes);
    encode(change, bytes);
}

/// Reads an Avro body that was written with our schema.
///
/// # Errors
/// Anything but one whole, valid change.
pub fn decode(body: &[u8]) -> Result<RuleChange, DecodeError> {
    let mut cursor = Cursor::new(body);
    let change = RuleChange {
        number: cursor.count("number")?,
        status: cursor.one_of("status", &RuleChangeStatus::ALL)?,
        action: cursor.string("action")?.to_owned(),
        base: cursor.count("base")?,
        proposal: match cursor.one_of("proposal", &[false, true])? {
            true => Some(cursor.count("proposal")?),
            false => None,
        },
        version: cursor.string("version")?.to_owned(),
        files: pairs(&mut cursor, "files")?
            .into_iter()
            .map(|(name, text)| RuleText { name, text })
            .collect(),
        modes: pairs(&mut cursor, "modes")?,
        author: cursor.string("author")?.to_owned(),
        approved_by: optional_text(&mut cursor, "approvedBy")?,
        reason: cursor.string("reason")?.to_owned(),
        time_ms: cursor.long("time")?,
    };
    cursor.end()?;
    Ok(change)
}

fn pairs(cursor: &mut Cursor<'_>, field: &'static str) -> Result<Vec<(String, String)>, DecodeError> {
    let mut pairs = Vec::new();
    cursor.blocks(field, |cursor| {
        pairs.push((cursor.string(field)?.to_owned(), cursor.string(field)?.to_owned()));
        Ok(())
    })?;
    Ok(pairs)
}
