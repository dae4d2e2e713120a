//! A transaction as a JSON object, with the contract's field names.
//!
//! The reader takes what JSON allows and producers do: any order of fields, blanks around the
//! object, a byte order mark before it, and fields that the contract does not have, which are
//! ignored as Avro's are. A field of the contract that is missing or there twice is an error: which
//! of two values is meant is not for a reader to guess.

use millrace_contract::DecodeError;
use millrace_contract::json::{self, Integer, MapAccess, Text, put_display, put_name, put_string};
use serde::Deserialize;

use crate::{
    Amount, Currency, InvalidValue, PaymentMethod, ShortId, Transaction, TransactionId, TransactionType,
};

/// Appends a transaction as one JSON object, without a line end.
pub fn encode(transaction: &Transaction, bytes: &mut Vec<u8>) {
    let text = |bytes: &mut Vec<u8>, name: &str, id: &ShortId| {
        put_name(bytes, name);
        put_string(bytes, id.text().as_str());
    };
    bytes.extend_from_slice(b"{\"transactionId\":\"");
    bytes.extend_from_slice(&transaction.transaction_id.to_text());
    bytes.push(b'"');
    text(bytes, "userId", &transaction.user_id);
    put_name(bytes, "amount");
    put_display(bytes, transaction.amount);
    put_name(bytes, "transactionTime");
    put_display(bytes, transaction.transaction_time_ms);
    text(bytes, "merchantId", &transaction.merchant_id);
    put_name(bytes, "transactionType");
    put_string(bytes, transaction.transaction_type.as_str());
    text(bytes, "location", &transaction.location);
    put_name(bytes, "paymentMethod");
    put_string(bytes, transaction.payment_method.as_str());
    put_name(bytes, "isInternational");
    put_display(bytes, transaction.is_international);
    put_name(bytes, "currency");
    put_string(bytes, transaction.currency.as_str());
    bytes.push(b'}');
}

/// Reads one JSON object, as [`json::decode`] does.
///
/// # Errors
/// No JSON object, a field that is missing, twice or of another type, or a value that the contract
/// refuses.
pub fn decode(value: &[u8]) -> Result<Transaction, DecodeError> {
    json::decode::<Fields>(value)
}

/// What has been read so far. Every value is checked as it is read.
#[derive(Default)]
struct Fields {
    transaction_id: Option<TransactionId>,
    user_id: Option<ShortId>,
    amount: Option<Amount>,
    transaction_time_ms: Option<i64>,
    merchant_id: Option<ShortId>,
    transaction_type: Option<TransactionType>,
    location: Option<ShortId>,
    payment_method: Option<PaymentMethod>,
    is_international: Option<bool>,
    currency: Option<Currency>,
}

impl json::Fields for Fields {
    type Record = Transaction;

    fn finish(self) -> Result<Transaction, DecodeError> {
        fn there<T>(value: Option<T>, field: &'static str) -> Result<T, DecodeError> {
            value.ok_or(DecodeError::MissingField(field))
        }
        Ok(Transaction {
            transaction_id: there(self.transaction_id, "transactionId")?,
            user_id: there(self.user_id, "userId")?,
            amount: there(self.amount, "amount")?,
            transaction_time_ms: there(self.transaction_time_ms, "transactionTime")?,
            merchant_id: there(self.merchant_id, "merchantId")?,
            transaction_type: there(self.transaction_type, "transactionType")?,
            location: there(self.location, "location")?,
            payment_method: there(self.payment_method, "paymentMethod")?,
            is_international: there(self.is_international, "isInternational")?,
            currency: there(self.currency, "currency")?,
        })
    }

    fn read<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), DecodeError> {
        match name {
            "transactionId" => text(&mut self.transaction_id, map, "transactionId", |text| {
                TransactionId::parse(text.as_bytes())
            }),
            "userId" => text(&mut self.user_id, map, "userId", |text| {
                ShortId::new(text, "userId")
            }),
            "amount" => field(&mut self.amount, map, "amount", |value: f64| {
                Ok(Amount::from_f64(value)?)
            }),
            "transactionTime" => field(
                &mut self.transaction_time_ms,
                map,
                "transactionTime",
                |Integer(value)| Ok(Transaction::check_time(value)?),
            ),
            "merchantId" => text(&mut self.merchant_id, map, "merchantId", |text| {
                ShortId::new(text, "merchantId")
            }),
            "transactionType" => symbol(
                &mut self.transaction_type,
                map,
                "transactionType",
                TransactionType::parse,
                "purchase or refund",
            ),
            "location" => text(&mut self.location, map, "location", |text| {
                ShortId::new(text, "location")
            }),
            "paymentMethod" => symbol(
                &mut self.payment_method,
                map,
                "paymentMethod",
                PaymentMethod::parse,
                "credit_card, paypal or bank_transfer",
            ),
            "isInternational" => field(&mut self.is_international, map, "isInternational", Ok),
            "currency" => text(&mut self.currency, map, "currency", |text| {
                Currency::parse(text.as_bytes())
            }),
            _ => json::skip(map),
        }
    }
}

fn field<'de, A: MapAccess<'de>, J: Deserialize<'de>, T>(
    slot: &mut Option<T>,
    map: &mut A,
    field: &'static str,
    check: impl FnOnce(J) -> Result<T, DecodeError>,
) -> Result<(), DecodeError> {
    if slot.is_some() {
        return Err(DecodeError::DuplicateField(field));
    }
    let value = map.next_value().map_err(|error| DecodeError::BadField {
        field,
        message: error.to_string(),
    })?;
    *slot = Some(check(value)?);
    Ok(())
}

fn text<'de, A: MapAccess<'de>, T>(
    slot: &mut Option<T>,
    map: &mut A,
    name: &'static str,
    parse: impl FnOnce(&str) -> Result<T, InvalidValue>,
) -> Result<(), DecodeError> {
    field(slot, map, name, |Text(text)| Ok(parse(&text)?))
}

fn symbol<'de, A: MapAccess<'de>, T>(
    slot: &mut Option<T>,
    map: &mut A,
    name: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
    right: &str,
) -> Result<(), DecodeError> {
    field(slot, map, name, |Text(text)| {
        parse(&text).ok_or_else(|| DecodeError::BadField {
            field: name,
            message: format!("{:?} is not {right}", text.chars().take(40).collect::<String>()),
        })
    })
}
