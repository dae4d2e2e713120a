//! A transaction's document.

use millrace_domain::Transaction;
use millrace_domain::city::{self, Coordinates};

use super::{Document, Fields, NoDocument, first_stays, month};
use crate::stream::Stream;

/// The document of a transaction that was read at `offset`. A location that the reference data
/// knows brings its place on the globe along.
///
/// # Errors
/// None in practice: a valid transaction has a month and a sum.
pub fn transaction(transaction: &Transaction, offset: i64) -> Result<Document, NoDocument> {
    let id = transaction.transaction_id.to_string();
    let mut fields = Fields::at(transaction.transaction_time_ms);
    fields.text("transactionId", &id);
    fields.text("userId", transaction.user_id.text().as_str());
    fields.text("merchantId", transaction.merchant_id.text().as_str());
    fields.text("transactionType", transaction.transaction_type.as_str());
    fields.text("paymentMethod", transaction.payment_method.as_str());
    fields.plain("isInternational", transaction.is_international);
    fields.text("currency", transaction.currency.as_str());
    fields.money("amount", transaction.amount.into())?;
    fields.text("location", transaction.location.text().as_str());
    if let Some(city) = city::find(&transaction.location) {
        let Coordinates { latitude, longitude } = city.into();
        fields.plain(
            "locationPoint",
            format_args!("{{\"lat\":{latitude},\"lon\":{longitude}}}"),
        );
    }
    Ok(Document {
        stream: Stream::TRANSACTIONS,
        month: month("transactionTime", transaction.transaction_time_ms)?,
        id,
        version: first_stays(offset),
        source: fields.end(),
    })
}
