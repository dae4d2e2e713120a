//! Transaction ids seen lately, so that the ledger counts a row that a file has twice once.

use std::collections::VecDeque;

use millrace_domain::TransactionId;
use rustc_hash::FxHashSet;

/// Ids that are remembered.
const CAPACITY: usize = 1 << 18;

#[derive(Debug, Default)]
pub(super) struct RecentIds {
    ids: FxHashSet<TransactionId>,
    order: VecDeque<TransactionId>,
}

impl RecentIds {
    /// Remembers an id; whether it is new.
    pub(super) fn insert(&mut self, id: TransactionId) -> bool {
        if !self.ids.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > CAPACITY
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }
}
