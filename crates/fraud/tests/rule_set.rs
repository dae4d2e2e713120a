//! A rule set in the operator: what it raises is what the language's evaluator alone says of the
//! same accepted transactions (as `millrace detect` runs it over files), through restores, replays
//! and a change of rules, and the built-in rules do not notice it.

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

mod common;

use std::collections::HashSet;
use std::sync::Arc;

use millrace_domain::{Anomaly, Transaction};
use millrace_engine::{Disposition, HashSeed, Operator};
use millrace_fraud::{DetectOperator, DetectPolicy, DetectSettings, PolicyError, RuleFile, RuleSetError};
use millrace_rules::{Evaluator, Version};
use proptest::prelude::*;
use proptest::sample::Index;

use common::stream::{stream, transactions};
use common::{purchase, short};

const LISTS: &str = "lists:\n  far: [Sydney, Osaka]\nrules:\n";

fn rule(name: &str, when: &str, more: &str) -> String {
    format!(
        "  - name: {name}\n    when: {when}\n    severity: medium\n    reason: about {name}\n    mode: live\n{more}"
    )
}

/// Of every kind of state, some with quiet times and scores, one that alerts nobody and one that
/// alerts about some of the users.
fn one() -> Vec<RuleFile> {
    let rules = [
        rule("hurry", "count(\"10m\") >= 3", "    quiet: 5m\n"),
        rule("spread", "distinct(\"24h\", location) > 2 and amount > usual", ""),
        rule(
            "more",
            "sum(\"1h\", amount) > 3 * avg(\"24h\", amount).excluding_current()",
            "    score: amount / avg(\"24h\", amount)\n",
        ),
        rule("again", "since_last() < 10s and last(amount) != amount", ""),
        rule("row", "streak(amount > 20 EUR) == 2", ""),
        rule("unseen", "count(\"1m\") >= 1", "").replace("mode: live", "mode: shadow"),
        rule("partly", "location in far", "").replace("mode: live", "mode: 50 %"),
    ];
    files(&rules.concat())
}

/// Shares a rule that is as it was, a feature over a shorter window and one over a longer one.
fn other() -> Vec<RuleFile> {
    let rules = [
        rule("hurry", "count(\"10m\") >= 3", "    quiet: 5m\n"),
        rule("longer", "count(\"7d\") >= 5", "    quiet: 1h\n"),
        rule("spread", "distinct(\"1h\", location) > 1", ""),
        rule(
            "new_place",
            "first_seen(\"24h\", location) and zscore(log(amount)) > 1",
            "",
        ),
    ];
    files(&rules.concat())
}

fn files(rules: &str) -> Vec<RuleFile> {
    vec![RuleFile {
        name: "rules.yml".to_owned(),
        text: format!("{LISTS}{rules}"),
    }]
}

fn policy(rule_set: Vec<RuleFile>) -> DetectPolicy {
    DetectPolicy::new(DetectSettings {
        dedup_horizon_ms: 90_000,
        rule_set,
        ..DetectSettings::default()
    })
    .unwrap()
}

fn operator(wanted: &DetectPolicy, seed: u64) -> DetectOperator {
    use std::sync::LazyLock;
    // The distances between all cities take long to work out.
    static FRESH: LazyLock<[DetectOperator; 2]> =
        LazyLock::new(|| [0, 1].map(|seed| DetectOperator::of(policy(Vec::new()), HashSeed::new(seed))));
    let mut operator = FRESH[(seed % 2) as usize].clone();
    operator.configure(wanted, &mut Vec::new());
    operator
}

/// What the language's evaluator alone says: rule, user, severity and score of who is told.
type Told = (String, String, Option<f64>);

struct Offline {
    evaluator: Evaluator,
    newest_ms: i64,
}

impl Offline {
    fn new(version: &Arc<Version>) -> Self {
        Self {
            evaluator: Evaluator::new(Arc::clone(version), 5),
            newest_ms: i64::MIN,
        }
    }

