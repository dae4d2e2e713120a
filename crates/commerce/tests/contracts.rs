//! The records and their schemas.

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

mod support;

use millrace_commerce::{EventType, Funnel, MOST_QUANTITY, ProductSales, Revenue, SalesPartial, ShopEvent};
use millrace_contract::source::{Found, WriterSchema};
use millrace_contract::{
    Contract as _, Encode as _, Event as _, Reader, RegistryError, SchemaSource, Text, framing,
};
use millrace_domain::Amount;
use support::event;

#[test]
fn records_and_schemas_say_the_same() {
    for checked in [
        ShopEvent::check_schema(),
        Revenue::check_schema(),
        ProductSales::check_schema(),
        SalesPartial::check_schema(),
        Funnel::check_schema(),
    ] {
        assert_eq!(checked, Ok(()));
    }
    assert!(ShopEvent::SCHEMA.contains(&format!("from 1 to {MOST_QUANTITY}")));
}

#[test]
fn an_event_is_read_from_both_forms_with_its_price_exact() {
    let json =
        br#"{"event_id": "6f1c2b1e-0d5a-4c55-9a52-0c6f6d2f7a11", "event_type": "purchase", "user_id": "u-1",
        "product_id": "p-7", "price": 57.16, "quantity": 3, "region": "EU", "device": "mobile", "ts": 5,
        "product_name": "Kettle"}"#;
    let found = ShopEvent::FROM_JSON.unwrap()(json).unwrap();
    assert_eq!(found.price.map(Amount::units), Some(571_600));
    assert_eq!(found.paid().map(Amount::units), Some(1_714_800));
    assert_eq!((found.query, found.product_name), (None, Text::new("Kettle")));
    let mut body = Vec::new();
    found.encode(&mut body);
    assert_eq!(ShopEvent::decode(&body), Ok(found));
    assert_eq!(found.check(), Ok(()));
}

#[test]
fn an_event_that_is_none_is_refused_by_its_field() {
    let good = r#"{"event_id":"6f1c2b1e-0d5a-4c55-9a52-0c6f6d2f7a11","event_type":"view","user_id":"u","product_id":"p","price":1.5,"region":"EU","device":"tv","ts":5}"#;
    let refused = |from: &str, to: &str| {
        let json = good.replace(from, to);
        assert_ne!(json, good);
        ShopEvent::FROM_JSON.unwrap()(json.as_bytes()).unwrap_err().code()
    };
    assert!(ShopEvent::FROM_JSON.unwrap()(good.as_bytes()).is_ok());
    assert_eq!(refused("6f1c2b1e", "6f1c"), "invalid_uuid");
    assert_eq!(refused(r#""p""#, r#""""#), "invalid_id");
    assert_eq!(refused(r#""EU""#, r#""""#), "invalid_id");
    assert_eq!(refused(":5", ":-5"), "time_out_of_range");
    for (from, to) in [("view", "look"), ("1.5", "-1.5"), ("1.5", "1.00001")] {
        assert!(!refused(from, to).is_empty(), "{to}");
    }
}

#[test]
fn what_cannot_have_been_is_refused_by_what_would_be_right() {
    let purchase = event(1, (3, 0), 0, (571_600, 2), 5);
    assert_eq!(purchase.check(), Ok(()));
    let changed = |change: fn(&mut ShopEvent)| {
        let mut event = purchase;
        change(&mut event);
        (event.check().map_err(|error| error.code()), event.paid_units())
    };
    let incomplete = Err("incomplete_purchase");
    assert_eq!(changed(|it| it.product_id = None).0, incomplete);
    assert_eq!(changed(|it| it.price = None), (incomplete, 0));
    for quantity in [None, Some(0), Some(-1), Some(MOST_QUANTITY + 1)] {
        let event = ShopEvent { quantity, ..purchase };
        assert_eq!(event.check().map_err(|error| error.code()), incomplete);
        assert_eq!((event.paid_units(), event.units()), (0, None));
    }
    let dear = |it: &mut ShopEvent| it.price = Some(Amount::MAX);
    assert_eq!(
        changed(dear),
        (incomplete, 0),
        "two of it are above the largest amount"
    );
    let is_view = |it: &mut ShopEvent| {
        it.event_type = EventType::View;
        it.product_id = None;
    };
    assert_eq!(changed(is_view), (Ok(()), 0));
    let slash = ShopEvent {
        device: millrace_contract::Id::new("a/b").unwrap(),
        ..purchase
    };
    assert_eq!(slash.check().unwrap_err().code(), "invalid_device");
}

/// A registry that is away.
#[derive(Debug)]
struct Away;

impl SchemaSource for Away {
    fn schema(&self, _: u32) -> Result<Found, RegistryError> {
        Err(self.unavailable("answer", "it is away"))
    }

    fn check_that_it_answers(&self) -> Result<(), RegistryError> {
        Err(self.unavailable("answer", "it is away"))
    }

    fn unavailable(&self, action: &str, cause: &str) -> RegistryError {
        RegistryError::Unavailable {
            url: "nowhere".to_owned(),
            action: action.to_owned(),
            attempts: 1,
            status: None,
            cause: cause.to_owned(),
        }
    }
}

/// A price that may be null and is a float of 32 bits to its writer means its shortest decimal.
#[test]
fn a_price_of_a_writer_with_floats_is_the_amount_that_it_means() {
    const THEIRS: u32 = 7;
    let ours = r#"{"name": "price", "type": ["null", "double"]"#;
    let schema = ShopEvent::SCHEMA.replace(ours, &ours.replace("double", "float"));
    assert_ne!(schema, ShopEvent::SCHEMA);
    let reader = Reader::<ShopEvent>::new(Away).with_schema(THEIRS, &WriterSchema::avro(&schema));
    let priced = event(1, (3, 0), 0, (571_600, 2), 5);
    for event in [
        priced,
        ShopEvent {
            price: None,
            ..priced
        },
    ] {
        let mut value = Vec::new();
        framing::write_header(THEIRS, &mut value);
        event.encode(&mut value);
        let double = 57.16_f64.to_le_bytes();
        if let Some(at) = value.windows(8).position(|bytes| bytes == double) {
            value.splice(at..at + 8, 57.16_f32.to_le_bytes());
        }
        assert_eq!(reader.read(&value).unwrap(), event);
    }
}
