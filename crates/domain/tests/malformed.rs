//! No bytes make a decoder panic, and each way to be wrong has its name.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use millrace_contract::DecodeError;
use millrace_domain::codec::{aggregate, anomaly, json, label, partial, transaction};
use millrace_domain::{
    Amount, Contribution, Currency, Partial, PartialContent, PaymentMethod, ShortId, Totals, Transaction,
    TransactionType,
};
use proptest::prelude::*;

/// Every enumeration at its first symbol.
fn sample() -> Transaction {
    Transaction {
        transaction_type: TransactionType::Purchase,
        payment_method: PaymentMethod::CreditCard,
        is_international: false,
        ..common::sample()
    }
}

fn body() -> Vec<u8> {
    let mut body = Vec::new();
    transaction::encode(&sample(), &mut body);
    body
}

/// Where the fields of [`sample`] start in its body.
const USER: usize = 37;
const AMOUNT: usize = USER + 4;
const TIME: usize = AMOUNT + 8;
const MERCHANT: usize = TIME + 6;
const TYPE: usize = MERCHANT + 5;
const METHOD: usize = TYPE + 1 + 7;
const INTERNATIONAL: usize = METHOD + 1;
const CURRENCY: usize = INTERNATIONAL + 1;

fn with(at: usize, bytes: &[u8]) -> DecodeError {
    let mut body = body();
    body[at..at + bytes.len()].copy_from_slice(bytes);
    transaction::decode(&body).unwrap_err()
}

fn spliced(at: usize, old_len: usize, bytes: &[u8]) -> DecodeError {
    let mut body = body();
    body.splice(at..at + old_len, bytes.iter().copied());
    transaction::decode(&body).unwrap_err()
}

fn with_amount(amount: f64) -> DecodeError {
    with(AMOUNT, &amount.to_le_bytes())
}

#[test]
fn every_cut_is_named_with_its_field() {
    let body = body();
    for length in 0..body.len() {
        let error = transaction::decode(&body[..length]).unwrap_err();
        assert_eq!(error.code(), "truncated", "{length}: {error}");
    }
    let error = transaction::decode(&body[..AMOUNT + 3]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the value ends early, within amount at byte 41"
    );
}

#[test]
fn each_malformed_field_is_named() {
    let mut long = body();
    long.push(0);
    assert_eq!(
        transaction::decode(&long).unwrap_err(),
        DecodeError::TrailingBytes { extra: 1 }
    );
    assert_eq!(with(1, b"x").code(), "invalid_transaction_id");
    assert_eq!(with(USER + 1, &[0xff]), DecodeError::NotUtf8 { field: "userId" });
    assert_eq!(with(USER + 1, &[0]).code(), "invalid_id");
    assert_eq!(spliced(USER, 4, &[0]).code(), "invalid_id");
    // Of 65 bytes.
    let too_long = [&b"\x82\x01"[..], &[b'x'; 65]].concat();
    assert_eq!(spliced(USER, 4, &too_long).code(), "invalid_id");
    assert_eq!(with_amount(f64::NAN).code(), "amount_not_finite");
    assert_eq!(with_amount(f64::NEG_INFINITY).code(), "amount_not_finite");
    assert_eq!(with_amount(-57.16).code(), "amount_not_positive");
    assert_eq!(with_amount(0.0).code(), "amount_not_positive");
    assert_eq!(with_amount(0.000_01).code(), "amount_too_fine");
    assert_eq!(with_amount(1e300).code(), "amount_too_large");
    assert_eq!(spliced(TIME, 6, &[1]).code(), "time_out_of_range");
    assert_eq!(
        spliced(TIME, 6, &[0xff; 11]),
        DecodeError::VarintTooLong {
            field: "transactionTime"
        }
    );
    assert_eq!(with(MERCHANT, &[1]).code(), "negative_length");
    let bad_type = DecodeError::IndexOutOfRange {
        field: "transactionType",
        index: 2,
        count: 2,
    };
    assert_eq!(with(TYPE, &[4]), bad_type);
    assert_eq!(with(METHOD, &[1]).code(), "index_out_of_range");
    assert_eq!(with(INTERNATIONAL, &[2]).code(), "bad_boolean");
    assert_eq!(with(CURRENCY + 1, b"e").code(), "invalid_currency");
}

