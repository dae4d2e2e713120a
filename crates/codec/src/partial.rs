//! The Avro body of a record of the partials topic.

use millrace_domain::{Contribution, Currency, Partial};

use crate::aggregate::{put_totals, totals};
use crate::wire::{Cursor, put_bytes, put_count, put_long};
use crate::{DecodeError, framing};

/// Appends the Avro body.
pub fn encode(partial: &Partial, bytes: &mut Vec<u8>) {
    put_long(i64::from(partial.source_partition), bytes);
    put_long(partial.watermark_ms, bytes);
    put_optional(partial.contribution.as_ref(), bytes);
    put_optional(partial.early.as_ref(), bytes);
}

/// The union with null.
fn put_optional(contribution: Option<&Contribution>, bytes: &mut Vec<u8>) {
    let Some(contribution) = contribution else {
        return put_long(0, bytes);
    };
    put_long(1, bytes);
    put_bytes(contribution.merchant_id.as_bytes(), bytes);
    put_bytes(contribution.currency.as_bytes(), bytes);
    put_long(contribution.window_start_ms, bytes);
    put_long(contribution.window_end_ms, bytes);
    put_totals(&contribution.totals, bytes);
    put_count(contribution.distinct_users, bytes);
}

/// Appends the framing and the Avro body.
pub fn encode_framed(schema_id: u32, partial: &Partial, bytes: &mut Vec<u8>) {
    framing::write_header(schema_id, bytes);
    encode(partial, bytes);
}

/// Reads an Avro body that was written with our schema.
///
/// # Errors
/// Anything but one whole, valid partial.
pub fn decode(body: &[u8]) -> Result<Partial, DecodeError> {
    let mut cursor = Cursor::new(body);
    let source_partition = cursor.int("sourcePartition")?;
    let watermark_ms = cursor.long("watermark")?;
    let contribution = optional(&mut cursor, "contribution")?;
    let early = optional(&mut cursor, "early")?;
    cursor.end()?;
    Ok(Partial {
        source_partition,
        watermark_ms,
        contribution,
        early,
    })
}

fn optional(cursor: &mut Cursor<'_>, field: &'static str) -> Result<Option<Contribution>, DecodeError> {
    cursor
        .one_of(field, &[false, true])?
        .then(|| contribution(cursor))
        .transpose()
}

fn contribution(cursor: &mut Cursor<'_>) -> Result<Contribution, DecodeError> {
    Ok(Contribution {
        merchant_id: cursor.short_id("merchantId")?,
        currency: Currency::parse(cursor.bytes("currency")?)?,
        window_start_ms: cursor.long("windowStart")?,
        window_end_ms: cursor.long("windowEnd")?,
        totals: totals(cursor)?,
        distinct_users: cursor.count("distinctUsers")?,
    })
}
