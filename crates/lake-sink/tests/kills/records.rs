//! What is in the topic, and the rows that are to become of it.

use std::collections::BTreeSet;

use millrace_commerce::{EventType, Product, ShopEvent, User};
use millrace_contract::{Encode as _, Id, Text};
use millrace_domain::{
    Amount, Currency, PaymentMethod, ShortId, Transaction, TransactionId, TransactionType,
};
use millrace_lake_sink::name::Day;
use rand::RngExt as _;
use rand_xoshiro::Xoshiro256PlusPlus;
use uuid::Uuid;

pub(crate) const PARTITIONS: usize = 3;
/// Of each partition.
pub(crate) const RECORDS: usize = 120;
const DAY_MS: i64 = 86_400_000;
const START_MS: i64 = 1_767_225_600_000;

/// Partition, offset, day and units of money.
pub(crate) type Expected = (i32, i64, Day, i64);

/// A partition's records: offsets and values.
pub(crate) type Records = Vec<(i64, Vec<u8>)>;

fn transaction(id: u128, time_ms: i64, units: i64) -> Transaction {
    let text = |text| ShortId::new(text, "test").unwrap();
    Transaction {
        transaction_id: TransactionId::from_bytes(id.to_be_bytes()),
        user_id: text("u-1"),
        amount: Amount::from_units(units).unwrap(),
        transaction_time_ms: time_ms,
        merchant_id: text("a-merchant-with-a-long-name"),
        transaction_type: TransactionType::Purchase,
        location: text("Oslo"),
        payment_method: PaymentMethod::Paypal,
        is_international: false,
        currency: Currency::parse(b"NOK").unwrap(),
    }
}

/// What is in the topic.
#[derive(Debug)]
pub(crate) struct Stream {
    /// The table that is made of it.
    pub(crate) table: &'static str,
    pub(crate) topic: &'static str,
    /// The columns of the day, and of money.
    pub(crate) time: &'static str,
    pub(crate) money: &'static str,
    /// A record's value, in JSON.
    value: fn(u128, i64, i64) -> Vec<u8>,
}

pub(crate) const TRANSACTIONS: Stream = Stream {
    table: "transactions",
    topic: "financial_transactions",
    time: "transaction_time",
    money: "amount",
    value: |id, time_ms, units| {
        let mut value = Vec::new();
        millrace_domain::codec::json::encode(&transaction(id, time_ms, units), &mut value);
        value
    },
};

/// Of which the columns come of the schema.
pub(crate) const EVENTS: Stream = Stream {
    table: "commerce_events",
    topic: "data-stream",
    time: "ts",
    money: "price",
    value: |id, time_ms, units| {
        let mut value = Vec::new();
        event(id, time_ms, units).encode_json(&mut value);
        value
    },
};

fn event(id: u128, time_ms: i64, units: i64) -> ShopEvent {
    ShopEvent {
        event_id: Uuid::from_u128(id),
        event_type: EventType::Purchase,
        user_id: User::new("u-1").unwrap(),
        product_id: Product::new("a-product-with-a-long-name"),
        price: Amount::from_units(units),
        quantity: Some(1),
        region: Id::new("EU").unwrap(),
        device: Id::new("mobile").unwrap(),
        time_ms,
        query: None,
        product_name: Text::new("a product"),
        category: None,
    }
}

/// The topic's partitions, and the rows that are to become of them.
pub(crate) fn made(stream: &Stream, random: &mut Xoshiro256PlusPlus) -> (Vec<Records>, BTreeSet<Expected>) {
    let (mut topic, mut expected) = (Vec::new(), BTreeSet::new());
    for partition in 0..PARTITIONS {
        let (mut records, mut offset) = (Vec::new(), 0);
        for at in 0..RECORDS {
            // Markers of transactions, and what was aborted.
            offset += 1 + if random.random_ratio(1, 5) {
                random.random_range(1..4)
            } else {
                0
            };
            if random.random_ratio(1, 20) {
                records.push((offset, b"no record".to_vec()));
                continue;
            }
            // Three days go by, and some records are up to two days late.
            let late = if random.random_ratio(1, 6) {
                random.random_range(0..2 * DAY_MS)
            } else {
                0
            };
            let time_ms = START_MS + 2 * DAY_MS + at as i64 * (3 * DAY_MS / RECORDS as i64) - late;
            let units = random.random_range(1..1_000_000);
            let id = (partition * RECORDS + at) as u128;
            records.push((offset, (stream.value)(id, time_ms, units)));
            expected.insert((partition as i32, offset, Day::of_ms(time_ms).unwrap(), units));
        }
        topic.push(records);
    }
    (topic, expected)
}