#[test]
fn a_partial_tells_of_one_merchants_window_and_of_one_kind() {
    let of = |merchant: &'static str| Contribution {
        merchant_id: ShortId::new(merchant, "merchantId").unwrap(),
        currency: Currency::parse(b"EUR").unwrap(),
        window_start_ms: 0,
        window_end_ms: 60_000,
        totals: Totals::of(TransactionType::Purchase, Amount::from_units(1).unwrap()),
        distinct_users: 1,
    };
    let body = |content| {
        let mut body = Vec::new();
        let (source_partition, watermark_ms) = (0, 0);
        partial::encode(
            &Partial {
                source_partition,
                watermark_ms,
                complete_ms: None,
                content,
            },
            &mut body,
        );
        body
    };
    let message = |body: &[u8]| partial::decode(body).unwrap_err().to_string();
    assert_eq!(
        message(&body(PartialContent::Final(vec![of("m-1"), of("m-2")]))),
        "field contribution: of several merchants or windows"
    );
    let final_alone = body(PartialContent::Final(vec![of("m-1")]));
    let early_alone = body(PartialContent::Early(vec![of("m-1")]));
    // Source and watermark are a byte each, and so is the null of what is not there.
    let both = [&final_alone[..final_alone.len() - 2], &early_alone[3..]].concat();
    assert_eq!(
        message(&both),
        "field early: there beside a contribution: one of the two is null"
    );
    assert_eq!(message(&[0, 0, 4, 0, 0]), "field contribution: an array of none");
    assert_eq!(
        partial::decode(&[0, 0, 6, 0, 0]).unwrap_err().code(),
        "index_out_of_range"
    );
}

fn json_error(edit: impl FnOnce(&mut serde_json::Map<String, serde_json::Value>)) -> DecodeError {
    let mut text = Vec::new();
    json::encode(&sample(), &mut text);
    let mut object = serde_json::from_slice(&text).unwrap();
    edit(&mut object);
    json::decode(&serde_json::to_vec(&object).unwrap()).unwrap_err()
}

#[test]
fn each_malformed_json_is_named_with_its_field() {
    for text in ["", "{", "[]", "\"x\"", "{}x", "{\"userId\":\"u\"} {}"] {
        let code = json::decode(text.as_bytes()).unwrap_err().code();
        assert!(["bad_json", "missing_field"].contains(&code), "{text}: {code}");
    }
    let mut fields = serde_json::Map::new();
    json_error(|object| {
        fields = object.clone();
        object.clear();
    });
    assert_eq!(fields.len(), 10);
    for name in fields.keys() {
        let error = json_error(|object| {
            object.remove(name);
        });
        assert_eq!(error.to_string(), format!("field {name} is missing"));
        let error = json_error(|object| {
            object.insert(name.clone(), serde_json::json!([]));
        });
        assert_eq!(error.code(), "bad_field");
        assert!(error.to_string().contains(name), "{error}");
    }
    let error = json_error(|object| {
        object.insert("amount".to_owned(), serde_json::json!(-1.5));
    });
    assert_eq!(error.code(), "amount_not_positive");
    let error = json_error(|object| {
        object.insert("transactionType".to_owned(), "gift".into());
    });
    assert!(
        error
            .to_string()
            .contains("transactionType: \"gift\" is not purchase or refund"),
        "{error}"
    );
    let twice = br#"{"amount":1,"amount":1}"#;
    assert_eq!(json::decode(twice), Err(DecodeError::DuplicateField("amount")));
    let escaped = br#"{"amount":1,"\u0061mount":1}"#;
    assert_eq!(json::decode(escaped), Err(DecodeError::DuplicateField("amount")));
}

proptest! {
    #[test]
    fn json_comes_back(transaction in common::transaction()) {
        let mut text = Vec::new();
        json::encode(&transaction, &mut text);
        prop_assert_eq!(json::decode(&text), Ok(transaction));
        let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let user_id = transaction.user_id.to_string();
        prop_assert_eq!(&value["userId"], &user_id);
        prop_assert_eq!(&value["amount"], transaction.amount.to_f64());
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let _ = transaction::decode(&bytes);
        let _ = aggregate::decode(&bytes);
        let _ = partial::decode(&bytes);
        let _ = anomaly::decode(&bytes);
        let _ = label::decode(&bytes);
        let _ = json::decode(&bytes);
    }

    #[test]
    fn no_damage_panics_or_passes_for_another_length(
        transaction in common::transaction(),
        (anomaly, detection) in common::anomaly(),
        at: prop::sample::Index,
        byte: u8,
    ) {
        let mut body = Vec::new();
        transaction::encode(&transaction, &mut body);
        let index = at.index(body.len());
        body[index] = byte;
        if let Ok(damaged) = transaction::decode(&body) {
            // What is still valid says what the bytes say; a number in them may be longer than it
            // needs to be.
            let mut again = Vec::new();
            transaction::encode(&damaged, &mut again);
            prop_assert!(again.len() <= body.len());
            prop_assert_eq!(transaction::decode(&again), Ok(damaged));
        }
        let mut body = Vec::new();
        anomaly::encode(&anomaly, detection, &mut body);
        let index = at.index(body.len());
        body[index] = byte;
        let _ = anomaly::decode(&body);
        let _ = anomaly::decode(&body[..index]);
    }
}
