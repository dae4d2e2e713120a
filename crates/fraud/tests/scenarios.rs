//! Stories of single users, one rule each.

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

mod common;

use common::detector::{Detector, MINUTE};
use common::{amount, currency, id, purchase, short};
use millrace_domain::{Anomaly, PaymentMethod, Severity, TransactionType};
use millrace_engine::{Disposition, Operator, RestoreError};
use millrace_fraud::{DetectPolicy, DetectSettings};

const SECOND: i64 = 1_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

fn figure(anomaly: &Anomaly, name: &str) -> f64 {
    let found = anomaly
        .evidence
        .figures
        .iter()
        .find(|(figure, _)| *figure == name);
    found
        .unwrap_or_else(|| panic!("no figure {name} in {anomaly:?}"))
        .1
}

#[test]
fn a_burst_is_one_anomaly_with_its_transactions() {
    let mut detector = Detector::new();
    for number in 0..50 {
        detector.send(purchase(number, "alice", number as i64 * 500));
    }
    let [anomaly] = &detector.anomalies[..] else {
        panic!("{:?}", detector.anomalies);
    };
    assert_eq!((&*anomaly.rule, anomaly.entity), ("velocity", short("alice")));
    assert_eq!(
        anomaly.evidence.transaction_ids,
        (0..11).map(id).collect::<Vec<_>>()
    );
    assert_eq!(anomaly.id, Anomaly::id_of("velocity", &short("alice"), &id(0)));
    assert_eq!(figure(anomaly, "transactions_count"), 11.0);
    assert_eq!(figure(anomaly, "elapsed_s"), 5.0);
    // Twelve times the pace that the limit allows.
    assert_eq!(anomaly.severity, Severity::Critical);
    assert!(
        anomaly
            .evidence
            .figures
            .is_sorted_by_key(|(name, _)| name.clone())
    );
}

#[test]
fn ten_in_a_minute_are_allowed_and_a_later_burst_fires_again() {
    let mut detector = Detector::new();
    for number in 0..60 {
        detector.send(purchase(number, "alice", number as i64 * 6 * SECOND));
    }
    assert_eq!(detector.anomalies, []);
    for number in 0..11 {
        detector.send(purchase(100 + number, "alice", HOUR + number as i64));
        detector.send(purchase(200 + number, "alice", 2 * HOUR + number as i64));
    }
    assert_eq!(
        detector.rules(),
        ["velocity"],
        "the first hour's are late for the second's"
    );
    for number in 0..11 {
        detector.send(purchase(300 + number, "alice", 3 * HOUR + number as i64));
    }
    assert_eq!(detector.rules(), ["velocity", "velocity"]);
}

#[test]
fn three_large_purchases_are_too_much_in_a_minute() {
    let mut settings = DetectSettings::default();
    settings.rules.amount_outlier = None;
    let mut detector = Detector::with(&settings);
    detector.settle("alice", 0);
    for number in 0..4 {
        let mut large = purchase(number, "alice", HOUR + number as i64 * SECOND);
        large.amount = amount(300.0);
        detector.send(large);
    }
    assert_eq!(detector.rules(), ["velocity"]);
    let anomaly = &detector.anomalies[0];
    assert_eq!(anomaly.evidence.transaction_ids, [id(0), id(1), id(2)]);
    assert!(figure(anomaly, "sum_ratio") > 30.0);
}

#[test]
fn refunds_are_no_spending_and_no_journey() {
    let mut detector = Detector::new();
    for number in 0..50 {
        let mut refund = purchase(number, "alice", number as i64 * 500);
        refund.transaction_type = TransactionType::Refund;
        refund.location = short(if number % 2 == 0 { "Berlin" } else { "Sydney" });
        assert_eq!(detector.send(refund), Disposition::Accepted);
    }
    assert_eq!(detector.anomalies, []);
}

#[test]
fn an_outlier_fires_once_until_a_usual_purchase_comes() {
    let mut detector = Detector::new();
    detector.settle("alice", 0);
    let mut send = |number: u128, whole| {
        let mut transaction = purchase(number, "alice", HOUR + number as i64 * MINUTE);
        transaction.amount = amount(whole);
        detector.send(transaction);
        detector.anomalies.len()
    };
    assert_eq!(send(1, 400.0), 1);
    assert_eq!(send(2, 400.0), 1, "the same incident");
    assert_eq!(send(3, 20.0), 1);
    assert_eq!(send(4, 1_000.0), 2);
    let anomaly = &detector.anomalies[0];
    assert_eq!(anomaly.rule, "amount_outlier");
    assert_eq!(anomaly.evidence.transaction_ids, [id(1)]);
    assert_eq!(figure(anomaly, "amount"), 400.0);
    assert!((figure(anomaly, "usual_amount") - 20.0).abs() < 0.01);
    // ln(20) over the least deviation of 0.3.
    assert!((figure(anomaly, "z_score") - 9.986).abs() < 0.01);
}

