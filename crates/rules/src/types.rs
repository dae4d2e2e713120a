//! The types of the language.

use std::fmt;

use millrace_domain::{Currency, PaymentMethod, TransactionType};

/// What a value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Bool,
    /// A whole number.
    Count,
    /// Any number.
    Ratio,
    /// Of one currency, or of whichever the transaction has.
    Money(Option<Currency>),
    Duration,
    Instant,
    /// A city on the map.
    Place,
    Text(TextField),
    /// Of texts of no field yet, as literals are.
    AnyText,
}

/// Fields whose values are texts. Two of them have few values each: those are enums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum TextField {
    User,
    Merchant,
    Location,
    Currency,
    Type,
    Method,
}

impl TextField {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Merchant => "merchant",
            Self::Location => "location",
            Self::Currency => "currency",
            Self::Type => "type",
            Self::Method => "method",
        }
    }

    /// Every value of an enum; none of another text.
    pub(crate) fn symbols(self) -> Vec<&'static str> {
        match self {
            Self::Type => TransactionType::ALL.map(TransactionType::as_str).to_vec(),
            Self::Method => PaymentMethod::ALL.map(PaymentMethod::as_str).to_vec(),
            _ => Vec::new(),
        }
    }
}

impl Type {
    pub(crate) const fn is_number(self) -> bool {
        matches!(self, Self::Count | Self::Ratio)
    }

    pub(crate) const fn is_text(self) -> bool {
        matches!(self, Self::Text(_) | Self::AnyText)
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("a condition"),
            Self::Count => f.write_str("a count"),
            Self::Ratio => f.write_str("a ratio"),
            Self::Money(None) => f.write_str("money of the transaction's currency"),
            Self::Money(Some(currency)) => write!(f, "money of {currency}"),
            Self::Duration => f.write_str("a duration"),
            Self::Instant => f.write_str("an instant"),
            Self::Place => f.write_str("a place"),
            Self::Text(field @ (TextField::Type | TextField::Method)) => {
                write!(f, "the enum `{}`", field.name())
            }
            Self::Text(field) => write!(f, "the text `{}`", field.name()),
            Self::AnyText => f.write_str("a text"),
        }
    }
}
