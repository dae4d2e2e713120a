//! How much of the money was seen.

use std::collections::BTreeMap;

use crate::Outcome;

/// What was defrauded in one currency, and how much of it had an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value {
    /// The currency's number.
    pub currency: u32,
    /// Units of 1/10,000 of all frauds.
    pub fraud_units: i128,
    /// Of those with an alert.
    pub alerted_units: i128,
}

impl Value {
    /// The value detection rate: what had an alert, divided by all.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.alerted_units as f64 / self.fraud_units as f64
    }
}

/// The frauds' money by currency: no two are ever added.
#[must_use]
pub fn value_detected(outcomes: &[Outcome]) -> Vec<Value> {
    let mut values: BTreeMap<u32, Value> = BTreeMap::new();
    for fraud in outcomes.iter().filter(|outcome| outcome.is_fraud) {
        let value = values.entry(fraud.currency).or_insert(Value {
            currency: fraud.currency,
            fraud_units: 0,
            alerted_units: 0,
        });
        let units = i128::from(fraud.amount_units);
        value.fraud_units += units;
        value.alerted_units += if fraud.score.is_some() { units } else { 0 };
    }
    values.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::outcome;

    #[test]
    fn currencies_are_apart() {
        let of = |units, currency, score| Outcome {
            amount_units: units,
            currency,
            ..outcome(0, 0, score, true)
        };
        let outcomes = [
            of(300, 0, Some(1.0)),
            of(100, 0, None),
            of(70, 1, None),
            outcome(0, 0, Some(1.0), false),
        ];
        let found = value_detected(&outcomes);
        assert_eq!(found.iter().map(Value::rate).collect::<Vec<_>>(), [0.75, 0.0]);
        assert_eq!(found[0].fraud_units, 400);
    }
}
