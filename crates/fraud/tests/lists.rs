//! Lists and snoozes in the operator, changed between records, through snapshots and replays: what
//! is raised is what a naive look at the entries says, and a snooze changes nothing but that.

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

mod common;

use std::collections::BTreeMap;

use millrace_domain::{Anomaly, ListEntry, ListKey, Transaction};
use millrace_engine::{Disposition, HashSeed, Operator};
use millrace_fraud::{DetectOperator, DetectPolicy, DetectSettings, ListSettings, Listings, RuleFile};
use proptest::prelude::*;
use proptest::sample::select;

use common::stream::{stream, transactions};
use common::{START_MS, purchase};

const RULES: &str = r#"
rules:
  - name: denied
    when: listed("deny", user)
    severity: critical
    reason: r
    mode: live
  - name: far
    when: listed("watch", location) and count("24h", listed("watch", location)) >= 2
    severity: low
    reason: r
    quiet: 1m
    mode: live
"#;

fn policy() -> DetectPolicy {
    let mut settings = DetectSettings {
        dedup_horizon_ms: 90_000,
        rule_set: vec![RuleFile {
            name: "rules.yml".to_owned(),
            text: RULES.to_owned(),
        }],
        ..DetectSettings::default()
    };
    settings.rules.habit.min_transactions = 2;
    settings.rules.velocity.as_mut().unwrap().max_count = 3;
    DetectPolicy::new(settings).unwrap()
}

fn operator() -> DetectOperator {
    use std::sync::LazyLock;
    // The distances between all cities take long to work out.
    static FRESH: LazyLock<DetectOperator> = LazyLock::new(|| DetectOperator::of(policy(), HashSeed::new(0)));
    FRESH.clone()
}

/// An entry is there from before a record on, or is there no more.
#[derive(Debug, Clone)]
struct Change {
    before: usize,
    key: ListKey,
    until_ms: Option<i64>,
    is_there: bool,
}

fn change() -> impl Strategy<Value = Change> {
    let key = select(vec![
        "list/deny/user/alice",
        "list/deny/user/bob",
        "list/watch/location/Sydney",
        "list/watch/location/Berlin",
        "snooze/velocity/user/alice",
        "snooze/amount_outlier/user/bob",
        "snooze/replay/user/alice",
        "snooze/denied/user/alice",
        "snooze/far/user/carol",
    ]);
    let after_ms = 1_000_000_i64..1_900_000;
    let rest = (prop::option::weighted(0.8, after_ms), prop::bool::weighted(0.7));
    (0_usize..140, key, rest).prop_map(|(before, key, (after_ms, is_there))| {
        let key = ListKey::parse(key).unwrap();
        let is_snooze = key.purpose == millrace_domain::ListPurpose::Snooze;
        let after_ms = if is_snooze {
            after_ms.or(Some(2_000_000))
        } else {
            after_ms
        };
        Change {
            before,
            key,
            until_ms: after_ms.map(|after_ms| START_MS + after_ms),
            is_there,
        }
    })
}

fn entry(key: &ListKey, until_ms: Option<i64>) -> ListEntry {
    ListEntry {
        key: key.clone(),
        until_ms,
        author: "ann".to_owned(),
        reason: "r".to_owned(),
        time_ms: 0,
    }
}

/// The entries that there are, by their keys as text.
type Entries = BTreeMap<String, Option<i64>>;

fn settings(entries: &Entries, with_snoozes: bool) -> ListSettings {
    let mut listings = Listings::default();
    for (key, until_ms) in entries {
        if with_snoozes || key.starts_with("list") {
            listings
                .put(entry(&ListKey::parse(key).unwrap(), *until_ms))
                .unwrap();
        }
    }
    listings.settings()
}

/// Whether an entry holds at an event time.
fn holds(entries: &Entries, key: &str, time_ms: i64) -> bool {
    entries
        .get(key)
        .is_some_and(|until_ms| until_ms.is_none_or(|until_ms| time_ms < until_ms))
}

fn state(operator: &mut DetectOperator) -> Vec<u8> {
    let mut bytes = Vec::new();
    operator.snapshot(&mut bytes);
    bytes
}

