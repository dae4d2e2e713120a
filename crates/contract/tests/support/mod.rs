//! Records, and what they are in apache-avro.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test uses a part of it"
)]

pub mod click;
pub mod everything;

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use apache_avro::{Decimal, Schema};
use click::Click;
use everything::{Action, Everything};
use millrace_contract::{Id, Symbols, Text};
use proptest::prelude::*;
use proptest::sample::select;
use uuid::Uuid;

/// What apache-avro writes.
pub fn written(schema: &str, value: &Value) -> Vec<u8> {
    let schema = Schema::parse_str(schema).unwrap();
    GenericDatumWriter::builder(&schema)
        .build()
        .unwrap()
        .write_value_to_vec(value.clone())
        .unwrap()
}

/// What apache-avro reads of the whole of a body.
pub fn read(schema: &str, mut body: &[u8]) -> Value {
    let schema = Schema::parse_str(schema).unwrap();
    let reader = GenericDatumReader::builder(&schema).build().unwrap();
    let value = reader.read_value(&mut body).unwrap();
    assert!(body.is_empty());
    value
}

pub fn record<const N: usize>(fields: [(&str, Value); N]) -> Value {
    Value::Record(fields.map(|(name, value)| (name.to_owned(), value)).to_vec())
}

fn string(text: &(impl ToString + ?Sized)) -> Value {
    Value::String(text.to_string())
}

fn uuid(id: Uuid) -> Value {
    Value::Uuid(apache_avro::Uuid::from_bytes(id.into_bytes()))
}

fn symbol(action: Action) -> Value {
    Value::Enum(action.index() as u32, action.as_str().to_owned())
}

fn optional<T>(value: Option<T>, of: impl FnOnce(T) -> Value) -> Value {
    match value {
        None => Value::Union(0, Box::new(Value::Null)),
        Some(value) => Value::Union(1, Box::new(of(value))),
    }
}

/// The least number of bytes by its definition: the first length whose range holds the value.
fn decimal(units: i128) -> Value {
    let length = (1..16)
        .find(|&bytes: &u32| {
            let half = 1_i128 << (8 * bytes - 1);
            (-half..half).contains(&units)
        })
        .unwrap_or(16);
    Value::Decimal(Decimal::from(&units.to_be_bytes()[16 - length as usize..]))
}

pub fn avro_click(click: &Click) -> Value {
    record([
        ("event_id", uuid(click.event_id)),
        ("user_id", string(&click.user_id)),
        ("url", string(&click.url)),
        ("referrer", optional(click.referrer, |text| string(&text))),
        ("ts", Value::TimestampMillis(click.time_ms)),
    ])
}

pub fn avro_everything(all: &Everything) -> Value {
    record([
        ("id", uuid(all.id)),
        ("key", string(&all.key)),
        ("note", string(&all.note)),
        ("at", Value::TimestampMillis(all.at_ms)),
        ("count", Value::Long(all.count)),
        ("change", Value::Int(all.change)),
        ("ratio", Value::Double(all.ratio)),
        ("isOpen", Value::Boolean(all.is_open)),
        ("kind", symbol(all.action)),
        ("price", decimal(all.price_cents)),
        ("maybeKey", optional(all.maybe_key, |id| string(&id))),
        ("maybeAt", optional(all.maybe_at_ms, Value::TimestampMillis)),
        ("maybeRatio", optional(all.maybe_ratio, Value::Double)),
        ("maybeKind", optional(all.maybe_action, symbol)),
        ("maybePrice", optional(all.maybe_price_cents, decimal)),
    ])
}

fn id() -> impl Strategy<Value = Id> {
    prop_oneof!["[a-z0-9-]{1,64}", "[ -~é\n\"]{1,20}"].prop_map(|text| Id::new(&text).unwrap())
}

fn text<const N: usize>() -> impl Strategy<Value = Text<N>> {
    prop_oneof!["[a-z/0-9?=&]{0,256}", "[ -~é\u{1f600}\n\"\\\\\0]{0,20}"]
        .prop_map(|text| Text::new(&text).unwrap())
}

fn time() -> impl Strategy<Value = i64> {
    prop_oneof![
        0..=millrace_contract::kind::MAX_TIME_MS,
        1_700_000_000_000_i64..1_900_000_000_000
    ]
}

/// Integers of every length.
fn units() -> impl Strategy<Value = i128> {
    (any::<i128>(), 0_u32..128).prop_map(|(value, shift)| value >> shift)
}

pub fn click() -> impl Strategy<Value = Click> {
    let ids = any::<u128>().prop_map(Uuid::from_u128);
    (ids, id(), text(), proptest::option::of(text()), time()).prop_map(
        |(event_id, user_id, url, referrer, time_ms)| Click {
            event_id,
            user_id,
            url,
            referrer,
            time_ms,
        },
    )
}

pub fn everything() -> impl Strategy<Value = Everything> {
    let ratio = || {
        prop_oneof![
            -1e12..1e12_f64,
            proptest::num::f64::NORMAL,
            Just(0.0),
            Just(1e300)
        ]
    };
    let action = || select(Action::ALL);
    let needed = (
        any::<u128>(),
        (id(), text()),
        time(),
        any::<i64>(),
        any::<i32>(),
        ratio(),
        any::<bool>(),
        action(),
        units(),
    );
    let optional = (
        proptest::option::of(id()),
        proptest::option::of(time()),
        proptest::option::of(ratio()),
        proptest::option::of(action()),
        proptest::option::of(units()),
    );
    (needed, optional).prop_map(|(needed, optional)| {
        let (id, (key, note), at_ms, count, change, ratio, is_open, action, price_cents) = needed;
        let (maybe_key, maybe_at_ms, maybe_ratio, maybe_action, maybe_price_cents) = optional;
        Everything {
            id: Uuid::from_u128(id),
            key,
            note,
            at_ms,
            count,
            change,
            ratio,
            is_open,
            action,
            price_cents,
            maybe_key,
            maybe_at_ms,
            maybe_ratio,
            maybe_action,
            maybe_price_cents,
        }
    })
}

/// A page view as the tests write it.
pub fn sample() -> Click {
    Click {
        event_id: Uuid::try_parse("6f1c2b1e-0d5a-4c55-9a52-0c6f6d2f7a11").unwrap(),
        user_id: Id::new("u-1").unwrap(),
        url: Text::new("/products/42?colour=red").unwrap(),
        referrer: Some(Text::new("https://example.org/").unwrap()),
        time_ms: 1_760_000_000_123,
    }
}
