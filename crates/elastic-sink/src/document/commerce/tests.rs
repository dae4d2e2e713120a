use millrace_commerce::{EventType, Product, Reached, User};
use millrace_contract::{Id, Text};
use millrace_domain::Amount;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;

const TIME_MS: i64 = 1_767_225_540_000;

fn an_event() -> ShopEvent {
    ShopEvent {
        event_id: Uuid::from_u128(7),
        event_type: EventType::Purchase,
        user_id: User::new("u-\"1\"").unwrap(),
        product_id: Product::new("p-7"),
        price: Amount::from_units(571_600),
        quantity: Some(3),
        region: Id::new("EU").unwrap(),
        device: Id::new("mobile").unwrap(),
        time_ms: TIME_MS,
        query: None,
        product_name: Text::new("blue kettle"),
        category: Text::new("kitchen"),
    }
}

fn source(document: &Document) -> Value {
    assert!(!document.source.contains('\n'), "one line");
    serde_json::from_str(&document.source).unwrap()
}

#[test]
fn an_event_has_what_it_came_to_in_both_forms_and_the_first_stays() {
    let document = shop_event(&an_event(), 41).unwrap();
    assert_eq!(document.id, Uuid::from_u128(7).to_string());
    assert_eq!(document.offset(), Some(41));
    assert!(document.version > shop_event(&an_event(), 42).unwrap().version);
    assert_eq!(
        source(&document),
        json!({
            "@timestamp": TIME_MS, "eventId": document.id, "eventType": "purchase", "userId": "u-\"1\"",
            "region": "EU", "device": "mobile", "productId": "p-7", "productName": "blue kettle",
            "category": "kitchen", "price": 57.16, "priceUnits": 571_600, "quantity": 3,
            "paid": 171.48, "paidUnits": 1_714_800,
        })
    );
    let search = ShopEvent {
        event_type: EventType::Search,
        product_id: None,
        price: None,
        quantity: None,
        query: Text::new("kettle"),
        product_name: None,
        category: None,
        ..an_event()
    };
    let search = source(&shop_event(&search, 1).unwrap());
    assert_eq!(search["query"], "kettle");
    assert_eq!((search.get("paid"), search.get("productId")), (None, None));
}

#[test]
fn results_have_their_money_exactly_and_are_told_apart_by_what_they_are_of() {
    let result = Revenue {
        region: Id::new("EU").unwrap(),
        device: Id::new("mobile").unwrap(),
        window_start_ms: TIME_MS,
        window_end_ms: TIME_MS + 60_000,
        searches: 5,
        views: 8,
        clicks: 3,
        purchases: 2,
        units: 6,
        revenue_units: 3_429_601,
    };
    let document = revenue(&result).unwrap();
    assert_eq!(document.id, format!("{}_{TIME_MS}", result.segment().hash()));
    assert_eq!((document.version, document.offset()), (VERSION, None));
    assert_eq!(
        source(&document),
        json!({
            "@timestamp": TIME_MS, "windowEnd": TIME_MS + 60_000, "region": "EU", "device": "mobile",
            "events": 18, "searches": 5, "views": 8, "clicks": 3, "purchases": 2, "units": 6,
            "revenue": 342.9601, "revenueUnits": 3_429_601, "conversion": 0.25,
        })
    );
    let unseen = Revenue { views: 0, ..result };
    assert_eq!(source(&revenue(&unseen).unwrap()).get("conversion"), None);
    let far = Revenue {
        window_start_ms: -1,
        ..result
    };
    assert_eq!(revenue(&far).unwrap_err().code(), "time_out_of_range");
    let vast = Revenue {
        revenue_units: i128::from(i64::MAX) + 1,
        ..result
    };
    assert_eq!(revenue(&vast).unwrap_err().code(), "sum_out_of_range");
}

#[test]
fn sales_without_a_product_have_a_document_of_their_own() {
    let of = |product_id| ProductSales {
        product_id,
        window_start_ms: TIME_MS,
        window_end_ms: TIME_MS + 60_000,
        searches: 1,
        views: 0,
        clicks: 0,
        purchases: 0,
        units: 0,
        revenue_units: 0,
    };
    let (one, none) = (of(Product::new("p-7")), of(None));
    let [one, none] = [one, none].map(|sales| product_sales(&sales).unwrap());
    assert_ne!(one.id, none.id);
    assert_eq!(source(&one)["productId"], "p-7");
    assert_eq!(source(&none).get("productId"), None);
}

#[test]
fn a_session_says_how_far_it_came() {
    let session = Funnel {
        user_id: User::new("u-1").unwrap(),
        start_ms: TIME_MS,
        end_ms: TIME_MS + 1_500,
        reached: Reached::Click,
        searches: 1,
        views: 2,
        clicks: 1,
        purchases: 0,
        revenue_units: 0,
    };
    let document = funnel(&session).unwrap();
    assert_eq!(document.id, format!("{}_{TIME_MS}", session.user_id.hash()));
    assert_eq!(
        source(&document),
        json!({
            "@timestamp": TIME_MS, "end": TIME_MS + 1_500, "durationMs": 1_500, "userId": "u-1", "reached": "click",
            "events": 4, "searches": 1, "views": 2, "clicks": 1, "purchases": 0, "revenue": 0.0, "revenueUnits": 0,
        })
    );
}
