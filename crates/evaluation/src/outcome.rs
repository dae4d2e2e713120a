//! A transaction as it was judged, with its label.

use std::collections::HashSet;

/// A transaction as it was judged, with its label.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// Event time in milliseconds since 1970.
    pub time_ms: i64,
    /// Who paid: a number for each card or user.
    pub card: u32,
    /// The amount in units of 1/10,000.
    pub amount_units: i64,
    /// A number for each currency.
    pub currency: u32,
    /// The score of its alerts together; `None` where nothing alerted.
    pub score: Option<f64>,
    /// The label.
    pub is_fraud: bool,
}

impl Outcome {
    /// The score it is ranked by.
    pub(crate) fn rank(&self) -> f64 {
        self.score.unwrap_or(0.0)
    }
}

/// The cards that have a fraud before `since_ms`.
#[must_use]
pub fn known_cards(outcomes: &[Outcome], since_ms: i64) -> HashSet<u32> {
    outcomes
        .iter()
        .filter(|outcome| outcome.is_fraud && outcome.time_ms < since_ms)
        .map(|outcome| outcome.card)
        .collect()
}

#[cfg(test)]
pub(crate) fn outcome(time_ms: i64, card: u32, score: Option<f64>, is_fraud: bool) -> Outcome {
    Outcome {
        time_ms,
        card,
        amount_units: 10_000,
        currency: 0,
        score,
        is_fraud,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_known_by_an_earlier_fraud_alone() {
        let outcomes = [
            outcome(1, 7, None, true),
            outcome(2, 8, None, false),
            outcome(10, 7, None, false),
            outcome(11, 8, None, true),
            outcome(12, 8, None, false),
        ];
        assert_eq!(known_cards(&outcomes, 10), HashSet::from([7]));
    }
}
