//! Records of `contract!`, byte for byte against apache-avro, both ways, and their JSON.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use millrace_contract::source::NoRegistry;
use millrace_contract::{Contract as _, Encode, Event as _, Reader, framing};
use proptest::prelude::*;
use support::click::Click;
use support::everything::Everything;
use support::{avro_click, avro_everything, read, sample, written};

fn encoded(record: &impl Encode) -> Vec<u8> {
    let mut body = Vec::new();
    record.encode(&mut body);
    body
}

fn json(record: &impl Encode) -> Vec<u8> {
    let mut text = Vec::new();
    record.encode_json(&mut text);
    text
}

proptest! {
    #[test]
    fn a_click(click in support::click()) {
        let body = encoded(&click);
        let theirs = written(Click::SCHEMA, &avro_click(&click));
        prop_assert_eq!(&body, &theirs);
        prop_assert!(body.len() <= Click::MAX_LEN);
        prop_assert_eq!(Click::decode(&theirs), Ok(click));
        prop_assert_eq!(read(Click::SCHEMA, &body), avro_click(&click));
    }

    #[test]
    fn every_kind(all in support::everything()) {
        let body = encoded(&all);
        let theirs = written(Everything::SCHEMA, &avro_everything(&all));
        prop_assert_eq!(&body, &theirs);
        prop_assert!(body.len() <= Everything::MAX_LEN);
        prop_assert_eq!(Everything::decode(&theirs), Ok(all));
        prop_assert_eq!(read(Everything::SCHEMA, &body), avro_everything(&all));
    }

    #[test]
    fn every_kind_as_json(all in support::everything()) {
        let text = json(&all);
        let theirs: serde_json::Value = serde_json::from_slice(&text).unwrap();
        prop_assert_eq!(theirs["key"].as_str(), Some(all.key.as_str()));
        prop_assert_eq!(theirs["note"].as_str(), Some(all.note.as_str()));
        prop_assert_eq!(theirs["count"].as_i64(), Some(all.count));
        prop_assert_eq!(theirs["ratio"].as_f64(), Some(all.ratio));
        prop_assert_eq!(theirs["maybeRatio"].as_f64(), all.maybe_ratio);
        prop_assert_eq!(theirs.as_object().unwrap().len(), 15);
        let from_json = Everything::FROM_JSON.unwrap();
        prop_assert_eq!(from_json(&text), Ok(all));
        // In any order, as serde_json sorts the names, and with others beside them.
        let mut more = theirs;
        more["aaa"] = serde_json::json!({"id": [1, {"key": null}]});
        // What has more digits than a double is not what serde_json's value has kept.
        if i64::try_from(all.price_cents).is_ok_and(|units| units.abs() < 1 << 50) && all.maybe_price_cents.is_none() {
            prop_assert_eq!(from_json(more.to_string().as_bytes()), Ok(all));
        }
    }

    #[test]
    fn a_reader_takes_both_forms(click in support::click()) {
        let reader = Reader::<Click>::new(NoRegistry).with_own_schema_id(7);
        let mut framed = Vec::new();
        click.encode_framed(7, &mut framed);
        prop_assert_eq!(framing::split(&framed).unwrap().0, 7);
        prop_assert_eq!(reader.read(&framed).unwrap(), click);
        prop_assert_eq!(reader.read(&json(&click)).unwrap(), click);
    }
}

#[test]
fn records_and_schemas_say_the_same() {
    assert_eq!(Click::check_schema(), Ok(()));
    assert_eq!(Everything::check_schema(), Ok(()));
}

#[test]
fn an_event_has_an_id_and_a_time() {
    assert_eq!(sample().id()[..4], [0x6f, 0x1c, 0x2b, 0x1e]);
    assert_eq!(sample().time_ms(), 1_760_000_000_123);
}