fn is_snoozed(entries: &Entries, anomaly: &Anomaly) -> bool {
    let key = format!("snooze/{}/user/{}", anomaly.rule, anomaly.entity);
    holds(entries, &key, anomaly.event_time_ms)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn they_hold_from_the_next_record_to_the_millisecond_of_their_end(
        steps in stream(160),
        mut changes in prop::collection::vec(change(), 0..40),
        kills in prop::collection::vec(0_u8..10, 160),
    ) {
        changes.sort_by_key(|change| change.before);
        let transactions = transactions(&steps);
        let (mut snoozing, mut all) = (operator(), operator());
        let mut entries = Entries::new();
        let mut counted = BTreeMap::<String, u64>::new();
        for (at, transaction) in transactions.iter().enumerate() {
            let now = changes.iter().filter(|change| change.before == at);
            for change in now {
                match change.is_there {
                    true => entries.insert(change.key.to_string(), change.until_ms),
                    false => entries.remove(&change.key.to_string()),
                };
                let lists = |with| policy().with_lists(settings(&entries, with));
                snoozing.configure(&lists(true), &mut Vec::new());
                all.configure(&lists(false), &mut Vec::new());
            }
            let (mut raised, mut expected) = (Vec::new(), Vec::new());
            let disposition = snoozing.process(transaction, &mut raised);
            prop_assert_eq!(all.process(transaction, &mut expected), disposition);
            let denied = format!("list/deny/user/{}", transaction.user_id);
            let is_denied = disposition == Disposition::Accepted
                && holds(&entries, &denied, transaction.transaction_time_ms);
            let alerts = expected.iter().filter(|anomaly| anomaly.rule == "denied");
            prop_assert_eq!(alerts.count(), usize::from(is_denied));
            expected.retain(|anomaly| {
                let is_snoozed = is_snoozed(&entries, anomaly);
                if is_snoozed {
                    *counted.entry(anomaly.rule.to_string()).or_default() += 1;
                }
                !is_snoozed
            });
            prop_assert_eq!(&raised, &expected);
            prop_assert_eq!(snoozing.snoozed(), &counted);
            if kills.get(at) == Some(&0) {
                // Both: the order of profiles depends on when the places of others were given back.
                for one in [&mut snoozing, &mut all] {
                    let bytes = state(one);
                    *one = operator();
                    one.restore(&bytes).unwrap();
                    prop_assert!(state(one) == bytes);
                }
                counted.clear();
            }
        }
        // What is kept is that of an operator that has raised everything.
        for operator in [&mut snoozing, &mut all] {
            operator.configure(&policy(), &mut Vec::new());
        }
        prop_assert!(state(&mut snoozing) == state(&mut all));
    }
}

#[test]
fn a_deny_entry_holds_to_the_millisecond_and_so_does_a_snooze() {
    let until_ms = START_MS + 10_000;
    let key = |text: &str| ListKey::parse(text).unwrap();
    let mut operator = operator();
    let raised = |operator: &mut DetectOperator, number: u128, after_ms: i64| {
        let mut outputs = Vec::new();
        let transaction: Transaction = purchase(number, "alice", after_ms);
        operator.process(&transaction, &mut outputs);
        outputs.iter().any(|anomaly| anomaly.rule == "denied")
    };
    assert!(!raised(&mut operator, 1, 0));
    let mut listings = Listings::default();
    listings
        .put(entry(&key("list/deny/user/alice"), Some(until_ms)))
        .unwrap();
    operator.configure(&policy().with_lists(listings.settings()), &mut Vec::new());
    assert!(raised(&mut operator, 2, 0) && raised(&mut operator, 3, 9_999));
    assert!(!raised(&mut operator, 4, 10_000) && raised(&mut operator, 5, 9_998));
    let snooze = entry(&key("snooze/denied/user/alice"), Some(until_ms - 5_000));
    listings.put(snooze).unwrap();
    operator.configure(&policy().with_lists(listings.settings()), &mut Vec::new());
    assert!(!raised(&mut operator, 6, 4_999) && raised(&mut operator, 7, 5_000));
    assert_eq!(operator.snoozed()["denied"], 1);
}

#[test]
fn a_policy_without_lists_is_written_as_before_there_were_any() {
    let text = serde_json::to_string(&policy()).unwrap();
    assert!(!text.contains("\"lists\""), "{text}");
    let mut listings = Listings::default();
    listings
        .put(entry(&ListKey::parse("list/deny/user/alice").unwrap(), Some(7)))
        .unwrap();
    let with = policy().with_lists(listings.settings());
    let text = serde_json::to_string(&with).unwrap();
    assert_eq!(serde_json::from_str::<DetectPolicy>(&text).unwrap(), with);
    assert_ne!(with, policy());
}
