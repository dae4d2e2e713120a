//! What the value of a term is in, as far as its one form tells: of a bare literal it does not say
//! whether it was written as a number or as a duration.

use millrace_domain::Currency;
use millrace_domain::money::UNITS_PER_WHOLE;

use super::super::evidence::Unit;
use crate::catalogue::Function;
use crate::term::{Arithmetic, Term};
use crate::types::Type;

/// What a value is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dimension {
    /// A number, or a duration in milliseconds: what it stands beside may tell.
    NumberOrDuration,
    Number,
    /// Of one currency, or of whichever the transaction has.
    Money(Option<Currency>),
    Duration,
    /// An instant or a place, which no figure shows.
    NoFigure,
}

impl Dimension {
    pub(super) fn of(term: &Term) -> Self {
        match term {
            Term::Number(_) => Self::NumberOrDuration,
            Term::Money(_, currency) => Self::Money(Some(*currency)),
            Term::Amount => Self::Money(None),
            Term::Time | Term::Place => Self::NoFigure,
            Term::Feature(feature) => Self::of_type(feature.ty),
            Term::Negative(inner) => Self::of(inner),
            Term::Arithmetic(arithmetic, a, b) => Self::computed(*arithmetic, Self::of(a), Self::of(b)),
            Term::If(parts) => Self::of(&parts[1]).or(Self::of(&parts[2])),
            Term::Call(Function::Abs, terms) => Self::of(&terms[0]),
            Term::Call(Function::Least | Function::Greatest, terms) => {
                Self::of(&terms[0]).or(Self::of(&terms[1]))
            }
            // Conditions are 0 or 1; what is left of the functions gives numbers.
            _ => Self::Number,
        }
    }

    fn of_type(ty: Type) -> Self {
        match ty {
            Type::Bool | Type::Count | Type::Ratio => Self::Number,
            Type::Money(currency) => Self::Money(currency),
            Type::Duration => Self::Duration,
            Type::Instant | Type::Place | Type::Text(_) | Type::AnyText => Self::NoFigure,
        }
    }

    /// What the checker lets be computed: money and durations are added to their like, multiplied
    /// and divided by numbers, and divided by their like.
    fn computed(arithmetic: Arithmetic, a: Self, b: Self) -> Self {
        use Dimension::{Duration, Money, NoFigure, Number, NumberOrDuration};
        match (arithmetic, a, b) {
            (Arithmetic::Subtract, NoFigure, NoFigure) => Duration,
            (_, NoFigure, _) | (_, _, NoFigure) => NoFigure,
            (Arithmetic::Add | Arithmetic::Subtract, a, b) => a.or(b),
            (Arithmetic::Divide, Money(_), Money(_)) | (Arithmetic::Divide, _, Duration) => Number,
            (Arithmetic::Divide, NumberOrDuration, _) => NumberOrDuration,
            // By a number, or by its like.
            (Arithmetic::Divide, Duration, NumberOrDuration) => NumberOrDuration,
            (Arithmetic::Divide, a, _) => a,
            (Arithmetic::Multiply, Money(currency), _) | (Arithmetic::Multiply, _, Money(currency)) => {
                Money(currency)
            }
            (Arithmetic::Multiply, Duration, _) | (Arithmetic::Multiply, _, Duration) => Duration,
            (Arithmetic::Multiply, Number, Number) => Number,
            (Arithmetic::Multiply, _, _) => NumberOrDuration,
        }
    }

    /// This one, or the other's where this one does not tell.
    pub(super) fn or(self, other: Self) -> Self {
        match self {
            Self::NumberOrDuration => other,
            known => known,
        }
    }

    /// The unit that it is shown in, and how many of what is computed are one of it; `None` of what
    /// no figure shows.
    pub(super) fn unit(self, currency: Currency) -> Option<(Unit, f64)> {
        match self {
            Self::Number | Self::NumberOrDuration => Some((Unit::None, 1.0)),
            Self::Money(of) => Some((Unit::Money(of.unwrap_or(currency)), UNITS_PER_WHOLE as f64)),
            Self::Duration => Some((Unit::Seconds, 1_000.0)),
            Self::NoFigure => None,
        }
    }
}
