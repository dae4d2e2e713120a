//! Card precision: of the cards that are looked into on a day, how many were defrauded that day.

use std::collections::{HashMap, HashSet};

use crate::Outcome;

const DAY_MS: i64 = 86_400_000;

/// Card precision over the days.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CardPrecision {
    /// Days (UTC) with transactions.
    pub days: u32,
    /// The mean over the days of defrauded cards among the first `k`, divided by `k`.
    pub mean: f64,
    /// What a detector would have that puts each day's defrauded cards first, of those that this
    /// one had left.
    pub ceiling: f64,
}

/// The Fraud Detection Handbook's `card_precision_top_k`: for each day, each card has the highest
/// score of its transactions; the first `k` cards are looked into; those that had a fraud that day
/// are found, and are left out of the days after. Of equal scores, the card with the earlier
/// transaction comes first (the book leaves that open). A card without an alert is never looked
/// into, so that fewer than `k` alerts fill no places by chance.
///
/// `None` without transactions, or for a `k` of 0.
#[must_use]
pub fn card_precision_top_k(outcomes: &[Outcome], k: usize) -> Option<CardPrecision> {
    let mut ordered: Vec<&Outcome> = outcomes.iter().collect();
    ordered.sort_by_key(|outcome| outcome.time_ms);
    let mut found: HashSet<u32> = HashSet::new();
    let (mut days, mut precision, mut ceiling) = (0_u32, 0.0, 0.0);
    for day in ordered.chunk_by(|one, other| day_of(one) == day_of(other)) {
        let cards = cards_of(day, &found);
        let frauds = cards.iter().filter(|card| card.is_fraud).count();
        let hits: Vec<u32> = cards
            .iter()
            .filter(|card| card.score.is_some())
            .take(k)
            .filter(|card| card.is_fraud)
            .map(|card| card.card)
            .collect();
        days += 1;
        precision += hits.len() as f64 / k as f64;
        ceiling += frauds.min(k) as f64 / k as f64;
        found.extend(hits);
    }
    (days > 0 && k > 0).then(|| CardPrecision {
        days,
        mean: precision / f64::from(days),
        ceiling: ceiling / f64::from(days),
    })
}

fn day_of(outcome: &Outcome) -> i64 {
    outcome.time_ms.div_euclid(DAY_MS)
}

/// The cards of a day that were not found before, the highest score first: each as its outcome
/// with the highest score, labelled by whether any of them is a fraud.
fn cards_of(day: &[&Outcome], found: &HashSet<u32>) -> Vec<Outcome> {
    let mut places: HashMap<u32, usize> = HashMap::new();
    let mut cards: Vec<Outcome> = Vec::new();
    for outcome in day.iter().filter(|outcome| !found.contains(&outcome.card)) {
        let at = *places.entry(outcome.card).or_insert(cards.len());
        let Some(card) = cards.get_mut(at) else {
            cards.push(**outcome);
            continue;
        };
        let is_fraud = card.is_fraud || outcome.is_fraud;
        if outcome.score.is_some() && (card.score.is_none() || outcome.rank() > card.rank()) {
            *card = **outcome;
        }
        card.is_fraud = is_fraud;
    }
    cards.sort_by(|one, other| {
        let by_score = other.rank().total_cmp(&one.rank());
        by_score.then(one.time_ms.cmp(&other.time_ms))
    });
    cards
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::outcome;

    /// Worked out by hand. Day 0: cards 1 (fraud, score 5), 2 (score 4), 3 (fraud, score 1): of the
    /// first two, one. Day 1: card 1 was found; 3 (fraud, score 3), 4 (score 2): one of two.
    #[test]
    fn a_card_that_was_found_is_left_out_of_later_days() {
        let outcomes = [
            outcome(10, 1, Some(5.0), false),
            outcome(11, 1, None, true),
            outcome(12, 2, Some(4.0), false),
            outcome(13, 3, Some(1.0), true),
            outcome(DAY_MS, 1, Some(9.0), true),
            outcome(DAY_MS + 1, 3, Some(3.0), true),
            outcome(DAY_MS + 2, 4, Some(2.0), false),
        ];
        let found = card_precision_top_k(&outcomes, 2).unwrap();
        assert_eq!((found.days, found.mean, found.ceiling), (2, 0.5, 0.75));
    }

    #[test]
    fn of_equal_scores_the_earlier_comes_first() {
        let fraud_first = [outcome(1, 1, Some(1.0), true), outcome(2, 2, Some(1.0), false)];
        let fraud_last = [outcome(1, 1, Some(1.0), false), outcome(2, 2, Some(1.0), true)];
        assert_eq!(card_precision_top_k(&fraud_first, 1).unwrap().mean, 1.0);
        assert_eq!(card_precision_top_k(&fraud_last, 1).unwrap().mean, 0.0);
    }

    #[test]
    fn a_card_without_an_alert_is_not_found_by_chance() {
        let outcomes = [outcome(1, 1, None, true), outcome(2, 2, Some(1.0), false)];
        let found = card_precision_top_k(&outcomes, 10).unwrap();
        assert_eq!((found.mean, found.ceiling), (0.0, 0.1));
        assert_eq!(card_precision_top_k(&[], 10), None);
    }
}
