//! What is no record: the error names the field, and no bytes panic.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use millrace_contract::{Contract as _, DecodeError, Encode as _};
use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};
use support::click::Click;
use support::everything::Everything;
use support::sample;

fn body() -> Vec<u8> {
    let mut body = Vec::new();
    sample().encode(&mut body);
    body
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let _ = Click::decode(&bytes);
        let _ = Everything::decode(&bytes);
        let _ = Click::FROM_JSON.unwrap()(&bytes);
    }

    #[test]
    fn no_change_panics(
        all in support::everything(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let (mut body, mut text) = (Vec::new(), Vec::new());
        all.encode(&mut body);
        all.encode_json(&mut text);
        for (at, byte) in changes {
            let places = (at.index(body.len()), at.index(text.len()));
            body[places.0] = byte;
            text[places.1] = byte;
        }
        if let Ok(other) = Everything::decode(&body) {
            // What is taken is valid: it can be written and read.
            let mut again = Vec::new();
            other.encode(&mut again);
            prop_assert_eq!(Everything::decode(&again), Ok(other));
        }
        let _ = Everything::FROM_JSON.unwrap()(&text);
    }
}

#[test]
fn every_cut_is_seen_and_named() {
    let body = body();
    for length in 0..body.len() {
        let error = Click::decode(&body[..length]).unwrap_err();
        let field = match length {
            0..37 => "event_id",
            37..41 => "user_id",
            41..65 => "url",
            65..87 => "referrer",
            _ => "ts",
        };
        assert!(
            matches!(error, DecodeError::Truncated { field: found, .. } if found == field),
            "{length}: {error}"
        );
    }
    let more = [&body[..], b"\0"].concat();
    assert_eq!(Click::decode(&more), Err(DecodeError::TrailingBytes { extra: 1 }));
}

fn avro_error(from: &[u8], to: &[u8]) -> String {
    let body = body();
    let at = body
        .windows(from.len())
        .position(|window| window == from)
        .unwrap();
    let changed = [&body[..at], to, &body[at + from.len()..]].concat();
    Click::decode(&changed).unwrap_err().to_string()
}

#[test]
fn a_value_that_the_contract_refuses_is_named() {
    assert_eq!(
        avro_error(b"6f1c2b1e-", b"6f1c2b1ex"),
        "event_id \"6f1c2b1ex0d5a-4c55-9a52-0c6f6d2f7a11\" is not a UUID as in 6f1c2b1e-0d5a-4c55-9a52-0c6f6d2f7a11"
    );
    assert_eq!(
        avro_error(b"\x06u-1", b"\0"),
        "user_id \"\" must be 1 to 64 bytes of UTF-8 without NUL"
    );
    let long = [&b"\x82\x01"[..], &[b'x'; 65]].concat();
    assert!(avro_error(b"\x06u-1", &long).ends_with("must be 1 to 64 bytes of UTF-8 without NUL"));
    assert_eq!(avro_error(b"\x06u-1", b"\x06u-\xff"), "user_id is not UTF-8");
    let page = [&b"\x82\x04"[..], &[b'/'; 257]].concat();
    let message = avro_error(b"\x2e/products/42?colour=red", &page);
    assert!(
        message.ends_with("has 257 bytes, and at most 256 are taken"),
        "{message}"
    );
    let before = b"\x02\x28https";
    assert_eq!(
        avro_error(before, b"\x04\x28https"),
        "referrer has index 2, which is not below 2"
    );
}

fn json_error(edit: impl FnOnce(&mut Map<String, Json>)) -> DecodeError {
    let mut text = Vec::new();
    sample().encode_json(&mut text);
    let mut object: Map<_, _> = serde_json::from_slice(&text).unwrap();
    edit(&mut object);
    Click::FROM_JSON.unwrap()(Json::Object(object).to_string().as_bytes()).unwrap_err()
}

#[test]
fn a_json_field_that_is_missing_or_wrong_is_named() {
    for field in ["event_id", "user_id", "url", "ts"] {
        let error = json_error(|object| drop(object.remove(field)));
        assert_eq!(error, DecodeError::MissingField(field));
        let error = json_error(|object| drop(object.insert(field.to_owned(), Json::Null)));
        assert!(matches!(error, DecodeError::BadField { field: found, .. } if found == field));
    }
    let error = json_error(|object| drop(object.insert("ts".to_owned(), json!(1_760_000_000_123_456_i64))));
    assert_eq!(
        error.to_string(),
        "ts 1760000000123456 ms is not between 1970-01-01 and 9999-12-31: microseconds for milliseconds?"
    );
    assert_eq!(error.code(), "time_out_of_range");
    let error = json_error(|object| drop(object.insert("referrer".to_owned(), json!(5))));
    assert!(error.to_string().starts_with("field referrer: "), "{error}");
}

#[test]
fn a_json_field_twice_is_named_and_an_optional_one_may_be_left_out() {
    let from_json = Click::FROM_JSON.unwrap();
    let mut text = Vec::new();
    sample().encode_json(&mut text);
    let text = String::from_utf8(text).unwrap();
    let twice = text.replacen('{', "{\"referrer\":null,", 1);
    assert_eq!(
        from_json(twice.as_bytes()),
        Err(DecodeError::DuplicateField("referrer"))
    );
    let without = text.replace("\"referrer\":\"https://example.org/\",", "");
    assert_ne!(without, text);
    let wanted = Click {
        referrer: None,
        ..sample()
    };
    assert_eq!(from_json(without.as_bytes()), Ok(wanted));
    let escaped = text
        .replace("\"url\"", "\"u\\u0072l\"")
        .replace("/products", "\\/products");
    assert_eq!(from_json(escaped.as_bytes()), Ok(sample()));
    assert_eq!(from_json(b"[]").unwrap_err().code(), "bad_json");
}

#[test]
fn a_symbol_that_is_none_is_told_what_there_is() {
    let text = br#"{"kind":"buy"}"#;
    assert_eq!(
        Everything::FROM_JSON.unwrap()(text).unwrap_err().to_string(),
        "field kind: \"buy\" is not one of click, view, purchase, search"
    );
}
