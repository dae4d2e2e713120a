//! The stream as a whole: repeatable, believable, and wrong in the ways it is told to be.

use std::collections::{HashMap, HashSet};

use millrace_domain::{ShortId, city};
use millrace_settings::Format;

use super::*;
use crate::encode::Encoder;
use crate::world::WorldConfig;

const START_MS: i64 = 1_760_000_000_000;

fn config() -> StreamConfig {
    StreamConfig {
        seed: 42,
        run: None,
        thread: 0,
        threads: 1,
        refund_share: 0.03,
        disorder_share: 0.02,
        max_disorder_ms: 3_000,
        duplicate_share: 0.01,
        malformed_share: 0.01,
        fraud_share: 0.01,
    }
}

fn world(users: u32) -> Arc<World> {
    let config = WorldConfig {
        seed: 42,
        users,
        merchants: 5_000,
        zipf_exponent: 1.0,
    };
    Arc::new(World::new(&config).unwrap())
}

const AVRO: Encoder = Encoder {
    format: Format::Avro,
    transaction_schema_id: 1,
    label_schema_id: 2,
};

fn run(world: &Arc<World>, config: StreamConfig, records: usize) -> (Vec<Item>, Vec<FraudLabel>) {
    let mut stream = Stream::new(Arc::clone(world), &config);
    let mut clock = EventClock::simulated(START_MS, 1_000, config.thread, config.threads);
    let items = (0..records).map(|_| stream.next(clock.tick())).collect();
    (items, stream.labels().clone())
}