#[test]
fn currencies_are_never_compared_with_each_other() {
    let mut detector = Detector::new();
    detector.settle("alice", 0);
    for number in 0..12 {
        let mut yen = purchase(number, "alice", HOUR + number as i64 * MINUTE);
        yen.amount = amount(3_000.0);
        yen.currency = currency("JPY");
        detector.send(yen);
    }
    assert_eq!(detector.anomalies, [], "3,000 yen are 20 euros");
    let mut euros = purchase(50, "alice", 2 * HOUR);
    euros.amount = amount(3_000.0);
    detector.send(euros);
    assert_eq!(detector.rules(), ["amount_outlier"]);
}

#[test]
fn a_card_abroad_minutes_after_it_was_at_home_is_one_anomaly_however_it_alternates() {
    let mut detector = Detector::new();
    for number in 0..10 {
        let mut transaction = purchase(number, "alice", number as i64 * 10 * MINUTE);
        transaction.location = short(if number % 2 == 0 { "London" } else { "New York" });
        detector.send(transaction);
    }
    let [anomaly] = &detector.anomalies[..] else {
        panic!("{:?}", detector.anomalies);
    };
    assert_eq!(anomaly.rule, "impossible_travel");
    assert_eq!(anomaly.evidence.transaction_ids, [id(0), id(1)]);
    assert!((figure(anomaly, "distance_km") - 5_570.0).abs() < 15.0);
    assert_eq!(figure(anomaly, "elapsed_s"), 600.0);
    // London to New York takes 5.6 hours at 1,000 km/h: then the rule is armed again.
    for (number, city, after_ms) in [(20, "New York", 6 * HOUR), (21, "London", 7 * HOUR)] {
        let mut transaction = purchase(number, "alice", after_ms);
        transaction.location = short(city);
        detector.send(transaction);
    }
    assert_eq!(detector.rules(), ["impossible_travel", "impossible_travel"]);
}

#[test]
fn a_flight_a_train_and_a_transfer_are_possible() {
    let mut detector = Detector::new();
    let steps = [
        ("London", 0, PaymentMethod::CreditCard),
        ("New York", 8 * HOUR, PaymentMethod::CreditCard),
        ("Tokyo", 8 * HOUR + MINUTE, PaymentMethod::Paypal),
        ("Boston", 8 * HOUR + 20 * MINUTE, PaymentMethod::CreditCard),
        ("Atlantis", 8 * HOUR + 21 * MINUTE, PaymentMethod::CreditCard),
    ];
    for (number, (city, after_ms, payment_method)) in steps.into_iter().enumerate() {
        let mut transaction = purchase(number as u128, "alice", after_ms);
        transaction.location = short(city);
        transaction.payment_method = payment_method;
        detector.send(transaction);
    }
    // Boston is 306 km from New York: 918 km/h.
    assert_eq!(detector.anomalies, []);
    assert_eq!(detector.operator.unknown_locations(), 1);
}

/// Case C29: places as card networks write them, in either order, with the next payment spelled
/// otherwise.
#[test]
fn a_place_is_known_by_any_spelling_and_in_any_order() {
    let pairs = [
        ("London", "Tokyo"),
        ("LONDON", "TOKYO"),
        ("São Paulo", "Tokyo"),
        ("London ", "Tokyo"),
        (" sao-paulo", "tōkyō"),
        ("Göteborg", "OSAKA"),
        ("Muenchen", "St. Louis"),
    ];
    for (here, there) in pairs {
        for (first, second) in [(here, there), (there, here)] {
            let mut detector = Detector::new();
            for (number, place) in [first, second, second].into_iter().enumerate() {
                let mut transaction = purchase(number as u128, "alice", number as i64 * SECOND);
                transaction.location = short(place);
                detector.send(transaction);
            }
            assert_eq!(detector.rules(), ["impossible_travel"], "{first:?}, {second:?}");
            assert!(figure(&detector.anomalies[0], "distance_km") > 7_000.0);
            assert_eq!(detector.operator.unknown_locations(), 0);
        }
    }
}

#[test]
fn spellings_of_one_place_are_no_journey_and_survive_a_restart() {
    for (here, again, there) in [("London", "LONDON ", "Osaka"), ("Osaka", "ŌSAKA", "Lyon")] {
        let mut detector = Detector::new();
        let send = |detector: &mut Detector, number: i64, place| {
            let mut transaction = purchase(number as u128, "alice", number * SECOND);
            transaction.location = short(place);
            detector.send(transaction);
        };
        send(&mut detector, 0, here);
        send(&mut detector, 1, again);
        let mut state = Vec::new();
        detector.operator.snapshot(&mut state);
        let mut restarted = Detector::new();
        restarted.operator.restore(&state).unwrap();
        send(&mut restarted, 2, here);
        assert_eq!(restarted.anomalies, []);
        send(&mut restarted, 3, there);
        assert_eq!(restarted.rules(), ["impossible_travel"]);
    }
}

