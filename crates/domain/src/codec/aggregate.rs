//! The merchant aggregate's Avro body.

use millrace_contract::wire::{Cursor, put_bytes, put_count, put_long};
use millrace_contract::{DecodeError, framing};

use super::decimal;
use super::short_id::ReadShortId as _;
use crate::{Currency, MerchantAggregate, Totals};

/// Appends the Avro body.
pub fn encode(aggregate: &MerchantAggregate, bytes: &mut Vec<u8>) {
    put_bytes(aggregate.merchant_id.text().as_bytes(), bytes);
    put_bytes(aggregate.currency.as_bytes(), bytes);
    put_long(aggregate.window_start_ms, bytes);
    put_long(aggregate.window_end_ms, bytes);
    put_totals(&aggregate.totals, bytes);
    put_count(aggregate.distinct_users, bytes);
    put_long(i64::from(aggregate.revision), bytes);
}

/// Appends the framing and the Avro body.
pub fn encode_framed(schema_id: u32, aggregate: &MerchantAggregate, bytes: &mut Vec<u8>) {
    framing::write_header(schema_id, bytes);
    encode(aggregate, bytes);
}

/// Reads an Avro body that was written with our schema.
///
/// # Errors
/// Anything but one whole, valid aggregate.
pub fn decode(body: &[u8]) -> Result<MerchantAggregate, DecodeError> {
    let mut cursor = Cursor::new(body);
    let aggregate = MerchantAggregate {
        merchant_id: cursor.short_id("merchantId")?,
        currency: Currency::parse(cursor.bytes("currency")?)?,
        window_start_ms: cursor.long("windowStart")?,
        window_end_ms: cursor.long("windowEnd")?,
        totals: totals(&mut cursor)?,
        distinct_users: cursor.count("distinctUsers")?,
        revision: cursor.int("revision")?,
    };
    cursor.end()?;
    Ok(aggregate)
}

pub(super) fn put_totals(totals: &Totals, bytes: &mut Vec<u8>) {
    put_count(totals.purchase_count, bytes);
    decimal::put_sum(totals.purchase_sum, bytes);
    put_count(totals.refund_count, bytes);
    decimal::put_sum(totals.refund_sum, bytes);
    decimal::put_amount(totals.min_amount, bytes);
    decimal::put_amount(totals.max_amount, bytes);
}

pub(super) fn totals(cursor: &mut Cursor<'_>) -> Result<Totals, DecodeError> {
    Ok(Totals {
        purchase_count: cursor.count("purchaseCount")?,
        purchase_sum: decimal::sum(cursor, "purchaseSum")?,
        refund_count: cursor.count("refundCount")?,
        refund_sum: decimal::sum(cursor, "refundSum")?,
        min_amount: decimal::amount(cursor, "minAmount")?,
        max_amount: decimal::amount(cursor, "maxAmount")?,
    })
}
