//! JSON as other people's producers write it.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::sample;
use millrace_domain::Transaction;
use millrace_domain::codec::{TransactionReader, json};
use millrace_registry::{RegistryConfig, SchemaFetcher};

/// Nothing here asks the registry.
fn reader() -> TransactionReader {
    TransactionReader::new(SchemaFetcher::new(RegistryConfig {
        url: "http://127.0.0.1:1".to_owned(),
        username: None,
        password: None,
        timeout_ms: 1_000,
        tls: millrace_registry::Tls::default(),
    }))
}

fn text() -> String {
    let mut text = Vec::new();
    json::encode(&sample(), &mut text);
    String::from_utf8(text).unwrap()
}

fn read(text: &str) -> Transaction {
    reader()
        .read(text.as_bytes())
        .unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn code(text: &str) -> String {
    match reader().read(text.as_bytes()) {
        Err(millrace_contract::ReadError::Invalid(error)) => error.code().to_owned(),
        other => panic!("{other:?}: {text}"),
    }
}

/// With `more` as its first field.
fn with(more: &str) -> String {
    text().replacen('{', &format!("{{{more},"), 1)
}

#[test]
fn blanks_and_marks_around_the_object_are_read() {
    for before in ["", "\n", " ", "\t\r\n  ", "\u{feff}", "\u{feff}\n"] {
        for after in ["", "\n", "  ", "\r\n"] {
            assert_eq!(read(&format!("{before}{}{after}", text())), sample());
        }
    }
    assert_eq!(code(&format!(" {}", "[]")), "wrong_magic");
    assert_eq!(code("\u{feff}"), "wrong_magic");
    assert_eq!(code(" \n"), "wrong_magic");
    assert_eq!(code(&format!("\u{feff}\u{feff}{}", text())), "wrong_magic");
    assert_eq!(code(&format!("{}{}", text(), text())), "bad_json");
    assert_eq!(code(&format!("{}\0", text())), "bad_json");
}

#[test]
fn fields_that_the_contract_does_not_have_are_ignored() {
    for more in [
        r#""channel":"web""#,
        r#""channel":null,"channel":1"#,
        r#""device":{"os":"x","tags":[1,{"amount":2}],"userId":"other"}"#,
        r#""tags":[[],{},"",1e999,-0,true]"#,
        r#""Amount":1,"user_id":"other","":0"#,
        r#""note":"\"}{\u0000\ud83d\ude00""#,
    ] {
        assert_eq!(read(&with(more)), sample(), "{more}");
    }
    for broken in [
        r#""channel":"#,
        r#""channel":[1"#,
        r#""channel":nul"#,
        r#""x":"\q""#,
    ] {
        assert_eq!(code(&with(broken)), "bad_json", "{broken}");
    }
}

#[test]
fn names_and_values_may_be_escaped() {
    let escaped = text()
        .replace("\"userId\"", "\"user\\u0049d\"")
        .replace("\"u-1\"", "\"\\u0075-1\"");
    assert_ne!(escaped, text());
    assert_eq!(read(&escaped), sample());
}

#[test]
fn numbers_may_have_any_form() {
    for amount in ["57.16", "57.1600", "5716e-2", "0.5716E+2", "57.160000000000004"] {
        assert_eq!(read(&text().replace("57.16", amount)), sample(), "{amount}");
    }
    for time in ["1760000000000.0", "1.76e12", "176E10"] {
        assert_eq!(read(&text().replace("1760000000000", time)), sample(), "{time}");
    }
    for time in [
        "1760000000000.5",
        "1e300",
        "\"1760000000000\"",
        "18446744073709551615",
        "true",
    ] {
        assert_eq!(
            code(&text().replace("1760000000000", time)),
            "bad_field",
            "{time}"
        );
    }
    for amount in ["57.16001", "57.160000001"] {
        assert_eq!(
            code(&text().replace("57.16", amount)),
            "amount_too_fine",
            "{amount}"
        );
    }
    assert_eq!(code(&text().replace("57.16", "1e400")), "bad_field");
}

/// As deep and as long as a record can be: on a thread of little stack, as recursion would need
/// more the deeper it is.
#[test]
fn what_is_ignored_may_be_deep_and_long() {
    let deep = format!("\"x\":{}{}", "[".repeat(400_000), "]".repeat(400_000));
    let objects = format!("\"x\":{}1{}", "{\"y\":".repeat(100_000), "}".repeat(100_000));
    let long = format!("\"x\":\"{}\"", "y".repeat(1_000_000));
    let digits = format!("\"x\":{}", "7".repeat(1_000_000));
    let thread = std::thread::Builder::new().stack_size(256 * 1024);
    let run = move || {
        for more in [deep, objects, long, digits] {
            assert_eq!(read(&with(&more)), sample());
        }
        assert_eq!(code(&with(&format!("\"x\":{}", "[".repeat(500_000)))), "bad_json");
        let amount = format!("{}{}", "[".repeat(500_000), "]".repeat(500_000));
        assert_eq!(code(&text().replace("57.16", &amount)), "bad_field");
    };
    thread.spawn(run).unwrap().join().unwrap();
}