#[test]
fn the_first_records_stay_as_they_are() {
    let (items, _) = run(&world(100_000), config(), 12);
    let mut value = Vec::new();
    let lines: Vec<String> = items
        .iter()
        .map(|item| {
            millrace_domain::codec::json::encode(&item.transaction, &mut value);
            String::from_utf8(std::mem::take(&mut value)).unwrap()
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let bytes = |seed, thread, threads| {
        let config = StreamConfig {
            seed,
            thread,
            threads,
            ..config()
        };
        let (items, labels) = run(&world(10_000), config, 20_000);
        let (mut all, mut value) = (Vec::new(), Vec::new());
        for item in &items {
            AVRO.item(item, &mut value);
            all.extend_from_slice(&value);
        }
        for label in &labels {
            AVRO.label(label, &mut value);
            all.extend_from_slice(&value);
        }
        all
    };
    let one = bytes(42, 0, 2);
    assert!(one == bytes(42, 0, 2));
    assert!(one != bytes(43, 0, 2));
    assert!(one != bytes(42, 1, 2));
    assert!(one != bytes(42, 0, 3));
}

#[test]
fn a_run_has_ids_of_its_own_in_the_same_stream() {
    let of = |run: Option<&str>| {
        let run = run.map(|text| RunTag::parse(text).unwrap());
        let (items, labels) = run_stream(run);
        let ids: HashSet<TransactionId> = items.iter().map(|item| item.transaction.transaction_id).collect();
        let anonymous = items.into_iter().map(|mut item| {
            item.transaction.transaction_id = TransactionId::from_bytes([0; 16]);
            item
        });
        (anonymous.collect::<Vec<_>>(), labels.len(), ids)
    };
    let (repeatable, first, second) = (of(None), of(Some("01020304")), of(Some("01020305")));
    assert_eq!(repeatable.0, first.0);
    assert_eq!(first.0, second.0);
    assert_eq!((repeatable.1, first.1), (first.1, second.1));
    assert_eq!(
        repeatable.2.len(),
        first.2.len(),
        "no id is lost to the run's four bytes"
    );
    assert!(first.2.is_disjoint(&second.2) && first.2.is_disjoint(&repeatable.2));
    assert!(first.2.iter().all(|id| id.as_bytes()[..4] == [1, 2, 3, 4]));
    assert!(first.2.iter().all(|id| &id.to_string()[14..15] == "8"));
}

fn run_stream(run_tag: Option<RunTag>) -> (Vec<Item>, Vec<FraudLabel>) {
    let config = StreamConfig {
        run: run_tag,
        ..config()
    };
    run(&world(10_000), config, 20_000)
}

#[test]
fn shares_are_as_configured() {
    let records = 200_000;
    let (items, labels) = run(&world(100_000), config(), records);
    let share = |count: usize| count as f64 / records as f64;
    let count = |is: &dyn Fn(&Item) -> bool| share(items.iter().filter(|item| is(item)).count());
    let near = |found: f64, wanted: f64, what: &str| {
        assert!(
            (found / wanted - 1.0).abs() < 0.15,
            "{what}: {found} in place of {wanted}"
        );
    };
    near(count(&|item| item.kind == Kind::Duplicate), 0.01, "duplicates");
    near(
        count(&|item| matches!(item.kind, Kind::Malformed(_))),
        0.01,
        "malformed",
    );
    near(
        count(&|item| item.transaction.transaction_type == TransactionType::Refund),
        0.03,
        "refunds",
    );
    let mut latest = 0;
    let behind = items.iter().filter(|item| {
        let time_ms = item.transaction.transaction_time_ms;
        let behind = item.kind == Kind::First && time_ms < latest;
        if !matches!(item.kind, Kind::Malformed(_)) {
            assert!(time_ms > latest - 3_100, "{} ms back", latest - time_ms);
            latest = latest.max(time_ms);
        }
        behind
    });
    near(share(behind.count()), 0.02, "disorder");
    // Outliers need two minutes of habit before they are labelled; the rest is there.
    assert!(share(labels.len()) > 0.008, "{}", share(labels.len()));
    let rules: HashSet<&str> = labels.iter().map(|label| label.rule).collect();
    assert_eq!(
        rules,
        HashSet::from(["velocity", "amount_outlier", "impossible_travel", "replay"])
    );
}

#[test]
fn refunds_refer_to_purchases() {
    let (items, _) = run(&world(10_000), config(), 100_000);
    let mut open: HashMap<(ShortId, ShortId), Vec<Transaction>> = HashMap::new();
    let mut refunds = 0;
    for item in items.iter().filter(|item| item.kind == Kind::First) {
        let transaction = item.transaction;
        let purchases = open
            .entry((transaction.user_id, transaction.merchant_id))
            .or_default();
        if transaction.transaction_type == TransactionType::Purchase {
            purchases.push(transaction);
            continue;
        }
        let referred = purchases.iter().position(|purchase| {
            purchase.currency == transaction.currency
                && purchase.amount >= transaction.amount
                && purchase.transaction_time_ms <= transaction.transaction_time_ms
        });
        purchases.remove(referred.expect("a purchase to refund"));
        refunds += 1;
    }
    assert!(refunds > 2_000, "{refunds}");
}

#[test]
fn a_transaction_id_comes_once_but_for_repeats() {
    let (items, _) = run(&world(10_000), config(), 100_000);
    let mut seen: HashMap<TransactionId, Transaction> = HashMap::new();
    for item in &items {
        let transaction = item.transaction;
        match item.kind {
            Kind::First => assert!(seen.insert(transaction.transaction_id, transaction).is_none()),
            Kind::Duplicate => assert_eq!(seen[&transaction.transaction_id], transaction),
            Kind::Changed => {
                let original = seen[&transaction.transaction_id];
                assert_ne!(original, transaction);
                assert_eq!(original.transaction_time_ms, transaction.transaction_time_ms);
                assert_eq!(original.user_id, transaction.user_id);
            }
            Kind::Malformed(_) => assert!(!seen.contains_key(&transaction.transaction_id)),
        }
        let text = transaction.transaction_id.to_string();
        assert_eq!(&text[14..15], "4", "{text}");
    }
}

#[test]
fn threads_have_users_of_their_own() {
    let world = world(1_000);
    let users = |thread| -> HashSet<ShortId> {
        let config = StreamConfig {
            thread,
            threads: 3,
            ..config()
        };
        let (items, _) = run(&world, config, 20_000);
        items.iter().map(|item| item.transaction.user_id).collect()
    };
    let all: Vec<HashSet<ShortId>> = (0..3).map(users).collect();
    assert!(all[0].is_disjoint(&all[1]) && all[1].is_disjoint(&all[2]) && all[0].is_disjoint(&all[2]));
    // But for those on their way somewhere, everybody buys.
    let buying: usize = all.iter().map(HashSet::len).sum();
    assert!((960..=1_000).contains(&buying), "{buying}");
}

#[test]
fn honest_users_never_outrun_an_airliner() {
    let honest = StreamConfig {
        fraud_share: 0.0,
        malformed_share: 0.0,
        ..config()
    };
    let world = world(500);
    let mut stream = Stream::new(world, &honest);
    let mut clock = EventClock::simulated(START_MS, 1, 0, 1);
    let mut places: HashMap<ShortId, (i64, ShortId)> = HashMap::new();
    let mut moves = 0;
    // Twelve days at one a second: enough for journeys.
    for _ in 0..1_000_000 {
        let transaction = stream.next(clock.tick()).transaction;
        let time_ms = transaction.transaction_time_ms;
        let last = places.insert(transaction.user_id, (time_ms, transaction.location));
        let Some((since_ms, from)) = last.filter(|(_, from)| *from != transaction.location) else {
            continue;
        };
        let (from, to) = (
            city::find(&from).unwrap(),
            city::find(&transaction.location).unwrap(),
        );
        let speed = city::distance_km(from, to) / ((time_ms - since_ms).abs() as f64 / 3_600_000.0);
        assert!(speed < 900.0, "{speed} km/h from {from:?} to {to:?}");
        moves += 1;
    }
    assert!(moves > 100, "{moves}");
}

#[test]
fn patterns_are_what_their_rules_look_for() {
    let (items, labels) = run(&world(100_000), config(), 300_000);
    let by_id: HashMap<TransactionId, Transaction> = items
        .iter()
        .filter(|item| item.kind == Kind::First)
        .map(|item| (item.transaction.transaction_id, item.transaction))
        .collect();
    let mut by_user: HashMap<ShortId, Vec<Transaction>> = HashMap::new();
    for transaction in by_id.values() {
        by_user.entry(transaction.user_id).or_default().push(*transaction);
    }
    let mut bursts: HashMap<ShortId, Vec<i64>> = HashMap::new();
    for label in &labels {
        let transaction = by_id[&label.transaction_id];
        assert_eq!(transaction.user_id, label.entity);
        assert_eq!(transaction.transaction_time_ms, label.event_time_ms);
        let before = |span_ms: i64| {
            let earlier = label.event_time_ms - span_ms..label.event_time_ms;
            let of_user = by_user[&label.entity].iter();
            of_user.filter(move |other| earlier.contains(&other.transaction_time_ms))
        };
        match label.rule {
            "velocity" => bursts.entry(label.entity).or_default().push(label.event_time_ms),
            "amount_outlier" => {
                let usual: Vec<f64> = before(130_000).map(|other| other.amount.to_f64()).collect();
                assert!(usual.len() >= 10, "{} transactions of habit", usual.len());
                assert!(
                    usual
                        .iter()
                        .all(|&amount| amount * 3.0 < transaction.amount.to_f64())
                );
            }
            "impossible_travel" => {
                let there = city::find(&transaction.location).unwrap();
                let fast = before(60_000)
                    .any(|other| city::distance_km(city::find(&other.location).unwrap(), there) > 2_000.0);
                assert!(fast);
            }
            _ => assert_eq!(label.rule, "replay"),
        }
    }
    assert!(bursts.len() > 20);
    for times in bursts.values() {
        assert!(times.len() >= 12 && times.windows(12).any(|burst| burst[11] - burst[0] < 30_000));
    }
}

#[test]
fn every_malformation_is_refused_by_its_name() {
    let (items, _) = run(&world(100), config(), 20_000);
    let wanted = |malformation| match malformation {
        Malformation::Truncated => Some("truncated"),
        Malformation::WrongMagic => Some("wrong_magic"),
        Malformation::BadUtf8 => Some("not_utf8"),
        Malformation::NotANumber => Some("amount_not_finite"),
        Malformation::NegativeAmount => Some("amount_not_positive"),
        _ => None,
    };
    let mut seen = HashSet::new();
    let mut value = Vec::new();
    for item in &items {
        let Kind::Malformed(malformation) = item.kind else {
            continue;
        };
        seen.insert(malformation);
        AVRO.item(item, &mut value);
        match malformation {
            Malformation::UnknownSchema => assert_eq!(value[..5], [0, 0x7f, 0xff, 0xff, 0xff]),
            Malformation::NotJson => assert!(millrace_domain::codec::json::decode(&value).is_err()),
            Malformation::FarFuture => {
                let decoded = millrace_domain::codec::transaction::decode(&value[5..]).unwrap();
                assert!(decoded.check_not_far_future(START_MS, 60_000).is_err());
            }
            _ => {
                let decoded = millrace_contract::framing::split(&value)
                    .and_then(|(_, body)| millrace_domain::codec::transaction::decode(body));
                let code = decoded.unwrap_err().code();
                if let Some(wanted) = wanted(malformation) {
                    assert_eq!(code, wanted, "{malformation:?}");
                }
            }
        }
        if !matches!(
            malformation,
            Malformation::FarFuture | Malformation::UnknownSchema
        ) {
            let json = Encoder {
                format: Format::Json,
                ..AVRO
            };
            json.item(item, &mut value);
            assert!(
                millrace_domain::codec::json::decode(&value).is_err(),
                "{malformation:?}"
            );
        }
    }
    assert_eq!(seen.len(), Malformation::ALL.len());
}
