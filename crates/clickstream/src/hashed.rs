//! Pages and users: texts that are keys.
//!
//! The engine tells keys apart by 16 bytes. Those of a text are its hash as version 5 of UUIDs has
//! it (RFC 9562 §5.5), 122 bits of SHA-1 and six that are fixed, made once when a record is read.
//! Among a billion different texts the probability that any two are taken for one is 1 in 10^19;
//! someone who may choose URLs at will needs some 2^61 hashes to find two.

use std::fmt;

use millrace_contract::json::{Text as JsonText, put_string};
use millrace_contract::kind::shown;
use millrace_contract::wire::{Cursor, put_bytes};
use millrace_contract::{DecodeError, Kind, Text};
use millrace_engine::RestoreError;
use millrace_engine::snapshot::{StateReader, StateWriter};
use millrace_engine::windowed::Key;
use serde_json::{Value as Json, json};
use uuid::Uuid;

/// Namespace of the hash (a version 4 UUID drawn once for this pipeline).
const NAMESPACE: Uuid = Uuid::from_u128(0x7c1a_90d4_35be_4f0e_a6c8_21f7_4d0b_96e3);

/// Makes a type of a text with its hash, of 1 to `$most` bytes, that is both a kind of field and a
/// key; `of` makes one of what a record has, by the field's name.
macro_rules! hashed_text {
    ($(#[$meta:meta])* $name:ident, $most:literal, $what:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy)]
        pub struct $name {
            text: Text<$most>,
            hash: Uuid,
        }

        impl $name {
            fn hashed(text: Text<$most>) -> Self {
                let hash = Uuid::new_v5(&NAMESPACE, text.as_bytes());
                Self { text, hash }
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                self.text.as_str()
            }

            /// The 16 bytes by which it is told apart.
            #[must_use]
            pub fn hash(&self) -> Uuid {
                self.hash
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.hash == other.hash
            }
        }

        impl Eq for $name {}

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        }

        impl Key for $name {
            const LEAST_LEN: usize = 8 + 1;

            type Held = ();

            #[inline]
            fn words(&self) -> (u64, u64) {
                let number = u128::from_le_bytes(*self.hash.as_bytes());
                (number as u64, (number >> 64) as u64)
            }

            fn write(&self, writer: &mut StateWriter<'_>) {
                writer.text(self.as_str());
            }

            fn read(reader: &mut StateReader<'_>) -> Result<Self, RestoreError> {
                let at = reader.position();
                let text = reader.text($what)?;
                match Self::new(text) {
                    Some(found) if found.as_str() == text => Ok(found),
                    _ => Err(RestoreError::Invalid { what: $what, at }),
                }
            }
        }

        impl Kind for $name {
            type Value = Self;
            type Json<'de> = JsonText<'de>;

            const MAX_LEN: usize = Text::<$most>::MAX_LEN;

            fn schema() -> Json {
                json!("string")
            }

            fn put(value: &Self, bytes: &mut Vec<u8>) {
                put_bytes(value.text.as_bytes(), bytes);
            }

            fn read(cursor: &mut Cursor<'_>, field: &'static str) -> Result<Self, DecodeError> {
                Self::of(cursor.string(field)?, field)
            }

            fn put_json(value: &Self, bytes: &mut Vec<u8>) {
                put_string(bytes, value.as_str());
            }

            fn of_json(JsonText(text): JsonText<'_>, field: &'static str) -> Result<Self, DecodeError> {
                Self::of(&text, field)
            }
        }
    };
}

hashed_text! {
    /// A page: a URL without `http://` or `https://`, and without what follows from `?` or `#` on;
    /// 1 to 192 bytes. Nothing else is made alike: `/` at the end and the case of letters tell
    /// pages apart.
    Page, 192, "page"
}

hashed_text! {
    /// A user: 1 to 64 bytes without NUL.
    User, 64, "user"
}

impl Page {
    /// The page of a URL; `None` if nothing is left of it, or more than 192 bytes.
    #[must_use]
    pub fn new(url: &str) -> Option<Self> {
        let mut page = url.split(['?', '#']).next().unwrap_or_default();
        while let Some(rest) = without_scheme(page) {
            page = rest;
        }
        Some(page)
            .filter(|page| !page.is_empty())
            .and_then(Text::new)
            .map(Self::hashed)
    }

    fn of(url: &str, field: &'static str) -> Result<Self, DecodeError> {
        Self::new(url).ok_or_else(|| DecodeError::Invalid {
            code: "invalid_page",
            message: format!(
                "{field} {:?} of {} bytes must have 1 to 192 without http://, https:// and what follows from ? or # on",
                shown(url),
                url.len()
            ),
        })
    }
}

/// What follows after `http://` or `https://`, whose letters may be of either case.
fn without_scheme(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    let is_web = ["http", "https"]
        .iter()
        .any(|web| scheme.eq_ignore_ascii_case(web));
    is_web.then_some(rest)
}

impl User {
    /// A user by id; `None` if it is none.
    #[must_use]
    pub fn new(id: &str) -> Option<Self> {
        let is_id = !id.is_empty() && !id.contains('\0');
        Some(id).filter(|_| is_id).and_then(Text::new).map(Self::hashed)
    }

    fn of(id: &str, field: &'static str) -> Result<Self, DecodeError> {
        Self::new(id).ok_or_else(|| DecodeError::Invalid {
            code: "invalid_id",
            message: format!(
                "{field} {:?} must be 1 to 64 bytes of UTF-8 without NUL",
                shown(id)
            ),
        })
    }

    /// The 96 bits by which a page's visitors are told apart.
    pub(crate) fn member(&self) -> (u64, u32) {
        let (low, high) = self.words();
        (low, high as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_what_its_urls_have_in_common() {
        let page = Page::new("shop.example/cart").unwrap();
        for url in [
            "https://shop.example/cart",
            "HTTP://shop.example/cart?from=mail#top",
            "https://http://shop.example/cart#?",
        ] {
            assert_eq!(Page::new(url), Some(page), "{url}");
        }
        for url in [
            "shop.example/cart/",
            "shop.example/Cart",
            "app://shop.example/cart",
        ] {
            assert_ne!(Page::new(url), Some(page), "{url}");
            assert_eq!(Page::new(url).unwrap().as_str(), url);
        }
        assert_eq!(Page::new("/to?u=https://a").unwrap().as_str(), "/to");
        assert_eq!(Page::new("/to/https://a").unwrap().as_str(), "/to/https://a");
    }

    #[test]
    fn what_is_no_page_or_user_is_refused_by_its_field() {
        for url in ["", "https://", "?a=1", &"p".repeat(193)] {
            let error = Page::of(url, "url").unwrap_err();
            assert_eq!(error.code(), "invalid_page");
            assert!(error.to_string().starts_with("url \""), "{error}");
        }
        assert!(Page::new(&"p".repeat(192)).is_some());
        for id in ["", "a\0", &"u".repeat(65)] {
            assert_eq!(User::of(id, "user_id").unwrap_err().code(), "invalid_id");
        }
    }

    #[test]
    fn a_state_has_the_text_alone_and_no_other() {
        let read = |text: &str| {
            let mut bytes = Vec::new();
            StateWriter::new(&mut bytes).text(text);
            <Page as Key>::read(&mut StateReader::new(&bytes)).map(|page| page.hash())
        };
        assert_eq!(read("/cart"), Ok(Page::new("/cart").unwrap().hash()));
        for text in ["", "https://a/b", "/cart?x"] {
            assert!(read(text).is_err(), "{text:?} is what no page is written as");
        }
    }
}
