//! Lists that are changed while rules run: what `listed("deny", user)` looks into.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use millrace_domain::{ListedKind, ShortId};
use rustc_hash::FxBuildHasher;

use crate::check::text::code_of_id;
use crate::types::TextField;

/// Who is on which list, and until when in event time. It is no part of an evaluator's state: who
/// changes it says at which record.
#[derive(Debug, Clone, Default)]
pub struct LiveLists(BTreeMap<ListRef, Arc<Members>>);

/// A list as a rule asks for it: its name, and of what.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ListRef {
    pub(crate) name: String,
    pub(crate) kind: ListedKind,
}

/// By id: the event time from which on it is not on the list any more.
#[derive(Debug, Clone, Default)]
pub(crate) struct Members(HashMap<u128, i64, FxBuildHasher>);

/// Until it is taken away: no event time reaches it.
const FOR_EVER_MS: i64 = i64::MAX;

impl LiveLists {
    /// Puts an entity on a list, for event times before `until_ms` (milliseconds since 1970), or
    /// for good. The last word about an entity holds.
    pub fn put(&mut self, list: &str, kind: ListedKind, entity: &ShortId, until_ms: Option<i64>) {
        let list = ListRef {
            name: list.to_owned(),
            kind,
        };
        let members = Arc::make_mut(self.0.entry(list).or_default());
        members
            .0
            .insert(code_of_id(entity), until_ms.unwrap_or(FOR_EVER_MS));
    }

    /// Whether there is nobody on any list.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn members(&self, list: &ListRef) -> Option<&Arc<Members>> {
        self.0.get(list)
    }
}

impl Members {
    #[inline]
    pub(crate) fn has(&self, code: u128, time_ms: i64) -> bool {
        self.0.get(&code).is_some_and(|until_ms| time_ms < *until_ms)
    }
}

/// What of may be listed that a field is.
pub(crate) fn kind_of(field: TextField) -> Option<ListedKind> {
    match field {
        TextField::User => Some(ListedKind::User),
        TextField::Merchant => Some(ListedKind::Merchant),
        TextField::Location => Some(ListedKind::Location),
        TextField::Currency | TextField::Type | TextField::Method => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_holds_to_the_millisecond_of_its_end() {
        let id = |text: &str| ShortId::new(text, "test").unwrap();
        let mut lists = LiveLists::default();
        lists.put("deny", ListedKind::User, &id("u-1"), Some(1_000));
        lists.put("deny", ListedKind::User, &id("u-2"), None);
        let list = |name: &str, kind| ListRef {
            name: name.to_owned(),
            kind,
        };
        let members = lists.members(&list("deny", ListedKind::User)).unwrap();
        let has = |members: &Members, text, time_ms| members.has(code_of_id(&id(text)), time_ms);
        assert!(has(members, "u-1", 999) && has(members, "u-1", i64::MIN));
        assert!(!has(members, "u-1", 1_000) && !has(members, "u-1", i64::MAX));
        assert!(has(members, "u-2", 253_402_300_799_999));
        assert!(!has(members, "u-3", 0));
        assert!(lists.members(&list("deny", ListedKind::Merchant)).is_none());
        let before = Arc::clone(members);
        lists.put("deny", ListedKind::User, &id("u-1"), Some(2_000));
        let members = lists.members(&list("deny", ListedKind::User)).unwrap();
        assert!(has(members, "u-1", 1_999) && !has(&before, "u-1", 1_999));
    }
}
