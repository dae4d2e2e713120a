//! The Avro body of a record of the partials topic.

use millrace_contract::wire::{Cursor, put_array, put_bytes, put_count, put_long};
use millrace_contract::{DecodeError, framing};

use super::aggregate::{put_totals, totals};
use super::short_id::ReadShortId as _;
use crate::{Contribution, Currency, Partial, PartialContent};

/// Appends the Avro body.
pub fn encode(partial: &Partial, bytes: &mut Vec<u8>) {
    put_long(i64::from(partial.source_partition), bytes);
    put_long(partial.watermark_ms, bytes);
    let (of_final, of_early) = match &partial.content {
        PartialContent::Watermark => (&[][..], &[][..]),
        PartialContent::Final(contributions) => (&contributions[..], &[][..]),
        PartialContent::Early(contributions) => (&[][..], &contributions[..]),
    };
    put_contributions(of_final, bytes);
    put_contributions(of_early, bytes);
    put_long(i64::from(partial.complete_ms.is_some()), bytes);
    if let Some(complete_ms) = partial.complete_ms {
        put_long(complete_ms, bytes);
    }
}

/// The union of null, one and an array. One alone is written as it was before there were arrays.
fn put_contributions(contributions: &[Contribution], bytes: &mut Vec<u8>) {
    match contributions {
        [] => put_long(0, bytes),
        [contribution] => {
            put_long(1, bytes);
            put_contribution(contribution, bytes);
        }
        several => {
            put_long(2, bytes);
            put_array(several, bytes, put_contribution);
        }
    }
}

fn put_contribution(contribution: &Contribution, bytes: &mut Vec<u8>) {
    put_bytes(contribution.merchant_id.text().as_bytes(), bytes);
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
    let of_final = contributions(&mut cursor, "contribution")?;
    let of_early = contributions(&mut cursor, "early")?;
    let has_complete = cursor.one_of("complete", &[false, true])?;
    let complete_ms = has_complete.then(|| cursor.long("complete")).transpose()?;
    cursor.end()?;
    let content = match (of_final.is_empty(), of_early.is_empty()) {
        (true, true) => PartialContent::Watermark,
        (false, true) => PartialContent::Final(of_final),
        (true, false) => PartialContent::Early(of_early),
        (false, false) => {
            return Err(bad(
                "early",
                "there beside a contribution: one of the two is null",
            ));
        }
    };
    Ok(Partial {
        source_partition,
        watermark_ms,
        complete_ms,
        content,
    })
}

fn contributions(cursor: &mut Cursor<'_>, field: &'static str) -> Result<Vec<Contribution>, DecodeError> {
    let mut contributions = Vec::new();
    match cursor.one_of(field, &[Branch::Null, Branch::One, Branch::Array])? {
        Branch::Null => {}
        Branch::One => contributions.push(contribution(cursor)?),
        Branch::Array => {
            cursor.blocks(field, |cursor| {
                contributions.push(contribution(cursor)?);
                Ok(())
            })?;
            let Some((first, others)) = contributions.split_first() else {
                return Err(bad(field, "an array of none"));
            };
            if !others.iter().all(|other| other.is_of_same_window(first)) {
                return Err(bad(field, "of several merchants or windows"));
            }
        }
    }
    Ok(contributions)
}

#[cold]
fn bad(field: &'static str, message: &str) -> DecodeError {
    let message = message.to_owned();
    DecodeError::BadField { field, message }
}

#[derive(Clone, Copy)]
enum Branch {
    Null,
    One,
    Array,
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
