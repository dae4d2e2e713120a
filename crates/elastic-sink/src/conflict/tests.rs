use millrace_catalog::commerce::EVENT_DOCUMENTS;

use super::*;
use crate::document::first_stays;
use crate::stream::Month;

const SHOP_EVENTS: Stream = Stream::of_documents(&EVENT_DOCUMENTS);

fn document(stream: Stream, version: i64, source: &str) -> Document {
    Document {
        stream,
        month: Month::of(0).unwrap(),
        id: "1".to_owned(),
        version,
        source: source.to_owned(),
    }
}

fn differs(document: &Document, stored: &Stored) -> bool {
    difference(document, stored).is_some()
}

fn stored(version: i64, source: Value) -> Stored {
    Stored {
        version: Some(version),
        source: Some(source),
    }
}

#[test]
fn a_true_repeat_is_the_same() {
    let ours = document(Stream::TRANSACTIONS, 7, r#"{"a":1,"amount":10.5000,"b":"x"}"#);
    assert!(!differs(
        &ours,
        &stored(7, json!({"b": "x", "a": 1, "amount": 10.5}))
    ));
    assert!(!differs(&ours, &stored(9, json!({"a": 1}))), "a field is new");
}

#[test]
fn other_content_differs_whatever_its_version() {
    let ours = document(Stream::TRANSACTIONS, 7, r#"{"amount":12.5}"#);
    assert!(differs(&ours, &stored(7, json!({"amount": 10.0}))));
    assert!(differs(&ours, &stored(8, json!({"amount": 10.0}))));
}

#[test]
fn a_transaction_that_came_again_is_told_from_one_of_other_topics() {
    let ours = document(Stream::TRANSACTIONS, 7, r#"{"amount":12.5,"b":"x"}"#);
    let of = |document: &Document, version| {
        let stored = stored(version, json!({"amount": 10.0, "b": "x"}));
        difference(document, &stored).unwrap()
    };
    assert_eq!(of(&ours, 8).field, "amount");
    assert!(is_later(&ours, &of(&ours, 8)), "the first is of a smaller offset");
    assert!(
        !is_later(&ours, &of(&ours, 7)),
        "the same place has other content"
    );
    let alert = document(Stream::ANOMALIES, 7, r#"{"amount":12.5}"#);
    assert!(!is_later(&alert, &of(&alert, 8)), "no anomaly comes twice");
}

/// The corrected rows of a file with one row more in front: each is one offset further than the
/// document that is stored, as a transaction that came again may be.
#[test]
fn shifted_rows_of_other_topics_are_told_by_what_the_log_has() {
    let rows: Vec<Document> = (1..9)
        .map(|offset| document(Stream::TRANSACTIONS, first_stays(offset), r#"{"amount":12.5}"#))
        .collect();
    let differing: Vec<_> = rows
        .iter()
        .filter_map(|row| {
            let before = stored(row.version + 1, json!({"amount": 10.0}));
            Some((row, difference(row, &before)?))
        })
        .collect();
    assert_eq!(differing.len(), rows.len());
    assert!(differing.iter().all(|(row, it)| is_later(row, it)));
    assert!((0..8).eq(differing.iter().map(|(_, it)| offset_of(it.version))));
    let count = |known: &[Option<bool>]| {
        let (repeated, foreign) = told_apart(differing.clone(), known);
        (repeated.len(), foreign.len())
    };
    let mut known = [None; 8];
    assert_eq!(count(&known), (8, 0), "nobody can say, as after retention");
    known[0] = Some(true);
    assert_eq!(count(&known), (8, 0), "the log has the first of them");
    known[4] = Some(false);
    assert_eq!(
        count(&known),
        (1, 7),
        "it has another there: the index is of another log"
    );
}

#[test]
fn a_shops_event_that_came_again_is_asked_about_in_its_own_log() {
    let ours = [SHOP_EVENTS, Stream::TRANSACTIONS, SHOP_EVENTS]
        .map(|stream| document(stream, first_stays(7), r#"{"paid":12.5}"#));
    let later: Vec<_> = ours
        .iter()
        .map(|document| {
            let before = stored(first_stays(3), json!({"paid": 10.0}));
            (document, difference(document, &before).unwrap())
        })
        .collect();
    assert!(later.iter().all(|(document, it)| is_later(document, it)));
    let counts: Vec<_> = by_stream(later)
        .map(|later| (later[0].0.stream, later.len()))
        .collect();
    assert_eq!(counts, [(Stream::TRANSACTIONS, 1), (SHOP_EVENTS, 2)]);
}

#[test]
fn the_log_is_told_of_all_of_them_at_intervals() {
    let (mut pace, start) = (Pace::default(), Instant::now());
    assert_eq!(pace.take(0, start), None);
    assert_eq!(pace.take(3, start), Some(3));
    assert_eq!(pace.take(2, start + TELL_INTERVAL / 2), None);
    assert_eq!(
        pace.take(4, start + TELL_INTERVAL),
        Some(6),
        "and those in between"
    );
    assert_eq!(pace.take(1, start + TELL_INTERVAL), None);
}

#[test]
fn a_later_result_is_none_of_it_and_neither_is_a_second_detection() {
    let early = document(Stream::AGGREGATES, 7, r#"{"purchaseCount":1}"#);
    assert!(!differs(&early, &stored(8, json!({"purchaseCount": 2}))));
    assert!(differs(&early, &stored(7, json!({"purchaseCount": 2}))));
    let again = document(Stream::ANOMALIES, 7, r#"{"detectionTime":5,"score":0.5}"#);
    assert!(!differs(
        &again,
        &stored(8, json!({"detectionTime": 4, "score": 0.5}))
    ));
}

#[test]
fn what_cannot_be_seen_differs_in_nothing() {
    let ours = document(Stream::TRANSACTIONS, 7, r#"{"a":1}"#);
    let unseen = Stored {
        version: None,
        source: None,
    };
    assert!(!differs(&ours, &unseen));
}
