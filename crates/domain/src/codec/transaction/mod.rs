//! The transaction's Avro body. The hot path: no allocation either way.

use millrace_contract::wire::{Cursor, put_bytes, put_long};
use millrace_contract::{DecodeError, framing};

use super::short_id::ReadShortId as _;
use crate::{Amount, Currency, PaymentMethod, ShortId, Transaction, TransactionId, TransactionType};

mod usual;

/// The most bytes that a body with short ids takes: what to reserve once for a buffer.
pub const MAX_LEN: usize = 37 + 3 * 13 + 8 + 10 + 3 + 4;

/// Appends the Avro body.
#[inline]
pub fn encode(transaction: &Transaction, bytes: &mut Vec<u8>) {
    bytes.reserve(MAX_LEN);
    put_bytes(&transaction.transaction_id.to_text(), bytes);
    put_id(&transaction.user_id, bytes);
    bytes.extend_from_slice(&transaction.amount.to_f64().to_le_bytes());
    put_long(transaction.transaction_time_ms, bytes);
    put_id(&transaction.merchant_id, bytes);
    put_long(transaction.transaction_type as i64, bytes);
    put_id(&transaction.location, bytes);
    put_long(transaction.payment_method as i64, bytes);
    bytes.push(u8::from(transaction.is_international));
    put_bytes(transaction.currency.as_bytes(), bytes);
}

#[inline]
fn put_id(id: &ShortId, bytes: &mut Vec<u8>) {
    const ALL: usize = ShortId::MAX_INLINE_LEN;
    let Some(text) = id.inline_text() else {
        return put_long_id(id, bytes);
    };
    // The length in a byte, and the padding that is taken back: to copy so many bytes as are known
    // here is a store or two, and to copy as many as the text has is a call.
    let mut padded = [0; 1 + ALL];
    padded[0] = 2 * text.len() as u8;
    padded[1..].copy_from_slice(&id.to_padded());
    bytes.extend_from_slice(&padded);
    bytes.truncate(bytes.len() - (ALL - text.len()));
}

#[cold]
fn put_long_id(id: &ShortId, bytes: &mut Vec<u8>) {
    put_bytes(id.text().as_bytes(), bytes);
}

/// Appends the framing and the Avro body.
#[inline]
pub fn encode_framed(schema_id: u32, transaction: &Transaction, bytes: &mut Vec<u8>) {
    bytes.reserve(framing::HEADER_LEN + MAX_LEN);
    framing::write_header(schema_id, bytes);
    encode(transaction, bytes);
}

/// Reads an Avro body that was written with our schema.
///
/// # Errors
/// Anything but one whole, valid transaction.
#[inline]
pub fn decode(body: &[u8]) -> Result<Transaction, DecodeError> {
    match usual::decode(body) {
        Some(transaction) => Ok(transaction),
        None => decode_by_field(body),
    }
}

#[cold]
fn decode_by_field(body: &[u8]) -> Result<Transaction, DecodeError> {
    let mut cursor = Cursor::new(body);
    let transaction = Transaction {
        transaction_id: TransactionId::parse(cursor.bytes("transactionId")?)?,
        user_id: cursor.short_id("userId")?,
        amount: Amount::from_f64(cursor.double("amount")?)?,
        transaction_time_ms: Transaction::check_time(cursor.long("transactionTime")?)?,
        merchant_id: cursor.short_id("merchantId")?,
        transaction_type: cursor.one_of("transactionType", &TransactionType::ALL)?,
        location: cursor.short_id("location")?,
        payment_method: cursor.one_of("paymentMethod", &PaymentMethod::ALL)?,
        is_international: cursor.boolean("isInternational")?,
        currency: Currency::parse(cursor.bytes("currency")?)?,
    };
    cursor.end()?;
    Ok(transaction)
}
