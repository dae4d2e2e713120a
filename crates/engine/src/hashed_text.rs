//! Texts that are keys.
//!
//! The engine tells keys apart by 16 bytes. Those of a text are its hash as version 5 of UUIDs has
//! it (RFC 9562 §5.5), 122 bits of SHA-1 and six that are fixed, made once when a record is read.
//! Among a billion different texts the probability that any two are taken for one is 1 in 10^19;
//! someone who may choose texts at will needs some 2^61 hashes to find two.

// What the macro's expansions name.
#[doc(hidden)]
pub use millrace_contract::json::{Text as JsonText, put_string};
#[doc(hidden)]
pub use millrace_contract::kind::shown;
#[doc(hidden)]
pub use millrace_contract::wire::{Cursor, put_bytes};
#[doc(hidden)]
pub use millrace_contract::{DecodeError, Kind, Text};
#[doc(hidden)]
pub use serde_json::Value as Json;
#[doc(hidden)]
pub use uuid::Uuid;

/// Makes a type of a text with its hash, of 1 to `$most` bytes, that is both a kind of field and a
/// key.
///
/// `$what` names it where a state is damaged. `$namespace` is that of the hash: a version 4 UUID
/// drawn once for a pipeline, and fixed for ever, as states hold what it orders.
///
/// An `id` is any text without NUL; for another the caller writes `new`, and `of`, which makes one
/// of what a record has, by the field's name.
#[macro_export]
macro_rules! hashed_text {
    ($(#[$meta:meta])* id $name:ident, $most:literal, $what:literal, $namespace:expr) => {
        $crate::hashed_text! {
            $(#[$meta])*
            $name, $most, $what, $namespace
        }

        impl $name {
            /// The one of this id; `None` if it is none.
            #[must_use]
            pub fn new(id: &str) -> Option<Self> {
                let is_id = !id.is_empty() && !id.contains('\0');
                Some(id)
                    .filter(|_| is_id)
                    .and_then($crate::hashed_text::Text::new)
                    .map(Self::hashed)
            }

            fn of(id: &str, field: &'static str) -> Result<Self, $crate::hashed_text::DecodeError> {
                Self::new(id).ok_or_else(|| $crate::hashed_text::DecodeError::Invalid {
                    code: "invalid_id",
                    message: format!(
                        "{field} {:?} must be 1 to {} bytes of UTF-8 without NUL",
                        $crate::hashed_text::shown(id),
                        $most
                    ),
                })
            }
        }
    };
    ($(#[$meta:meta])* $name:ident, $most:literal, $what:literal, $namespace:expr) => {
        $(#[$meta])*
        #[derive(Clone, Copy)]
        pub struct $name {
            text: $crate::hashed_text::Text<$most>,
            hash: $crate::hashed_text::Uuid,
        }

        impl $name {
            fn hashed(text: $crate::hashed_text::Text<$most>) -> Self {
                let hash = $crate::hashed_text::Uuid::new_v5(&$namespace, text.as_bytes());
                Self { text, hash }
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                self.text.as_str()
            }

            /// The 16 bytes by which it is told apart.
            #[must_use]
            pub fn hash(&self) -> $crate::hashed_text::Uuid {
                self.hash
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.hash == other.hash
            }
        }

        impl Eq for $name {}

        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Debug::fmt(self.as_str(), f)
            }
        }

        impl $crate::windowed::Key for $name {
            const LEAST_LEN: usize = 8 + 1;

            type Held = ();

            #[inline]
            fn words(&self) -> (u64, u64) {
                let number = u128::from_le_bytes(*self.hash.as_bytes());
                (number as u64, (number >> 64) as u64)
            }

            fn write(&self, writer: &mut $crate::snapshot::StateWriter<'_>) {
                writer.text(self.as_str());
            }

            fn read(reader: &mut $crate::snapshot::StateReader<'_>) -> Result<Self, $crate::RestoreError> {
                let at = reader.position();
                let text = reader.text($what)?;
                match Self::new(text) {
                    Some(found) if found.as_str() == text => Ok(found),
                    _ => Err($crate::RestoreError::Invalid { what: $what, at }),
                }
            }
        }

        impl $crate::hashed_text::Kind for $name {
            type Value = Self;
            type Json<'de> = $crate::hashed_text::JsonText<'de>;

            const MAX_LEN: usize = $crate::hashed_text::Text::<$most>::MAX_LEN;

            fn schema() -> $crate::hashed_text::Json {
                $crate::hashed_text::Json::from("string")
            }

            fn put(value: &Self, bytes: &mut Vec<u8>) {
                $crate::hashed_text::put_bytes(value.text.as_bytes(), bytes);
            }

            fn read(
                cursor: &mut $crate::hashed_text::Cursor<'_>,
                field: &'static str,
            ) -> Result<Self, $crate::hashed_text::DecodeError> {
                Self::of(cursor.string(field)?, field)
            }

            fn put_json(value: &Self, bytes: &mut Vec<u8>) {
                $crate::hashed_text::put_string(bytes, value.as_str());
            }

            fn of_json(
                $crate::hashed_text::JsonText(text): $crate::hashed_text::JsonText<'_>,
                field: &'static str,
            ) -> Result<Self, $crate::hashed_text::DecodeError> {
                Self::of(&text, field)
            }
        }
    };
}
