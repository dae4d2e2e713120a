//! What a rule saw in the record that it fired for.

use millrace_domain::money::UNITS_PER_WHOLE;
use millrace_domain::{Currency, Transaction};

use super::Evaluator;
use super::record::{Cities, Record};
use crate::types::Type;

/// A feature that a rule asks for, with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence<'a> {
    /// The feature as the language has it.
    pub feature: &'a str,
    /// Its value; `None` where it is unknown. Of a condition 1 or 0.
    pub value: Option<f64>,
    /// What the value is in.
    pub unit: Unit,
}

/// The unit of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Of a count, a ratio or a condition.
    None,
    /// Whole units of a currency.
    Money(Currency),
    /// Seconds.
    Seconds,
}

impl Unit {
    /// The unit that values of a type are shown in, and how many of what is computed are one of it;
    /// `None` of a type that no figure shows.
    pub(super) fn of(ty: Type, currency: Currency) -> Option<(Self, f64)> {
        match ty {
            Type::Bool | Type::Count | Type::Ratio => Some((Self::None, 1.0)),
            Type::Money(of) => Some((Self::Money(of.unwrap_or(currency)), UNITS_PER_WHOLE as f64)),
            Type::Duration => Some((Self::Seconds, 1_000.0)),
            Type::Instant | Type::Place | Type::Text(_) | Type::AnyText => None,
        }
    }

    /// As it stands behind a value: a currency, or `s`; `None` of what has no unit.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Money(currency) => Some(currency.to_string()),
            Self::Seconds => Some("s".to_owned()),
        }
    }
}

impl Evaluator {
    /// The features of a rule as they are for `transaction`, which must be the last one that was
    /// processed, each after those within it. Features that are texts, places or instants are left
    /// out. `rule` is its place in [`crate::Version::rules`]; a rule that is not judged has none.
    #[must_use]
    pub fn evidence(&self, transaction: &Transaction, rule: usize) -> Vec<Evidence<'_>> {
        let plan = self.version.plan();
        let Some(step) = plan.steps.iter().find(|step| step.rule == rule) else {
            return Vec::new();
        };
        let record = Record::new(transaction, plan, &mut Cities::default());
        let view = self.scratch.view(plan, &self.tables, &record);
        let mut found = Vec::with_capacity(step.features.len());
        for &at in &step.features {
            let slot = &plan.slots[usize::from(at)];
            let Some((unit, divisor)) = Unit::of(slot.ty, transaction.currency) else {
                continue;
            };
            let value = view.compute(at);
            found.push(Evidence {
                feature: &slot.text,
                value: value.is_finite().then_some(value / divisor),
                unit,
            });
        }
        found
    }
}
