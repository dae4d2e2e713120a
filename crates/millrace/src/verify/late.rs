//! What came late, and which of it is a second copy of what was taken in time.
//!
//! Transaction ids are remembered for a bounded time of event time. A second copy that comes after that is late for the
//! aggregator like any other: it goes to the late topic, though the first copy is in the aggregates. The source topic
//! tells the two apart: it has an earlier record with that id.

use std::collections::HashMap;

use millrace_domain::{Transaction, TransactionId};

use super::totals::{Totals, Windows, add_to};

/// The records of the late topic, by transaction.
#[derive(Debug, Default)]
pub(crate) struct Late {
    transactions: HashMap<TransactionId, LateTransaction>,
    is_searched: bool,
}

#[derive(Debug)]
struct LateTransaction {
    transaction: Transaction,
    /// Offset in the source topic of the first record of it that was late.
    offset: i64,
    is_copy: bool,
}

impl Late {
    /// Takes a record of the late topic, with its offset in the source topic.
    pub(crate) fn add(&mut self, transaction: Transaction, offset: i64) {
        self.is_searched &= self.transactions.contains_key(&transaction.transaction_id);
        let known = self
            .transactions
            .entry(transaction.transaction_id)
            .or_insert(LateTransaction {
                transaction,
                offset,
                is_copy: false,
            });
        known.offset = known.offset.min(offset);
    }

    /// Whether there are transactions whose first copies were not searched for.
    pub(crate) fn wants_search(&self) -> bool {
        !self.is_searched && !self.transactions.is_empty()
    }

    /// Takes a record of the source topic that is no dead letter. A transaction's records are all in one partition.
    pub(crate) fn search(&mut self, id: &TransactionId, offset: i64) {
        if let Some(late) = self.transactions.get_mut(id) {
            late.is_copy |= offset < late.offset;
        }
    }

    /// The whole source topic was searched.
    pub(crate) fn searched(&mut self) {
        self.is_searched = true;
    }

    /// Whether a transaction is among them.
    pub(crate) fn contains(&self, id: &TransactionId) -> bool {
        self.transactions.contains_key(id)
    }

    /// The transactions of which no copy was in time, each once.
    pub(crate) fn windows(&self, window_ms: i64) -> Windows {
        let mut windows = Windows::new();
        for late in self.transactions.values().filter(|late| !late.is_copy) {
            let time_ms = late.transaction.transaction_time_ms;
            let start_ms = time_ms - time_ms.rem_euclid(window_ms);
            let totals = Totals::of(&late.transaction);
            add_to(&mut windows, start_ms, late.transaction.currency, &totals);
        }
        windows
    }

    /// How many have a copy that was in time.
    pub(crate) fn copies(&self) -> u64 {
        self.transactions.values().filter(|late| late.is_copy).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_domain::{Amount, Currency, PaymentMethod, ShortId, TransactionType};

    fn transaction(number: u8) -> Transaction {
        let id = |text| ShortId::new(text, "test").unwrap();
        Transaction {
            transaction_id: TransactionId::from_bytes([number; 16]),
            user_id: id("u1"),
            amount: Amount::from_units(10_000).unwrap(),
            transaction_time_ms: 61_000,
            merchant_id: id("m1"),
            transaction_type: TransactionType::Purchase,
            location: id("London"),
            payment_method: PaymentMethod::Paypal,
            is_international: false,
            currency: Currency::parse(b"GBP").unwrap(),
        }
    }

    #[test]
    fn a_copy_of_what_was_in_time_counts_once() {
        let mut late = Late::default();
        late.add(transaction(1), 10);
        late.add(transaction(2), 20);
        late.add(transaction(2), 15);
        assert!(late.wants_search());
        for (number, offset) in [(1, 3), (1, 10), (2, 15), (2, 20), (3, 1)] {
            late.search(&TransactionId::from_bytes([number; 16]), offset);
        }
        late.searched();
        assert!(!late.wants_search());
        assert_eq!(late.copies(), 1, "of the second, the first record was late");
        let windows = late.windows(60_000);
        let counts: Vec<_> = windows
            .iter()
            .map(|(key, totals)| (key.0, totals.purchase_count))
            .collect();
        assert_eq!(counts, [(60_000, 1)]);
        late.add(transaction(1), 30);
        assert!(!late.wants_search(), "known already");
        late.add(transaction(4), 40);
        assert!(late.wants_search());
    }
}
