//! Judges transactions that come by time, each once.

use std::sync::Arc;

use millrace_domain::Transaction;
use millrace_engine::dedup::RecentIds;
use millrace_fraud::ListSettings;
use millrace_rules::{Evaluator, Fired, Version};
use millrace_runtime::hash_seed;

/// What became of a transaction.
pub(crate) enum Judged<'a> {
    /// Its id was seen within the horizon: it is judged no second time.
    Duplicate,
    /// The rules that fired for it, those in shadow too.
    New(&'a [Fired]),
}

/// Judges transactions in the order of their times.
///
/// Memory: what the version keeps of each user and merchant that had a transaction within its
/// longest window, and the ids of the horizon.
pub(crate) struct Judge {
    evaluator: Evaluator,
    seen: RecentIds,
    fired: Vec<Fired>,
    lists: ListSettings,
}

impl Judge {
    /// Before the first transaction. A copy has the time of its first, so that it is found whatever
    /// the horizon is.
    pub(crate) fn new(version: Arc<Version>, dedup_horizon_ms: i64) -> Self {
        Self {
            evaluator: Evaluator::new(version, 0),
            seen: RecentIds::of_horizon(dedup_horizon_ms, hash_seed()),
            fired: Vec::new(),
            lists: ListSettings::default(),
        }
    }

    /// With lists that rules look into, and alerts that are not raised, from the first transaction
    /// on.
    pub(crate) fn with_lists(mut self, lists: ListSettings) -> Self {
        self.evaluator.set_lists(&lists.live());
        self.lists = lists;
        self
    }

    /// Judges the next transaction.
    pub(crate) fn judge(&mut self, transaction: &Transaction) -> Judged<'_> {
        let time_ms = transaction.transaction_time_ms;
        self.seen.forget(time_ms);
        if !self.seen.insert(*transaction.transaction_id.as_bytes(), time_ms) {
            return Judged::Duplicate;
        }
        self.evaluator.advance(time_ms);
        self.fired.clear();
        self.evaluator.process(transaction, &mut self.fired);
        for fired in self.fired.iter_mut().filter(|fired| fired.alerts) {
            let rule = self.evaluator.version().rules()[fired.rule].name();
            fired.alerts = !self.lists.is_snoozed(rule, &transaction.user_id, time_ms);
        }
        Judged::New(&self.fired)
    }

    /// Who has judged so far.
    pub(crate) fn evaluator(&self) -> &Evaluator {
        &self.evaluator
    }

    /// The rules.
    pub(crate) fn version(&self) -> &Version {
        self.evaluator.version()
    }
}
