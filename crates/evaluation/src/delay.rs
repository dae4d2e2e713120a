//! How long a defrauded card goes on before one of its frauds has an alert.

use std::collections::BTreeMap;

use crate::Outcome;

/// Times from a card's first fraud to its first fraud that has an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeToDetect {
    /// In milliseconds, the shortest first; a card that was never detected has none.
    detected_ms: Vec<i64>,
    /// Cards that were never detected.
    pub never: usize,
}

impl TimeToDetect {
    /// Cards with a fraud.
    #[must_use]
    pub fn cards(&self) -> usize {
        self.detected_ms.len() + self.never
    }

    /// The time within which `percent` of all cards were detected, those that never were included
    /// (nearest rank). `None` where fewer were.
    #[must_use]
    pub fn percentile_ms(&self, percent: u32) -> Option<i64> {
        let rank = (self.cards() as u64 * u64::from(percent)).div_ceil(100).max(1);
        let at = usize::try_from(rank - 1).ok()?;
        self.detected_ms.get(at).copied()
    }
}

/// The times to detect of all cards that have a fraud.
#[must_use]
pub fn time_to_detect(outcomes: &[Outcome]) -> TimeToDetect {
    // By card: the first fraud, and the first with an alert.
    let mut cards: BTreeMap<u32, (i64, Option<i64>)> = BTreeMap::new();
    for fraud in outcomes.iter().filter(|outcome| outcome.is_fraud) {
        let (first_ms, detected_ms) = cards.entry(fraud.card).or_insert((fraud.time_ms, None));
        *first_ms = (*first_ms).min(fraud.time_ms);
        if fraud.score.is_some() {
            let earlier_ms = detected_ms.unwrap_or(i64::MAX);
            *detected_ms = Some(earlier_ms.min(fraud.time_ms));
        }
    }
    let mut detected_ms: Vec<i64> = cards
        .values()
        .filter_map(|(first_ms, detected_ms)| detected_ms.map(|detected_ms| detected_ms - first_ms))
        .collect();
    detected_ms.sort_unstable();
    TimeToDetect {
        never: cards.len() - detected_ms.len(),
        detected_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::outcome;

    /// Worked out by hand: card 1 at once, card 2 after 30, card 3 never, card 4 after 5. An alert
    /// for an ordinary transaction detects nothing.
    #[test]
    fn those_never_detected_count() {
        let outcomes = [
            outcome(10, 1, Some(1.0), true),
            outcome(20, 2, None, true),
            outcome(50, 2, Some(1.0), true),
            outcome(60, 3, None, true),
            outcome(61, 3, Some(1.0), false),
            outcome(70, 4, None, true),
            outcome(75, 4, Some(1.0), true),
            outcome(80, 5, Some(1.0), false),
        ];
        let found = time_to_detect(&outcomes);
        assert_eq!((found.cards(), found.never), (4, 1));
        assert_eq!(found.percentile_ms(25), Some(0));
        assert_eq!(found.percentile_ms(50), Some(5));
        assert_eq!(found.percentile_ms(75), Some(30));
        assert_eq!(found.percentile_ms(90), None);
    }
}
