//! Transactions to test with.

#![allow(dead_code, reason = "each test uses some")]

pub(crate) mod detector;
pub(crate) mod stream;

use millrace_domain::{
    Amount, Currency, PaymentMethod, ShortId, Transaction, TransactionId, TransactionType,
};

/// An event time to start from, in milliseconds since 1970.
pub(crate) const START_MS: i64 = 1_760_000_000_000;

/// The id of a number.
pub(crate) fn id(number: u128) -> TransactionId {
    TransactionId::from_bytes(number.to_be_bytes())
}

/// A user, merchant or city.
pub(crate) fn short(text: &str) -> ShortId {
    ShortId::new(text, "id").unwrap()
}

/// A purchase of 20 euros by card in Berlin.
pub(crate) fn purchase(number: u128, user: &str, after_ms: i64) -> Transaction {
    Transaction {
        transaction_id: id(number),
        user_id: short(user),
        amount: amount(20.0),
        transaction_time_ms: START_MS + after_ms,
        merchant_id: short("m-1"),
        transaction_type: TransactionType::Purchase,
        location: short("Berlin"),
        payment_method: PaymentMethod::CreditCard,
        is_international: false,
        currency: currency("EUR"),
    }
}

/// An amount in whole units of its currency.
pub(crate) fn amount(whole: f64) -> Amount {
    Amount::from_f64(whole).unwrap()
}

/// An ISO 4217 code.
pub(crate) fn currency(code: &str) -> Currency {
    Currency::parse(code.as_bytes()).unwrap()
}
