//! Random changes of lists among random streams, against an oracle that keeps every change.

use std::collections::BTreeMap;
use std::sync::Arc;

use millrace_domain::ListedKind;
use proptest::prelude::*;
use proptest::sample::select;

use super::oracle::Oracle;
use super::stream::{START_MS, short};
use super::{Evaluator, rules, stream, version};
use crate::check::text::code_of_id;
use crate::lists::{ListRef, LiveLists};

/// What becomes of an entry before a record: it is there, until a time or for good, or it is not.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) before: usize,
    pub(super) list: ListRef,
    entity: &'static str,
    pub(super) is_there: bool,
    pub(super) until_ms: Option<i64>,
}

impl Change {
    pub(super) fn is_of(&self, list: &ListRef, code: u128) -> bool {
        self.list == *list && code_of_id(&short(self.entity)) == code
    }
}

fn change() -> impl Strategy<Value = Change> {
    let entity = prop_oneof![
        (Just(ListedKind::User), select(vec!["alice", "bob"])),
        (Just(ListedKind::Merchant), select(vec!["m-0", "m-1", "m-2"])),
        (Just(ListedKind::Location), select(vec!["Berlin", "Atlantis"])),
    ];
    let until_ms = prop_oneof![
        1 => Just(None),
        3 => (0_i64..400_000).prop_map(|after_ms| Some(START_MS + after_ms)),
    ];
    let name = select(vec!["deny", "watch"]);
    (0_usize..100, name, entity, prop::bool::weighted(0.7), until_ms).prop_map(
        |(before, name, (kind, entity), is_there, until_ms)| Change {
            before,
            list: ListRef {
                name: name.to_owned(),
                kind,
            },
            entity,
            is_there,
            until_ms,
        },
    )
}

fn lists(entries: &BTreeMap<(ListRef, &'static str), Option<i64>>) -> Arc<LiveLists> {
    let mut lists = LiveLists::default();
    for ((list, entity), until_ms) in entries {
        lists.put(&list.name, list.kind, &short(entity), *until_ms);
    }
    Arc::new(lists)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    /// Also where they are asked for in features, whose records keep the answer that they had, and
    /// where a state is restored in between.
    #[test]
    fn an_entry_holds_from_the_record_after_it_to_the_millisecond_of_its_end(
        text in rules::file_with_lists(),
        steps in stream::stream(100),
        mut changes in prop::collection::vec(change(), 0..30),
        restores in prop::collection::vec(prop::bool::weighted(0.05), 1..40),
    ) {
        changes.sort_by_key(|change| change.before);
        let version = version(&text);
        let mut evaluator = Evaluator::new(Arc::clone(&version), 7);
        let mut oracle = Oracle::new(version.rules()).with_lists(changes.clone());
        let mut entries = BTreeMap::new();
        let transactions = stream::transactions(&steps);
        for (at, (transaction, restore)) in transactions.iter().zip(restores.iter().cycle()).enumerate() {
            for change in changes.iter().filter(|change| change.before == at) {
                let key = (change.list.clone(), change.entity);
                match change.is_there {
                    true => entries.insert(key, change.until_ms),
                    false => entries.remove(&key),
                };
                evaluator.set_lists(&lists(&entries));
            }
            let mut fired = Vec::new();
            evaluator.process(transaction, &mut fired);
            oracle.learn(transaction);
            let found: Vec<_> = fired.iter().map(|fired| fired.rule).collect();
            prop_assert_eq!(found, oracle.judge(), "{}", text);
            if *restore {
                let mut bytes = Vec::new();
                evaluator.encode(&mut bytes);
                evaluator = Evaluator::decode(Arc::clone(&version), 8, &bytes).unwrap().0;
                evaluator.set_lists(&lists(&entries));
            }
        }
    }
}
