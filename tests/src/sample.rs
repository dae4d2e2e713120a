//! Transactions made by hand, for tests that need a few.

use millrace_domain::{
    Amount, Currency, PaymentMethod, ShortId, Transaction, TransactionId, TransactionType,
};

/// A valid purchase: transaction, user and amount follow `number`; the merchant is one of ten.
///
/// # Panics
/// Never: every value is valid by construction.
#[must_use]
pub fn transaction(number: u32, transaction_time_ms: i64) -> Transaction {
    let mut id = [0x40; 16];
    id[..4].copy_from_slice(&number.to_be_bytes());
    let short = |text: String| ShortId::new(&text, "sample").expect("short enough");
    Transaction {
        transaction_id: TransactionId::from_bytes(id),
        user_id: short(format!("u{}", number % 1_000)),
        amount: Amount::from_units(i64::from(number % 500 + 1) * 100).expect("above 0"),
        transaction_time_ms,
        merchant_id: short(format!("m{}", number % 10)),
        transaction_type: TransactionType::Purchase,
        location: short("London".to_owned()),
        payment_method: PaymentMethod::CreditCard,
        is_international: false,
        currency: Currency::parse(b"GBP").expect("a code"),
    }
}
