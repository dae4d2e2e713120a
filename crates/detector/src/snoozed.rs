//! How many alerts were not raised as they are snoozed, as a metric.

use std::collections::BTreeMap;

use prometheus::IntCounterVec;

/// One partition's, as counted so far. Rules are few, and their names are the configuration's.
#[derive(Debug)]
pub(crate) struct Snoozed {
    counter: IntCounterVec,
    seen: BTreeMap<String, u64>,
}

impl Snoozed {
    pub(crate) fn new(counter: IntCounterVec) -> Self {
        Self {
            counter,
            seen: BTreeMap::new(),
        }
    }

    /// Takes what an operator has left out by now as counted.
    pub(crate) fn pass(&mut self, counts: &BTreeMap<String, u64>) {
        if self.seen != *counts {
            self.seen.clone_from(counts);
        }
    }

    /// Counts what an operator has left out since.
    pub(crate) fn count(&mut self, counts: &BTreeMap<String, u64>) {
        for (rule, now) in counts {
            let seen = self.seen.get(rule).copied().unwrap_or(0);
            if *now > seen {
                self.counter.with_label_values(&[rule]).inc_by(now - seen);
            }
        }
        self.pass(counts);
    }
}
