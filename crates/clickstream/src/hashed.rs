//! Pages and users: texts that are keys.

use millrace_contract::kind::shown;
use millrace_contract::{DecodeError, Text};
use millrace_engine::hashed_text;
use millrace_engine::windowed::Key as _;
use uuid::Uuid;

/// Namespace of the hash (a version 4 UUID drawn once for this pipeline).
const NAMESPACE: Uuid = Uuid::from_u128(0x7c1a_90d4_35be_4f0e_a6c8_21f7_4d0b_96e3);

hashed_text! {
    /// A page: a URL without `http://` or `https://`, and without what follows from `?` or `#` on;
    /// 1 to 192 bytes. Nothing else is made alike: `/` at the end and the case of letters tell
    /// pages apart.
    Page, 192, "page", NAMESPACE
}

hashed_text! {
    /// A user: 1 to 64 bytes without NUL.
    id User, 64, "user", NAMESPACE
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
    /// The 96 bits by which a page's visitors are told apart.
    pub(crate) fn member(&self) -> (u64, u32) {
        let (low, high) = self.words();
        (low, high as u32)
    }
}

#[cfg(test)]
mod tests {
    use millrace_engine::snapshot::{StateReader, StateWriter};
    use millrace_engine::windowed::Key;

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