    fn judge(&mut self, transaction: &Transaction) -> Vec<Told> {
        self.newest_ms = self.newest_ms.max(transaction.transaction_time_ms);
        let disorder_ms = DetectSettings::default().max_disorder_ms;
        self.evaluator.advance(self.newest_ms - disorder_ms);
        let mut fired = Vec::new();
        self.evaluator.process(transaction, &mut fired);
        let rules = self.evaluator.version().rules();
        let told = fired.iter().filter(|fired| fired.alerts);
        told.map(|fired| {
            let user = transaction.user_id.to_string();
            (
                rules[fired.rule].name().to_owned(),
                user,
                fired.score.or(Some(1.0)),
            )
        })
        .collect()
    }
}

fn told(anomalies: &[Anomaly]) -> Vec<Told> {
    let of_rule_set = anomalies.iter().filter(|anomaly| anomaly.origin.is_some());
    of_rule_set
        .map(|anomaly| {
            (
                anomaly.rule.to_string(),
                anomaly.entity.to_string(),
                Some(anomaly.score),
            )
        })
        .collect()
}

fn built_in(anomalies: &[Anomaly]) -> Vec<&Anomaly> {
    anomalies
        .iter()
        .filter(|anomaly| anomaly.origin.is_none())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn it_is_what_the_evaluator_says_alone_through_replays_and_a_change(
        steps in stream(160),
        changes_at in any::<Index>(),
        kills in prop::collection::vec(0_u8..8, 160),
    ) {
        let (first, second) = (policy(one()), policy(other()));
        let transactions = transactions(&steps);
        let changes_at = changes_at.index(transactions.len() + 1);
        let mut operator_now = operator(&first, 0);
        let mut without = operator(&policy(Vec::new()), 1);
        let mut offline = Offline::new(first.version().unwrap());
        // A snapshot, and the events since.
        let mut snapshot = (Vec::new(), 0);
        operator_now.snapshot(&mut snapshot.0);
        let mut ids = HashSet::new();
        for (at, transaction) in transactions.iter().enumerate() {
            if at == changes_at {
                operator_now.configure(&second, &mut Vec::new());
                offline.evaluator.change(second.version().unwrap());
            }
            let (mut outputs, mut alone) = (Vec::new(), Vec::new());
            let disposition = operator_now.process(transaction, &mut outputs);
            prop_assert_eq!(without.process(transaction, &mut alone), disposition);
            prop_assert_eq!(built_in(&outputs), alone.iter().collect::<Vec<_>>());
            let expected = match disposition {
                Disposition::Accepted => offline.judge(transaction),
                _ => Vec::new(),
            };
            prop_assert_eq!(told(&outputs), expected);
            for anomaly in outputs {
                prop_assert!(ids.insert(anomaly.id), "{:?}", anomaly);
            }
            match kills.get(at) {
                Some(0) => {
                    snapshot = (Vec::new(), at + 1);
                    operator_now.snapshot(&mut snapshot.0);
                }
                Some(1) => {
                    // Of another policy and seed: the state has its own.
                    let mut restored = operator(&policy(Vec::new()), at as u64);
                    restored.restore(&snapshot.0).unwrap();
                    for (again, transaction) in (0..=at).zip(&transactions).skip(snapshot.1) {
                        if again == changes_at {
                            restored.configure(&second, &mut Vec::new());
                        }
                        restored.process(transaction, &mut Vec::new());
                    }
                    prop_assert_eq!(restored.policy(), operator_now.policy());
                    operator_now = restored;
                }
                _ => {}
            }
        }
    }
}

