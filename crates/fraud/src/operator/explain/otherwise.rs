//! What would have had to be otherwise for another decision.
//!
//! The operator is asked again, with another amount or another event time, over what it had before
//! the transaction. Amounts and times are tried in doubling steps away from the transaction's own,
//! and then between the last two: so what is told is true of itself and of its neighbour, whatever
//! the rules make of what lies beyond.

use std::collections::BTreeSet;

use millrace_domain::Transaction;
use millrace_domain::money::{Amount, UNITS_PER_WHOLE};
use millrace_engine::Disposition;

use super::Around;
use crate::explanation::{OtherAmount, Otherwise};

/// Amounts are tried in hundredths.
const AMOUNT_STEP: i64 = UNITS_PER_WHOLE / 100;
/// The greatest amount that is tried, as a multiple of the transaction's.
const MOST_TIMES: i64 = 1_000;
/// Times are tried in seconds.
const TIME_STEP_MS: i64 = 1_000;
/// The latest time that is tried, after the transaction's: as long as the longest window.
const LATEST_MS: i64 = 30 * 86_400_000;

/// A decision that might have been otherwise: whether one rule alerts, or any.
struct Question<'a> {
    rule: Option<&'a str>,
    was_raised: bool,
}

impl Question<'_> {
    /// Whether this is the other answer.
    fn is_otherwise(&self, raised: &BTreeSet<String>) -> bool {
        let is_raised = match self.rule {
            Some(rule) => raised.contains(rule),
            None => !raised.is_empty(),
        };
        is_raised != self.was_raised
    }
}

impl Around<'_> {
    pub(super) fn otherwise(&self) -> Vec<Otherwise> {
        if self.disposition != Disposition::Accepted {
            return Vec::new();
        }
        let raised: BTreeSet<_> = self.raised.iter().map(|found| &*found.rule).collect();
        let any = std::iter::once(None);
        let each = raised.iter().map(|rule| Some(*rule)).filter(|_| raised.len() > 1);
        let answer = |rule: Option<&str>| {
            let question = Question {
                rule,
                was_raised: !raised.is_empty(),
            };
            Otherwise {
                rule: rule.map(str::to_owned),
                was_raised: question.was_raised,
                amount: self.other_amount(&question),
                later_ms: question.was_raised.then(|| self.later_ms(&question)).flatten(),
            }
        };
        any.chain(each).map(answer).collect()
    }

    /// The rules that alert about the transaction as `change` makes it.
    fn raised_by(&self, change: impl FnOnce(&mut Transaction)) -> BTreeSet<String> {
        let mut changed = *self.transaction;
        change(&mut changed);
        let mut raised = Vec::new();
        self.before.clone().take(&changed, &mut raised);
        raised.into_iter().map(|found| found.rule.into_owned()).collect()
    }

    /// A lower amount first, of an alert that was raised; else a higher one.
    fn other_amount(&self, question: &Question<'_>) -> Option<OtherAmount> {
        let units = self.transaction.amount.units();
        let is_otherwise = |units: i64| {
            let amount = Amount::from_units(units);
            amount.is_some_and(|amount| {
                question.is_otherwise(&self.raised_by(|changed| changed.amount = amount))
            })
        };
        let lower = || {
            // The nearest hundredth below.
            let from = (units - 1).div_euclid(AMOUNT_STEP);
            let found = nearest(from, |below| is_otherwise((from - below) * AMOUNT_STEP));
            found.map(|below| (true, (from - below) * AMOUNT_STEP))
        };
        let higher = || {
            let from = units.div_euclid(AMOUNT_STEP) + 1;
            let most = from.saturating_mul(MOST_TIMES);
            let found = nearest(most, |above| is_otherwise((from + above) * AMOUNT_STEP));
            found.map(|above| (false, (from + above) * AMOUNT_STEP))
        };
        let found = match question.was_raised {
            true => lower().or_else(higher),
            false => higher().or_else(lower),
        };
        let (is_less, units) = found?;
        Some(OtherAmount {
            amount: Amount::from_units(units)?,
            is_less,
        })
    }

    fn later_ms(&self, question: &Question<'_>) -> Option<i64> {
        let is_otherwise = |steps: i64| {
            let time_ms = self.transaction.transaction_time_ms + (steps + 1) * TIME_STEP_MS;
            Transaction::is_time(time_ms)
                && question.is_otherwise(&self.raised_by(|changed| changed.transaction_time_ms = time_ms))
        };
        let steps = nearest(LATEST_MS / TIME_STEP_MS - 1, is_otherwise)?;
        Some((steps + 1) * TIME_STEP_MS)
    }
}

/// A number of steps, from 0 to below `most`, for which `is_it` is true and, unless it is 0, one
/// less is not: the least one, if from there on it is always true.
fn nearest(most: i64, is_it: impl Fn(i64) -> bool) -> Option<i64> {
    if most <= 0 {
        return None;
    }
    let (mut not, mut found) = (-1, 0);
    while !is_it(found) {
        if found == most - 1 {
            return None;
        }
        not = found;
        found = (found * 2 + 1).min(most - 1);
    }
    while found - not > 1 {
        let between = not + (found - not) / 2;
        if is_it(between) {
            found = between;
        } else {
            not = between;
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_is_found_from_both_ends_of_what_may_be_tried() {
        for wanted in [0, 1, 2, 3, 5, 64, 99] {
            assert_eq!(nearest(100, |steps| steps >= wanted), Some(wanted));
        }
        assert_eq!(nearest(100, |_| false), None);
        assert_eq!(nearest(0, |_| true), None);
        assert_eq!(nearest(1, |_| true), Some(0));
    }

    #[test]
    fn of_what_is_true_here_and_there_a_border_is_found() {
        let is_it = |steps: i64| (40..=70).contains(&steps);
        let found = nearest(1_000, is_it).unwrap();
        assert!(is_it(found) && !is_it(found - 1), "{found}");
    }
}
