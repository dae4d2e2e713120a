//! Expressions that were checked, in one form for all that mean the same: `a > b` is `b < a`, terms
//! of `and` and `or` are in order, lists are sorted.

use std::fmt;
use std::sync::Arc;

use millrace_domain::Currency;

use crate::catalogue::{Entity, Function, WINDOWS, What};
use crate::lists::ListRef;
use crate::types::{TextField, Type};

/// A value that is computed for each transaction. Bools are 0 and 1; money is in units of 1/10,000,
/// durations and instants are in milliseconds; unknown is NaN.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Term {
    Number(f64),
    /// Unknown where the transaction has another currency.
    Money(i64, Currency),
    Amount,
    Time,
    International,
    Place,
    Feature(Arc<Feature>),
    Not(Box<Term>),
    Negative(Box<Term>),
    Arithmetic(Arithmetic, Box<Term>, Box<Term>),
    Less(Box<Term>, Box<Term>),
    AtMost(Box<Term>, Box<Term>),
    Equal(Box<Term>, Box<Term>),
    And(Vec<Term>),
    Or(Vec<Term>),
    If(Box<[Term; 3]>),
    /// Two texts that are the same.
    Same(TextTerm, TextTerm),
    /// A text that is one of some; sorted, without doubles, at least two.
    In(TextTerm, Vec<Code>),
    /// A text that is on a list which changes while rules run.
    Listed(ListRef, TextTerm),
    Call(Function, Vec<Term>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    /// Unknown where the divisor is 0.
    Divide,
}

/// A text or an enum.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TextTerm {
    Field(TextField),
    Code(Code),
    Last(Arc<Feature>),
}

/// A text as it is compared: the padded id, the currency's letters, or the enum's number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Code {
    pub(crate) text: String,
    pub(crate) value: u128,
}

/// A function of the history of an entity.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Feature {
    pub(crate) what: What,
    pub(crate) entity: Entity,
    pub(crate) of: Of,
    pub(crate) only: Option<Term>,
    pub(crate) window_ms: Option<i64>,
    pub(crate) is_excluding: bool,
    /// Times what values are kept as integers: 1,000,000 for ratios.
    pub(crate) scale: f64,
    /// What it gives.
    pub(crate) ty: Type,
}

/// What a feature is of.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Of {
    Nothing,
    Value(Term),
    Text(TextTerm),
}

impl Term {
    /// A conjunction in one form.
    pub(crate) fn and(terms: Vec<Term>) -> Term {
        let mut flat = flatten(terms, |term| match term {
            Term::And(inner) => Ok(inner),
            other => Err(other),
        });
        if flat.len() == 1 {
            flat.remove(0)
        } else {
            Term::And(flat)
        }
    }

    /// A disjunction in one form.
    pub(crate) fn or(terms: Vec<Term>) -> Term {
        let mut flat = flatten(terms, |term| match term {
            Term::Or(inner) => Ok(inner),
            other => Err(other),
        });
        if flat.len() == 1 {
            flat.remove(0)
        } else {
            Term::Or(flat)
        }
    }

    pub(crate) fn not(term: Term) -> Term {
        match term {
            Term::Not(inner) => *inner,
            other => Term::Not(Box::new(other)),
        }
    }

    /// Two operands whose order does not matter, in order.
    pub(crate) fn sorted(a: Term, b: Term) -> (Box<Term>, Box<Term>) {
        if a.to_string() <= b.to_string() {
            (Box::new(a), Box::new(b))
        } else {
            (Box::new(b), Box::new(a))
        }
    }

    /// Calls `see` with every feature in it, inner ones first, and those of their conditions too.
    pub(crate) fn features(&self, see: &mut dyn FnMut(&Arc<Feature>)) {
        match self {
            Self::Number(_)
            | Self::Money(..)
            | Self::Amount
            | Self::Time
            | Self::International
            | Self::Place => {}
            Self::Feature(feature) => feature.features(see),
            Self::Not(inner) | Self::Negative(inner) => inner.features(see),
            Self::Arithmetic(_, a, b) | Self::Less(a, b) | Self::AtMost(a, b) | Self::Equal(a, b) => {
                a.features(see);
                b.features(see);
            }
            Self::And(terms) | Self::Or(terms) | Self::Call(_, terms) => {
                terms.iter().for_each(|term| term.features(see));
            }
            Self::If(parts) => parts.iter().for_each(|term| term.features(see)),
            Self::Same(a, b) => {
                a.features(see);
                b.features(see);
            }
            Self::In(text, _) | Self::Listed(_, text) => text.features(see),
        }
    }
}

impl TextTerm {
    fn features(&self, see: &mut dyn FnMut(&Arc<Feature>)) {
        if let Self::Last(feature) = self {
            feature.features(see);
        }
    }
}

