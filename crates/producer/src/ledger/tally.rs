//! Counts and sums of what was acknowledged and of what failed.

use std::collections::BTreeMap;

use millrace_domain::{Currency, Sum, TransactionType};
use rustc_hash::FxHashMap;

use crate::source::{Class, Facts};

/// A window's start in milliseconds since 1970, and a currency.
pub type WindowKey = (i64, Currency);

/// What a window holds of one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WindowTotals {
    /// Number of purchases.
    pub purchase_count: u64,
    /// What the purchases add up to.
    pub purchase_sum: Sum,
    /// Number of refunds.
    pub refund_count: u64,
    /// What the refunds add up to; positive.
    pub refund_sum: Sum,
}

impl WindowTotals {
    #[inline]
    fn add(&mut self, facts: &Facts) {
        match facts.transaction_type {
            TransactionType::Purchase => {
                self.purchase_count += 1;
                self.purchase_sum += facts.amount;
            }
            TransactionType::Refund => {
                self.refund_count += 1;
                self.refund_sum += facts.amount;
            }
        }
    }

    /// Adds another's totals.
    pub fn merge(&mut self, other: &Self) {
        self.purchase_count += other.purchase_count;
        self.purchase_sum += other.purchase_sum;
        self.refund_count += other.refund_count;
        self.refund_sum += other.refund_sum;
    }
}

/// What one thread counted since it was last asked.
#[derive(Debug, Default)]
pub struct Tally {
    /// Records acknowledged on the transactions' topic, whatever they are.
    pub acknowledged: u64,
    /// Records of unknown outcome: the brokers may have them or not.
    pub failed: u64,
    /// Acknowledged records whose transaction id had been sent before.
    pub duplicates: u64,
    /// Acknowledged records that no consumer can take.
    pub malformed: u64,
    /// Acknowledged labels.
    pub labels: u64,
    /// Labels of unknown outcome.
    pub failed_labels: u64,
    /// Each acknowledged transaction once.
    pub windows: FxHashMap<WindowKey, WindowTotals>,
    /// Acknowledged records whose transaction id had been sent before.
    pub repeated_windows: FxHashMap<WindowKey, WindowTotals>,
    /// Each transaction of unknown outcome once.
    pub failed_windows: FxHashMap<WindowKey, WindowTotals>,
    /// Failures of either kind by error code.
    pub failures: BTreeMap<String, u64>,
}

impl Tally {
    /// Counts an acknowledged record.
    #[inline]
    pub fn acknowledge(&mut self, facts: &Facts, window_ms: i64) {
        if facts.class == Class::Label {
            self.labels += 1;
            return;
        }
        self.acknowledged += 1;
        match facts.class {
            Class::First => self.windows.entry(key(facts, window_ms)).or_default().add(facts),
            Class::Repeat => {
                self.duplicates += 1;
                let repeated = self.repeated_windows.entry(key(facts, window_ms)).or_default();
                repeated.add(facts);
            }
            Class::Malformed | Class::Label => self.malformed += 1,
        }
    }

    /// Counts a record of unknown outcome. A repeat changes no window, so it leaves none in doubt.
    pub fn fail(&mut self, facts: &Facts, window_ms: i64, code: &str) {
        if facts.class == Class::Label {
            self.failed_labels += 1;
        } else {
            self.failed += 1;
        }
        if facts.class == Class::First {
            let totals = self.failed_windows.entry(key(facts, window_ms)).or_default();
            totals.add(facts);
        }
        *self.failures.entry(code.to_owned()).or_default() += 1;
    }

    /// Adds what another counted.
    pub fn merge(&mut self, other: Self) {
        self.acknowledged += other.acknowledged;
        self.failed += other.failed;
        self.duplicates += other.duplicates;
        self.malformed += other.malformed;
        self.labels += other.labels;
        self.failed_labels += other.failed_labels;
        for (windows, more) in [
            (&mut self.windows, other.windows),
            (&mut self.repeated_windows, other.repeated_windows),
            (&mut self.failed_windows, other.failed_windows),
        ] {
            for (key, totals) in more {
                windows.entry(key).or_default().merge(&totals);
            }
        }
        for (code, count) in other.failures {
            *self.failures.entry(code).or_default() += count;
        }
    }
}

#[inline]
fn key(facts: &Facts, window_ms: i64) -> WindowKey {
    let start_ms = facts.event_time_ms - facts.event_time_ms.rem_euclid(window_ms);
    (start_ms, facts.currency)
}
