//! Enums: one of the symbols of the schema.

use serde_json::{Value as Json, json};

use super::{Kind, shown};
use crate::DecodeError;
use crate::json::{Text as JsonText, put_string};
use crate::wire::{Cursor, put_long};

/// An enum of the contract. [`symbols!`](crate::symbols) makes one.
pub trait Symbols: Copy + 'static {
    /// Every value, in the order of the schema's symbols.
    const ALL: &'static [Self];

    /// The schema's symbol.
    fn as_str(self) -> &'static str;

    /// The place in [`Symbols::ALL`].
    fn index(self) -> usize;
}

impl<E: Symbols> Kind for E {
    type Value = Self;
    type Json<'de> = JsonText<'de>;

    const MAX_LEN: usize = 5;

    fn schema() -> Json {
        let symbols: Vec<_> = E::ALL.iter().map(|value| value.as_str()).collect();
        json!({"type": "enum", "symbols": symbols})
    }

    #[inline]
    fn put(value: &Self, bytes: &mut Vec<u8>) {
        put_long(value.index() as i64, bytes);
    }

    #[inline]
    fn read(cursor: &mut Cursor<'_>, field: &'static str) -> Result<Self, DecodeError> {
        let index = cursor.long(field)?;
        let found = usize::try_from(index).ok().and_then(|at| E::ALL.get(at));
        found.copied().ok_or(DecodeError::IndexOutOfRange {
            field,
            index,
            count: E::ALL.len(),
        })
    }

    fn put_json(value: &Self, bytes: &mut Vec<u8>) {
        put_string(bytes, value.as_str());
    }

    fn of_json(JsonText(text): JsonText<'_>, field: &'static str) -> Result<Self, DecodeError> {
        let found = E::ALL.iter().find(|value| value.as_str() == text);
        found.copied().ok_or_else(|| unknown::<E>(field, &text))
    }
}

#[cold]
fn unknown<E: Symbols>(field: &'static str, text: &str) -> DecodeError {
    let right: Vec<_> = E::ALL.iter().map(|value| value.as_str()).collect();
    let message = format!("{:?} is not one of {}", shown(text), right.join(", "));
    DecodeError::BadField { field, message }
}

/// Makes an enum of a contract's symbols, in the order of the schema.
///
/// ```
/// use millrace_contract::{Symbols, symbols};
///
/// symbols! {
///     /// Where an order comes from.
///     pub enum Channel {
///         /// A browser.
///         Web = "web",
///         /// The shop's own app.
///         App = "app",
///     }
/// }
/// assert_eq!(Channel::App.as_str(), "app");
/// assert_eq!(Channel::ALL, [Channel::Web, Channel::App]);
/// ```
#[macro_export]
macro_rules! symbols {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident {
            $( $(#[$value_meta:meta])* $value:ident = $symbol:literal ),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis enum $name {
            $( $(#[$value_meta])* $value ),+
        }

        impl $crate::Symbols for $name {
            const ALL: &'static [Self] = &[$( Self::$value ),+];

            #[inline]
            fn as_str(self) -> &'static str {
                match self {
                    $( Self::$value => $symbol ),+
                }
            }

            #[inline]
            fn index(self) -> usize {
                self as usize
            }
        }
    };
}