#[test]
fn an_id_with_another_payload_is_one_anomaly_and_a_copy_is_none() {
    let mut detector = Detector::new();
    let original = purchase(1, "alice", 0);
    let mut changed = original;
    changed.amount = amount(40.0);
    assert_eq!(detector.send(original), Disposition::Accepted);
    assert_eq!(detector.send(original), Disposition::Duplicate);
    assert_eq!(detector.anomalies, []);
    assert_eq!(detector.send(changed), Disposition::Duplicate);
    changed.merchant_id = short("m-2");
    assert_eq!(detector.send(changed), Disposition::Duplicate);
    assert_eq!(detector.send(original), Disposition::Duplicate);
    assert_eq!(detector.rules(), ["replay"]);
    assert_eq!(detector.anomalies[0].evidence.transaction_ids, [id(1)]);
    assert_eq!(detector.anomalies[0].severity, Severity::High);
}

#[test]
fn what_is_behind_the_horizon_is_late_and_changes_nothing() {
    let mut detector = Detector::new();
    detector.send(purchase(1, "alice", 0));
    detector.send(purchase(2, "bob", HOUR));
    // The watermark is 5 s behind the highest event time, and the horizon 120 s behind that.
    let oldest = HOUR - 125 * SECOND;
    assert_eq!(detector.send(purchase(3, "alice", oldest)), Disposition::Accepted);
    assert_eq!(
        detector.send(purchase(4, "alice", oldest - 1)),
        Disposition::Late { late_by_ms: 1 }
    );
    assert_eq!(detector.operator.profiles(), 2);
}

#[test]
fn a_user_who_stays_away_for_longer_than_the_retention_is_forgotten() {
    let settings = DetectSettings {
        profile_retention_ms: DAY,
        ..DetectSettings::default()
    };
    for days in [0, 1, 2] {
        let mut detector = Detector::with(&settings);
        detector.settle("alice", 0);
        let mut large = purchase(1, "alice", HOUR + days * DAY);
        large.amount = amount(1_000.0);
        detector.send(large);
        assert_eq!(detector.anomalies.len(), usize::from(days == 0), "{days} days");
    }
    let mut detector = Detector::with(&settings);
    for number in 0..100 {
        detector.send(purchase(number, &format!("user-{number}"), number as i64 * HOUR));
    }
    assert!(
        (24..60).contains(&detector.operator.profiles()),
        "{}",
        detector.operator.profiles()
    );
}

#[test]
fn a_rule_that_is_off_is_silent() {
    let mut settings = DetectSettings::default();
    settings.rules.velocity = None;
    settings.rules.amount_outlier = None;
    settings.rules.impossible_travel = None;
    settings.rules.replay = false;
    let mut detector = Detector::with(&settings);
    for number in 0..50 {
        let mut transaction = purchase(number % 40, "alice", number as i64);
        transaction.location = short(if number % 2 == 0 { "Berlin" } else { "Sydney" });
        transaction.amount = amount(if number == 30 { 1e6 } else { 20.0 + number as f64 });
        detector.send(transaction);
    }
    assert_eq!(detector.anomalies, []);
}

#[test]
fn a_foreign_or_cut_state_is_refused_and_changes_nothing() {
    let mut detector = Detector::new();
    detector.settle("alice", 0);
    let mut bytes = Vec::new();
    detector.operator.snapshot(&mut bytes);
    for length in 0..bytes.len() {
        assert!(detector.operator.restore(&bytes[..length]).is_err(), "{length}");
    }
    bytes.push(0);
    assert_eq!(
        detector.operator.restore(&bytes),
        Err(RestoreError::TooLong { extra: 1 })
    );
    assert!(matches!(
        detector.operator.restore(&[0x11]),
        Err(RestoreError::OtherOperator { .. })
    ));
    assert_eq!(detector.operator.profiles(), 1);
    let mut large = purchase(1, "alice", HOUR);
    large.amount = amount(1_000.0);
    detector.send(large);
    assert_eq!(detector.rules(), ["amount_outlier"]);
}

/// What a rule keeps is forgotten as it is switched off, not as it is switched on again.
#[test]
fn a_rule_that_is_switched_off_leaves_nothing_in_the_state() {
    let off = |name: &str| {
        let mut settings = DetectSettings::default();
        match name {
            "velocity" => settings.rules.velocity = None,
            _ => settings.rules.impossible_travel = None,
        }
        settings
    };
    for name in ["velocity", "impossible_travel"] {
        let (mut switched, mut never) = (Detector::new(), Detector::with(&off(name)));
        for detector in [&mut switched, &mut never] {
            detector.settle("u-1", 0);
        }
        let state = |detector: &mut Detector| {
            let mut state = Vec::new();
            detector.operator.snapshot(&mut state);
            state
        };
        assert!(
            state(&mut switched).len() > state(&mut never).len(),
            "{name} keeps something"
        );
        let policy = DetectPolicy::new(off(name)).unwrap();
        switched.operator.configure(&policy, &mut Vec::new());
        assert!(
            state(&mut switched) == state(&mut never),
            "{name} is kept while it is off"
        );
    }
}
