//! Transactions that are kept for later than the round they were read in.

use millrace_domain::texts::{self, Held};
use millrace_domain::{ShortId, Transaction};

/// A transaction with the texts of its long ids.
#[derive(Debug)]
pub(super) struct Kept {
    transaction: Transaction,
    /// Empty, and so without an allocation, where all ids are short.
    texts: Vec<Held>,
}

fn ids(transaction: &Transaction) -> [&ShortId; 3] {
    [
        &transaction.user_id,
        &transaction.merchant_id,
        &transaction.location,
    ]
}

impl Kept {
    /// Keeps a transaction of this round.
    pub(super) fn new(transaction: Transaction) -> Self {
        Self {
            texts: ids(&transaction).into_iter().filter_map(Held::of).collect(),
            transaction,
        }
    }

    /// When it was made, in milliseconds since 1970.
    pub(super) fn time_ms(&self) -> i64 {
        self.transaction.transaction_time_ms
    }

    /// The transaction, for this round.
    pub(super) fn into_inner(self) -> Transaction {
        if !self.texts.is_empty() {
            texts::release(ids(&self.transaction).into_iter());
        }
        self.transaction
    }
}
