//! The records and their schemas.

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

mod support;

use millrace_clickstream::{Click, MOST_VISITORS, Page, PageViews, PageViewsPartial, Session};
use millrace_contract::{Contract as _, Encode as _};
use support::click;

#[test]
fn records_and_schemas_say_the_same() {
    for checked in [
        Click::check_schema(),
        PageViews::check_schema(),
        PageViewsPartial::check_schema(),
        Session::check_schema(),
    ] {
        assert_eq!(checked, Ok(()));
    }
    let bound = MOST_VISITORS.to_string();
    assert!(PageViews::SCHEMA.contains(&format!("exact up to {bound}, and {bound} for")));
}

#[test]
fn a_click_is_read_from_both_forms_with_the_pages_of_its_urls() {
    let json = br#"{"event_id": "6f1c2b1e-0d5a-4c55-9a52-0c6f6d2f7a11", "user_id": "u-1",
        "url": "https://shop.example/cart?id=7", "referrer": "https://search.example/?q=cart", "ts": 5}"#;
    let found = Click::FROM_JSON.unwrap()(json).unwrap();
    assert_eq!(found.page.as_str(), "shop.example/cart");
    assert_eq!(found.referrer, Page::new("search.example/"));
    let mut body = Vec::new();
    found.encode(&mut body);
    assert_eq!(Click::decode(&body), Ok(found));
    assert_eq!(click(0, 1, 0, 7).user_id, found.user_id);
}

#[test]
fn a_click_that_is_none_is_refused_by_its_field() {
    let good = r#"{"event_id":"6f1c2b1e-0d5a-4c55-9a52-0c6f6d2f7a11","user_id":"u","url":"/","ts":5}"#;
    let refused = |from: &str, to: &str| {
        let json = good.replace(from, to);
        assert_ne!(json, good);
        Click::FROM_JSON.unwrap()(json.as_bytes()).unwrap_err().code()
    };
    assert!(Click::FROM_JSON.unwrap()(good.as_bytes()).is_ok());
    assert_eq!(refused("6f1c2b1e", "6f1c"), "invalid_uuid");
    assert_eq!(refused(r#""u""#, r#""""#), "invalid_id");
    assert_eq!(refused(r#""/""#, r##""#top""##), "invalid_page");
    assert_eq!(refused(":5", ":-5"), "time_out_of_range");
}
