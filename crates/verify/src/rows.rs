//! Rows of the report, and the words they use.

use std::fmt::Display;

use millrace_domain::Sum;

use super::report::{Row, Verdict};
use super::totals::Totals;

/// One half of the totals.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Purchases,
    Refunds,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Purchases => "purchases",
            Self::Refunds => "refunds",
        }
    }

    /// This half alone.
    pub(super) fn of(self, totals: &Totals) -> Totals {
        let mut half = Totals::default();
        match self {
            Self::Purchases => {
                half.purchase_count = totals.purchase_count;
                half.purchase_sum = totals.purchase_sum;
            }
            Self::Refunds => {
                half.refund_count = totals.refund_count;
                half.refund_sum = totals.refund_sum;
            }
        }
        half
    }

    fn figures(self, totals: &Totals) -> (u64, Sum) {
        match self {
            Self::Purchases => (totals.purchase_count, totals.purchase_sum),
            Self::Refunds => (totals.refund_count, totals.refund_sum),
        }
    }

    pub(super) fn show(self, totals: &Totals, doubtful: &Totals) -> String {
        let (count, sum) = self.figures(totals);
        match self.figures(doubtful) {
            (0, _) => format!("{count}: {sum}"),
            (doubtful_count, doubtful_sum) => {
                format!("{count}: {sum} (up to {doubtful_count}: {doubtful_sum} more)")
            }
        }
    }

    pub(super) fn difference(self, expected: &Totals, actual: &Totals) -> String {
        let ((expected_count, expected_sum), (actual_count, actual_sum)) =
            (self.figures(expected), self.figures(actual));
        let sum = Sum::from_units(actual_sum.units() - expected_sum.units());
        let count = difference(i128::from(expected_count), i128::from(actual_count));
        if sum == Sum::ZERO && count == "0" {
            count
        } else {
            format!("{count}: {sum}")
        }
    }
}

/// The rows so far.
pub(super) struct Rows {
    /// Whether a run has not ended, so that its ledger may lag behind the topics.
    pub(super) live: bool,
    pub(super) checks: Vec<Row>,
}

impl Rows {
    pub(super) fn new(live: bool) -> Self {
        Self {
            live,
            checks: Vec::new(),
        }
    }

    pub(super) fn push(
        &mut self,
        check: &str,
        expected: impl Display,
        actual: impl Display,
        difference: impl Display,
        verdict: Verdict,
        may_change: bool,
    ) {
        self.checks.push(Row {
            check: check.to_owned(),
            expected: expected.to_string(),
            actual: actual.to_string(),
            difference: difference.to_string(),
            verdict,
            may_change,
        });
    }

    /// The verdict and whether it may change: what is missing may still come; what is too much
    /// stays, unless the ledger may still catch up.
    pub(super) fn verdict(&self, right: bool, only_missing: bool) -> (Verdict, bool) {
        match right {
            true => (Verdict::Passed, false),
            false => (Verdict::Failed, only_missing || self.live),
        }
    }

    /// A count that must be `expected`, or up to `doubtful` more.
    pub(super) fn count(&mut self, check: &str, expected: u64, doubtful: u64, actual: u64) {
        let most = expected.saturating_add(doubtful);
        let (mut verdict, may_change) = self.verdict((expected..=most).contains(&actual), actual < expected);
        if verdict == Verdict::Failed && self.live {
            verdict = Verdict::Open;
        }
        let wanted = if doubtful == 0 {
            expected.to_string()
        } else {
            format!("{expected} (up to {doubtful} more)")
        };
        let off = difference(i128::from(expected), i128::from(actual));
        self.push(check, wanted, actual, off, verdict, may_change);
    }

    /// A count that must be 0, and never falls again.
    pub(super) fn never(&mut self, check: &str, actual: u64) {
        let verdict = if actual == 0 {
            Verdict::Passed
        } else {
            Verdict::Failed
        };
        self.push(
            check,
            0,
            actual,
            difference(0, i128::from(actual)),
            verdict,
            false,
        );
    }

    /// A count that must not be below `expected`.
    pub(super) fn at_least(&mut self, check: &str, expected: u64, actual: u64) {
        let missing = i128::from(actual.min(expected));
        let verdict = self.verdict(actual >= expected, true);
        self.push(
            check,
            format!("at least {expected}"),
            actual,
            difference(i128::from(expected), missing),
            verdict.0,
            verdict.1,
        );
    }

    /// Money in 1/10,000 that must be `expected`, to the last unit.
    pub(super) fn sum(&mut self, check: &str, expected: i128, actual: i128) {
        let (mut verdict, may_change) = self.verdict(actual == expected, actual < expected);
        if verdict == Verdict::Failed && self.live {
            verdict = Verdict::Open;
        }
        let [expected, actual, off] = [expected, actual, actual - expected].map(Sum::from_units);
        self.push(check, expected, actual, off, verdict, may_change);
    }

    /// Money in 1/10,000 that must not be below `expected`.
    pub(super) fn sum_at_least(&mut self, check: &str, expected: i128, actual: i128) {
        let (verdict, may_change) = self.verdict(actual >= expected, true);
        let missing = Sum::from_units(actual.min(expected) - expected);
        let least = format!("at least {}", Sum::from_units(expected));
        self.push(
            check,
            least,
            Sum::from_units(actual),
            missing,
            verdict,
            may_change,
        );
    }

    pub(super) fn info(&mut self, check: &str, actual: u64) {
        self.note(check, actual);
    }

    /// Something for the reader.
    pub(super) fn note(&mut self, check: &str, actual: impl Display) {
        self.push(check, "", actual, "", Verdict::Info, false);
    }
}

pub(super) fn difference(expected: i128, actual: i128) -> String {
    match actual - expected {
        0 => "0".to_owned(),
        off => format!("{off:+}"),
    }
}
