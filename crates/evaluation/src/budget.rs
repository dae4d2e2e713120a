//! Precision and recall where only so many transactions can be looked into.

use crate::{Outcome, ratio};

/// Precision and recall of the alerts that a budget allows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AtBudget {
    /// Alerts of 10,000 transactions that are looked into.
    pub per_10_000: u32,
    /// How many were: the budget, or all alerts where there are fewer.
    pub looked_into: u64,
    /// Frauds among them.
    pub caught: u64,
    /// Frauds among them, divided by them.
    pub precision: Option<f64>,
    /// Frauds among them, divided by all frauds.
    pub recall: Option<f64>,
}

/// The places in `outcomes` of what is looked into: transactions with an alert, the highest score
/// first and of equal ones the earliest, at most `per_10_000` for 10,000 transactions (rounded to
/// the nearest).
#[must_use]
pub fn chosen(outcomes: &[Outcome], per_10_000: u32) -> Vec<usize> {
    let budget = (outcomes.len() as u64 * u64::from(per_10_000) + 5_000) / 10_000;
    let mut alerted: Vec<usize> = (0..outcomes.len())
        .filter(|&at| outcomes[at].score.is_some())
        .collect();
    alerted.sort_by(|&one, &other| {
        let (one, other) = (&outcomes[one], &outcomes[other]);
        let by_score = other.rank().total_cmp(&one.rank());
        by_score.then(one.time_ms.cmp(&other.time_ms))
    });
    alerted.truncate(usize::try_from(budget).unwrap_or(usize::MAX));
    alerted
}

/// Precision and recall of what is [`chosen`].
#[must_use]
pub fn at_budget(outcomes: &[Outcome], per_10_000: u32) -> AtBudget {
    let chosen = chosen(outcomes, per_10_000);
    let caught = chosen.iter().filter(|&&at| outcomes[at].is_fraud).count() as u64;
    let frauds = outcomes.iter().filter(|outcome| outcome.is_fraud).count() as u64;
    AtBudget {
        per_10_000,
        looked_into: chosen.len() as u64,
        caught,
        precision: ratio(caught, chosen.len() as u64),
        recall: ratio(caught, frauds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::outcome;

    /// Worked out by hand: 10 transactions, 3 frauds, 4 alerts; 2,000 of 10,000 are two of them.
    #[test]
    fn the_highest_scores_fill_the_budget() {
        let mut outcomes: Vec<_> = (0..10).map(|at| outcome(at, at as u32, None, false)).collect();
        for (at, score, is_fraud) in [(3, 1.0, true), (5, 7.0, false), (6, 7.0, true), (8, 2.0, false)] {
            outcomes[at].score = Some(score);
            outcomes[at].is_fraud = is_fraud;
        }
        outcomes[9].is_fraud = true;
        assert_eq!(chosen(&outcomes, 2_000), [5, 6]);
        let found = at_budget(&outcomes, 2_000);
        assert_eq!((found.looked_into, found.caught), (2, 1));
        assert_eq!((found.precision, found.recall), (Some(0.5), Some(1.0 / 3.0)));
        let all = at_budget(&outcomes, 10_000);
        assert_eq!((all.looked_into, all.caught), (4, 2));
        assert_eq!(at_budget(&outcomes, 0).precision, None);
    }
}