#[test]
fn an_anomaly_says_which_rule_of_which_version_and_why() {
    let policy = policy(one());
    let mut detector = operator(&policy, 0);
    let mut outputs = Vec::new();
    for number in 0..3 {
        detector.process(&purchase(number, "alice", number as i64 * 1_000), &mut outputs);
    }
    let [anomaly] = &outputs[..] else {
        panic!("{outputs:?}");
    };
    let version = policy.version().unwrap();
    let rule = version
        .rules()
        .iter()
        .find(|rule| rule.name() == "hurry")
        .unwrap();
    let origin = anomaly.origin.as_deref().unwrap();
    assert_eq!((&*anomaly.rule, anomaly.score), ("hurry", 1.0));
    assert_eq!(anomaly.evidence.transaction_ids, [common::id(2)]);
    let figures: Vec<_> = anomaly
        .evidence
        .figures
        .iter()
        .map(|(name, value)| (&**name, *value))
        .collect();
    assert_eq!(figures, [("count(\"10m\").by(user)", 3.0)]);
    assert_eq!(
        anomaly.id,
        Anomaly::id_of("hurry", &short("alice"), &common::id(2))
    );
    assert_eq!(origin.rule_set_version, version.hash().to_string());
    assert_eq!(origin.revision, rule.revision().to_string());
    assert_eq!(
        (&*origin.reason, &origin.reason_codes[..]),
        ("about hurry", &["hurry".to_owned()][..])
    );
}

/// A state of an operator without a rule set is, byte for byte, that of the release before there
/// were any; and nothing is left of one that was taken away.
#[test]
fn without_a_rule_set_nothing_of_it_is_in_a_state() {
    let send = |operator: &mut DetectOperator| {
        for number in 0..40 {
            operator.process(&purchase(number, "alice", number as i64 * 1_000), &mut Vec::new());
        }
    };
    let state = |operator: &mut DetectOperator| {
        let mut bytes = Vec::new();
        operator.snapshot(&mut bytes);
        bytes
    };
    let (with, none) = (policy(one()), policy(Vec::new()));
    let (mut had, mut never) = (operator(&with, 0), operator(&none, 0));
    send(&mut had);
    send(&mut never);
    assert_eq!((state(&mut never)[0], state(&mut had)[0]), (0x24, 0x25));
    had.configure(&none, &mut Vec::new());
    assert!(state(&mut had) == state(&mut never));
    let text = serde_json::to_string(&none).unwrap();
    assert!(!text.contains("rule_set"), "{text}");
}

#[test]
fn a_policy_comes_back_from_its_text_with_its_rules() {
    let policy = policy(one());
    let text = serde_json::to_string(&policy).unwrap();
    let read: DetectPolicy = serde_json::from_str(&text).unwrap();
    assert_eq!(read, policy);
    assert_eq!(read.version().unwrap().hash(), policy.version().unwrap().hash());
    let wrong = text.replace("since_last()", "since_lost()");
    let error = serde_json::from_str::<DetectPolicy>(&wrong)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("rules.yml:") && error.contains("since_lost"),
        "{error}"
    );
}

#[test]
fn a_damaged_state_of_a_rule_set_is_refused() {
    let policy = policy(one());
    let mut whole = operator(&policy, 0);
    for number in 0..5 {
        whole.process(&purchase(number, "alice", number as i64 * 1_000), &mut Vec::new());
    }
    let mut bytes = Vec::new();
    whole.snapshot(&mut bytes);
    let mut other = operator(&policy, 0);
    assert!(other.restore(&bytes[..bytes.len() - 3]).is_err());
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(other.restore(&longer).is_err());
    assert_eq!(other.restore(&bytes), Ok(()));
    // Another name for a state that the rules need: another release's.
    let at = bytes.windows(7).rposition(|word| word == b"Streak(").unwrap();
    bytes[at] = b's';
    assert!(other.restore(&bytes).is_err());
}

#[test]
fn too_long_a_rule_set_is_no_policy() {
    let mut rule_set = one();
    rule_set[0].text += &format!("# {}\n", "x".repeat(millrace_fraud::MAX_RULE_SET_LEN));
    let settings = DetectSettings {
        rule_set,
        ..DetectSettings::default()
    };
    let error = DetectPolicy::new(settings).unwrap_err();
    assert!(
        matches!(error, PolicyError::RuleSet(RuleSetError::TooLong(_))),
        "{error}"
    );
}
