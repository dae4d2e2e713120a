//! Events of a shop for the tests.
#![allow(dead_code, reason = "each test binary uses a part")]

use millrace_commerce::{EventType, Product, ShopEvent, User};
use millrace_contract::Id;
use millrace_domain::Amount;
use uuid::Uuid;

pub(crate) const TYPES: [EventType; 4] = [
    EventType::Search,
    EventType::View,
    EventType::Click,
    EventType::Purchase,
];
pub(crate) const REGIONS: [&str; 3] = ["EU", "EU/north", "Süd"];
pub(crate) const DEVICES: [&str; 2] = ["mobile", "desktop"];

/// An event: what, who, where, and of a purchase how many pieces at which price in 1/10,000.
pub(crate) fn event(
    number: u64,
    (what, user): (usize, usize),
    place: usize,
    (units, quantity): (i64, i32),
    time_ms: i64,
) -> ShopEvent {
    let event_type = TYPES[what];
    let is_search = event_type == EventType::Search;
    let id = |text: &str| Id::new(text).unwrap();
    ShopEvent {
        event_id: Uuid::from_u128(u128::from(number) + 1),
        event_type,
        user_id: User::new(&format!("u-{user}")).unwrap(),
        product_id: Product::new(&format!("p-{}", quantity % 5)).filter(|_| !is_search),
        price: Amount::from_units(units).filter(|_| !is_search),
        quantity: (event_type == EventType::Purchase).then_some(quantity),
        region: id(REGIONS[place % 3]),
        device: id(DEVICES[place % 2]),
        time_ms,
        query: None,
        product_name: None,
        category: None,
    }
}
