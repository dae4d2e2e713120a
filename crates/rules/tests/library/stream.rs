//! Streams of a few users, one transaction after the other.

use millrace_domain::{
    Amount, Currency, PaymentMethod, ShortId, Transaction, TransactionId, TransactionType,
};

pub(crate) const START_MS: i64 = 1_760_000_000_000;
pub(crate) const SECOND: i64 = 1_000;
pub(crate) const MINUTE: i64 = 60 * SECOND;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

/// Transactions in the order of their times.
#[derive(Clone)]
pub(crate) struct Stream(pub(crate) Vec<Transaction>);

impl Stream {
    /// A user's ordinary life: `count` purchases of about 20 euros in Berlin, six hours apart.
    pub(crate) fn of_user(count: usize) -> Self {
        let life = (0..count).map(|number| {
            let cents = 2_000 + (number as i64 * 37) % 300;
            purchase(cents, 6 * HOUR * number as i64)
        });
        Self(life.collect()).numbered()
    }

    /// Goes on with a purchase `after_ms` after the last transaction.
    pub(crate) fn buy(self, after_ms: i64, cents: i64) -> Self {
        self.then(after_ms, cents, |_| {})
    }

    /// Goes on with a transaction that `change` makes of a purchase.
    pub(crate) fn then(mut self, after_ms: i64, cents: i64, change: impl FnOnce(&mut Transaction)) -> Self {
        let last_ms = self.0.last().map_or(START_MS, |last| last.transaction_time_ms);
        let mut transaction = purchase(cents, 0);
        transaction.transaction_time_ms = last_ms + after_ms;
        change(&mut transaction);
        self.0.push(transaction);
        self.numbered()
    }

    /// `step` so many times.
    pub(crate) fn repeat(self, times: usize, step: impl Fn(Self, usize) -> Self) -> Self {
        (0..times).fold(self, step)
    }

    fn numbered(mut self) -> Self {
        for (number, transaction) in self.0.iter_mut().enumerate() {
            transaction.transaction_id = TransactionId::from_bytes((number as u128 + 1).to_be_bytes());
        }
        self
    }
}

pub(crate) fn short(text: &str) -> ShortId {
    ShortId::new(text, "id").unwrap()
}

pub(crate) fn currency(code: &str) -> Currency {
    Currency::parse(code.as_bytes()).unwrap()
}

fn purchase(cents: i64, after_ms: i64) -> Transaction {
    Transaction {
        transaction_id: TransactionId::from_bytes([0; 16]),
        user_id: short("alice"),
        amount: Amount::from_units(cents * 100).unwrap(),
        transaction_time_ms: START_MS + after_ms,
        merchant_id: short("m-1"),
        transaction_type: TransactionType::Purchase,
        location: short("Berlin"),
        payment_method: PaymentMethod::CreditCard,
        is_international: false,
        currency: currency("EUR"),
    }
}
