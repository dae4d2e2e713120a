//! Computes what a rule has compared, by the programs that judged it.

use std::collections::HashMap;

use millrace_domain::Currency;

use super::super::feature::View;
use super::dimension::Dimension;
use super::{Check, Condition, Figure, Sides};
use crate::lists::ListRef;
use crate::plan::Plan;
use crate::program::Compiler;
use crate::term::Term;

/// The terms of rules for one record.
pub(super) struct Tracer<'a> {
    view: &'a View<'a>,
    slots: HashMap<String, u16>,
    lists: Vec<ListRef>,
    currency: Currency,
}

impl<'a> Tracer<'a> {
    pub(super) fn new(view: &'a View<'a>, plan: &Plan, currency: Currency) -> Self {
        let slots = plan.slots.iter().zip(0_u16..);
        Self {
            view,
            slots: slots.map(|(slot, at)| (slot.text.clone(), at)).collect(),
            // Those of the plan keep their numbers: every list of a rule that is judged is there.
            lists: plan.lists.clone(),
            currency,
        }
    }

    /// The value of a term; unknown is NaN.
    pub(super) fn value(&mut self, term: &Term) -> f64 {
        let program = Compiler::new(&self.slots, &mut self.lists).compile(term);
        program.run(self.view)
    }

    pub(super) fn condition(&mut self, term: &Term) -> Condition {
        let mut checks = Vec::new();
        self.checks(term, &mut checks);
        Condition {
            text: term.to_string(),
            holds: truth(self.value(term)),
            checks,
        }
    }

    /// A value as it is shown.
    pub(super) fn figure(&mut self, term: &Term, dimension: Dimension) -> Figure {
        let value = self.value(term);
        let (unit, divisor) = match dimension.unit(self.currency) {
            Some(unit) => unit,
            None => return Figure::NONE,
        };
        Figure {
            value: value.is_finite().then_some(value / divisor),
            unit,
        }
    }

    /// The questions that a condition is made of.
    fn checks(&mut self, term: &Term, checks: &mut Vec<Check>) {
        let sides = match term {
            Term::Not(inner) => return self.checks(inner, checks),
            Term::And(terms) | Term::Or(terms) => {
                return terms.iter().for_each(|term| self.checks(term, checks));
            }
            Term::If(parts) => return parts.iter().for_each(|term| self.checks(term, checks)),
            Term::Less(a, b) => Some(self.sides(a, b, ("<", ">"))),
            Term::AtMost(a, b) => Some(self.sides(a, b, ("<=", ">="))),
            Term::Equal(a, b) => Some(self.sides(a, b, ("==", "=="))),
            _ => None,
        };
        checks.push(Check {
            text: term.to_string(),
            holds: truth(self.value(term)),
            sides,
        });
    }

    /// What is fixed is the threshold, on whichever side it was written; of what is not, the amount
    /// is what is compared with it.
    fn sides(&mut self, a: &Term, b: &Term, (sign, turned): (&'static str, &'static str)) -> Sides {
        let is_turned = (is_fixed(a) && !is_fixed(b)) || (*b == Term::Amount && *a != Term::Amount);
        let (asked, threshold, sign) = if is_turned { (b, a, turned) } else { (a, b, sign) };
        let (of_asked, of_threshold) = (Dimension::of(asked), Dimension::of(threshold));
        Sides {
            asked: asked.to_string(),
            value: self.figure(asked, of_asked.or(of_threshold)),
            sign,
            threshold: threshold.to_string(),
            limit: self.figure(threshold, of_threshold.or(of_asked)),
        }
    }

    /// How far a condition is from being `wanted`: see [`super::RuleTrace::gap`].
    pub(super) fn gap(&mut self, term: &Term, wanted: bool) -> Option<f64> {
        let is_true = truth(self.value(term))?;
        if is_true == wanted {
            return Some(0.0);
        }
        match (term, wanted) {
            (Term::Not(inner), _) => self.gap(inner, !wanted),
            // All of them have to change, or one.
            (Term::And(terms), true) | (Term::Or(terms), false) => {
                let gaps: Option<Vec<_>> = terms.iter().map(|term| self.gap(term, wanted)).collect();
                gaps?.into_iter().reduce(f64::max)
            }
            (Term::And(terms), false) | (Term::Or(terms), true) => {
                let gaps = terms.iter().filter_map(|term| self.gap(term, wanted));
                gaps.reduce(f64::min)
            }
            (Term::If(parts), _) => {
                let chosen = if truth(self.value(&parts[0]))? { 1 } else { 2 };
                self.gap(&parts[chosen], wanted)
            }
            (Term::Less(a, b) | Term::AtMost(a, b), _) | (Term::Equal(a, b), true) => {
                // Between instants and places there is no share.
                if Dimension::of(a).or(Dimension::of(b)) == Dimension::NoFigure {
                    return None;
                }
                let (a, b) = (self.value(a), self.value(b));
                relative(a, b)
            }
            _ => None,
        }
    }
}

/// The difference as a share of the greater of two, whatever their signs.
fn relative(a: f64, b: f64) -> Option<f64> {
    let most = a.abs().max(b.abs());
    let share = if most == 0.0 { 0.0 } else { (a - b).abs() / most };
    share.is_finite().then_some(share)
}

/// What a condition is; `None` while it is unknown.
fn truth(value: f64) -> Option<bool> {
    (!value.is_nan()).then_some(value != 0.0)
}

/// Whether a term is the same for every record.
fn is_fixed(term: &Term) -> bool {
    match term {
        Term::Number(_) | Term::Money(..) => true,
        Term::Negative(inner) => is_fixed(inner),
        Term::Arithmetic(_, a, b) => is_fixed(a) && is_fixed(b),
        Term::Call(_, terms) => terms.iter().all(is_fixed),
        _ => false,
    }
}