impl Feature {
    fn features(self: &Arc<Self>, see: &mut dyn FnMut(&Arc<Self>)) {
        self.inner_features(see);
        see(self);
    }

    /// The features that its value and its condition ask for.
    pub(crate) fn inner_features(&self, see: &mut dyn FnMut(&Arc<Self>)) {
        match &self.of {
            Of::Nothing => {}
            Of::Value(term) => term.features(see),
            Of::Text(text) => text.features(see),
        }
        if let Some(only) = &self.only {
            only.features(see);
        }
    }

    /// How many features are within one another.
    pub(crate) fn depth(&self) -> usize {
        let mut deepest = 0;
        self.inner_features(&mut |inner: &Arc<Self>| deepest = deepest.max(inner.depth()));
        deepest + 1
    }
}

fn flatten(terms: Vec<Term>, inner: impl Fn(Term) -> Result<Vec<Term>, Term>) -> Vec<Term> {
    let mut flat = Vec::new();
    for term in terms {
        match inner(term) {
            Ok(inner) => flat.extend(inner),
            Err(term) => flat.push(term),
        }
    }
    flat.sort_by_cached_key(ToString::to_string);
    flat.dedup();
    flat
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = |f: &mut fmt::Formatter<'_>, terms: &[Term], between: &str| {
            f.write_str("(")?;
            for (at, term) in terms.iter().enumerate() {
                write!(f, "{}{term}", if at == 0 { "" } else { between })?;
            }
            f.write_str(")")
        };
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Money(units, currency) => {
                write!(f, "{} {currency}", crate::syntax::literal::money_text(*units))
            }
            Self::Amount => f.write_str("amount"),
            Self::Time => f.write_str("time"),
            Self::International => f.write_str("international"),
            Self::Place => f.write_str("place(location)"),
            Self::Feature(feature) => write!(f, "{feature}"),
            Self::Not(inner) => write!(f, "!{inner}"),
            Self::Negative(inner) => write!(f, "-{inner}"),
            Self::Arithmetic(Arithmetic::Add, a, b) => write!(f, "({a} + {b})"),
            Self::Arithmetic(Arithmetic::Subtract, a, b) => write!(f, "({a} - {b})"),
            Self::Arithmetic(Arithmetic::Multiply, a, b) => write!(f, "({a} * {b})"),
            Self::Arithmetic(Arithmetic::Divide, a, b) => write!(f, "({a} / {b})"),
            Self::Less(a, b) => write!(f, "({a} < {b})"),
            Self::AtMost(a, b) => write!(f, "({a} <= {b})"),
            Self::Equal(a, b) => write!(f, "({a} == {b})"),
            Self::And(terms) => all(f, terms, " && "),
            Self::Or(terms) => all(f, terms, " || "),
            Self::If(parts) => write!(f, "({} ? {} : {})", parts[0], parts[1], parts[2]),
            Self::Same(a, b) => write!(f, "({a} == {b})"),
            Self::In(text, codes) => {
                write!(f, "({text} in [")?;
                for (at, code) in codes.iter().enumerate() {
                    write!(f, "{}{:?}", if at == 0 { "" } else { ", " }, code.text)?;
                }
                f.write_str("])")
            }
            Self::Listed(list, text) => write!(f, "listed({:?}, {text})", list.name),
            Self::Call(function, terms) => {
                let entry = crate::catalogue::FUNCTIONS
                    .iter()
                    .find(|entry| entry.function == *function);
                f.write_str(entry.map_or("?", |entry| entry.name))?;
                all(f, terms, ", ")
            }
        }
    }
}

impl fmt::Display for TextTerm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(field) => f.write_str(field.name()),
            Self::Code(code) => write!(f, "{:?}", code.text),
            Self::Last(feature) => write!(f, "{feature}"),
        }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.what == What::Usual {
            return f.write_str("usual");
        }
        let entry = crate::catalogue::FEATURES
            .iter()
            .find(|entry| entry.what == self.what);
        write!(f, "{}(", entry.map_or("?", |entry| entry.name))?;
        let window = WINDOWS.iter().find(|(_, ms)| Some(*ms) == self.window_ms);
        let mut parts = Vec::new();
        parts.extend(window.map(|(name, _)| format!("{name:?}")));
        match &self.of {
            Of::Nothing => {}
            Of::Value(term) => parts.push(term.to_string()),
            Of::Text(text) => parts.push(text.to_string()),
        }
        parts.extend(self.only.as_ref().map(ToString::to_string));
        write!(f, "{}).by({})", parts.join(", "), self.entity.names())?;
        if self.is_excluding {
            f.write_str(".excluding_current()")?;
        }
        Ok(())
    }
}
