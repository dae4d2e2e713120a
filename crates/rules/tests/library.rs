//! Each rule of the library fires on a stream made for it, and not on its innocent sibling.

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

#[path = "library/pairs.rs"]
mod pairs;
#[path = "library/stream.rs"]
mod stream;

use std::collections::BTreeSet;
use std::sync::Arc;

use millrace_domain::{ListedKind, Transaction};
use millrace_rules::{Budget, Evaluator, LIBRARY, LiveLists, Mode, Version, parse_rules};

use self::pairs::pairs;
use self::stream::short;

/// The rules that fire for any transaction of a stream.
fn fired(version: &Arc<Version>, transactions: &[Transaction]) -> BTreeSet<String> {
    let mut evaluator = Evaluator::new(Arc::clone(version), 7);
    evaluator.set_lists(&lists());
    let mut fired = Vec::new();
    for transaction in transactions {
        evaluator.process(transaction, &mut fired);
    }
    let name = |rule: usize| version.rules()[rule].name().to_owned();
    fired.iter().map(|fired| name(fired.rule)).collect()
}

fn lists() -> Arc<LiveLists> {
    let mut lists = LiveLists::default();
    let mut put = |list, kind, entity: &str| lists.put(list, kind, &short(entity), None);
    put("deny", ListedKind::User, "u-denied");
    put("deny", ListedKind::Merchant, "m-denied");
    put("watch", ListedKind::User, "u-watched");
    put("watch", ListedKind::Merchant, "m-watched");
    put("allow", ListedKind::User, "u-allowed");
    Arc::new(lists)
}

/// All of the library together: far more than anybody runs in one stream.
fn version() -> Arc<Version> {
    let rules = LIBRARY.iter().flat_map(|(_, text)| parse_rules(text).unwrap());
    Arc::new(Version::new(rules.collect(), &Budget::UNLIMITED).unwrap())
}

#[test]
fn every_file_is_free_of_problems() {
    for (name, text) in LIBRARY {
        let problems = parse_rules(text).err().unwrap_or_default();
        let shown: Vec<_> = problems.iter().map(|problem| problem.line(name, text)).collect();
        assert!(shown.is_empty(), "{shown:#?}");
    }
}

#[test]
fn each_file_is_within_the_budget() {
    for (name, text) in LIBRARY {
        let planned = Version::new(parse_rules(text).unwrap(), &Budget::default());
        assert!(planned.is_ok(), "{name}: {}", planned.unwrap_err());
    }
}

#[test]
fn every_rule_alerts_and_says_where_it_comes_from() {
    for rule in version().rules() {
        assert!(
            rule.source().is_some_and(|source| !source.is_empty()),
            "{}",
            rule.name()
        );
        assert_eq!(rule.mode(), Mode::Live, "{}", rule.name());
    }
}

#[test]
fn every_rule_fires_on_its_stream_and_not_on_the_innocent_one() {
    let version = version();
    let mut missed = Vec::new();
    for pair in pairs() {
        let guilty = fired(&version, &pair.guilty.0);
        let innocent = fired(&version, &pair.innocent.0);
        if !guilty.contains(pair.rule) {
            missed.push(format!("{}: only {guilty:?}", pair.rule));
        }
        if innocent.contains(pair.rule) {
            missed.push(format!("{}: fires on the innocent stream", pair.rule));
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
    let tried: BTreeSet<_> = pairs().iter().map(|pair| pair.rule.to_owned()).collect();
    let all: BTreeSet<_> = version
        .rules()
        .iter()
        .map(|rule| rule.name().to_owned())
        .collect();
    assert_eq!(tried, all, "each rule has a pair of streams");
}
