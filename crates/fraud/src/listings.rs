//! Lists and snoozes as a policy has them: who is on which list, and which rules raise no alert
//! about whom.

use std::collections::BTreeMap;
use std::sync::Arc;

use millrace_domain::{ListEntry, ListKey, ListPurpose, ListedKind, ShortId};
use millrace_rules::LiveLists;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The most entries of lists and snoozes together.
pub const MAX_LIST_ENTRIES: usize = 10_000;
/// The most entries of one list, of all kinds together.
pub const MAX_ENTRIES_OF_A_LIST: usize = 5_000;
/// The most snoozes.
pub const MAX_SNOOZES: usize = 2_000;
/// The most bytes of names and entities together. A change of policy is one record of the control
/// topic with the policy before and after it, which has to fit into a megabyte with the rules.
pub const MAX_LISTINGS_LEN: usize = 128 * 1024;

/// Why an entry is not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ListingError {
    /// More than [`MAX_LIST_ENTRIES`].
    #[error(
        "the lists and snoozes have {MAX_LIST_ENTRIES} entries together, and may not have more: {REMEDY}"
    )]
    TooMany,
    /// More than [`MAX_ENTRIES_OF_A_LIST`].
    #[error("the list {0} has {MAX_ENTRIES_OF_A_LIST} entries, and may not have more: {REMEDY}")]
    TooManyOfAList(String),
    /// More than [`MAX_SNOOZES`].
    #[error("there are {MAX_SNOOZES} snoozes, and may not be more: {REMEDY}")]
    TooManySnoozes,
    /// More bytes than [`MAX_LISTINGS_LEN`].
    #[error("the entries have {MAX_LISTINGS_LEN} bytes together, and may not have more: {REMEDY}")]
    TooLong,
    /// A snooze that never ends.
    #[error("the snooze of {0} has no end: say until when")]
    Endless(String),
    /// A snooze of what is no user.
    #[error("{0} cannot be snoozed about a {1}: every alert of the detector is about a user")]
    NoUser(String, ListedKind),
}

const REMEDY: &str = "`millrace lists remove --expired` takes those away whose time is over";

/// All entries that there are, by their keys, within bounds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listings {
    entries: BTreeMap<ListKey, ListEntry>,
    by_name: BTreeMap<(ListPurpose, String), usize>,
    length: usize,
}

/// What an entry takes of [`MAX_LISTINGS_LEN`].
fn length_of(key: &ListKey) -> usize {
    key.name.len() + key.entity.len()
}

impl Listings {
    /// Adds an entry, or replaces the one of its key.
    ///
    /// # Errors
    /// It is none that a detector can go by, or one too many: all stays as it was.
    pub fn put(&mut self, entry: ListEntry) -> Result<(), ListingError> {
        let key = &entry.key;
        if key.purpose == ListPurpose::Snooze {
            if entry.until_ms.is_none() {
                return Err(ListingError::Endless(key.name.clone()));
            }
            if key.kind != ListedKind::User {
                return Err(ListingError::NoUser(key.name.clone(), key.kind));
            }
        }
        if !self.entries.contains_key(key) {
            self.check_room(key)?;
            self.length += length_of(key);
            *self.by_name.entry((key.purpose, key.name.clone())).or_default() += 1;
        }
        self.entries.insert(key.clone(), entry);
        Ok(())
    }

    fn check_room(&self, key: &ListKey) -> Result<(), ListingError> {
        if self.entries.len() >= MAX_LIST_ENTRIES {
            return Err(ListingError::TooMany);
        }
        if self.length + length_of(key) > MAX_LISTINGS_LEN {
            return Err(ListingError::TooLong);
        }
        match key.purpose {
            ListPurpose::Snooze if self.snoozes() >= MAX_SNOOZES => Err(ListingError::TooManySnoozes),
            ListPurpose::List => {
                let of_list = self.by_name.get(&(key.purpose, key.name.clone()));
                match of_list {
                    Some(&count) if count >= MAX_ENTRIES_OF_A_LIST => {
                        Err(ListingError::TooManyOfAList(key.name.clone()))
                    }
                    _ => Ok(()),
                }
            }
            ListPurpose::Snooze => Ok(()),
        }
    }

    /// Takes an entry away; whether it was there.
    pub fn remove(&mut self, key: &ListKey) -> bool {
        if self.entries.remove(key).is_none() {
            return false;
        }
        self.length -= length_of(key);
        let name = (key.purpose, key.name.clone());
        if let Some(count) = self.by_name.get_mut(&name) {
            *count -= 1;
            if *count == 0 {
                self.by_name.remove(&name);
            }
        }
        true
    }

    /// All entries, in the order of their keys: lists before snoozes.
    pub fn entries(&self) -> impl Iterator<Item = &ListEntry> {
        self.entries.values()
    }

    /// The entry of a key.
    #[must_use]
    pub fn get(&self, key: &ListKey) -> Option<&ListEntry> {
        self.entries.get(key)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many of them are snoozes.
    #[must_use]
    pub fn snoozes(&self) -> usize {
        let counts = self.by_name.iter();
        counts
            .filter(|((purpose, _), _)| *purpose == ListPurpose::Snooze)
            .map(|(_, count)| count)
            .sum()
    }

    /// What a policy has of them.
    #[must_use]
    pub fn settings(&self) -> ListSettings {
        let mut settings = ListSettings::default();
        for entry in self.entries.values() {
            let key = &entry.key;
            match (key.purpose, entry.until_ms) {
                (ListPurpose::List, until_ms) => {
                    let list = settings.lists.entry(key.name.clone()).or_default();
                    let of_kind = list.entry(Kind(key.kind)).or_default();
                    of_kind.insert(key.entity.clone(), until_ms);
                }
                (ListPurpose::Snooze, Some(until_ms)) => {
                    let users = settings.snoozes.entry(key.name.clone()).or_default();
                    users.insert(key.entity.clone(), until_ms);
                }
                (ListPurpose::Snooze, None) => {}
            }
        }
        settings
    }
}

/// Lists and snoozes, whole, as a policy carries them: who is meant, and until when. Who wrote an
/// entry and why, the topic alone says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListSettings {
    /// By list, kind and entity: the event time from which on it does not hold any more, in
    /// milliseconds since 1970; `None` of one that holds until it is taken away.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lists: BTreeMap<String, BTreeMap<Kind, BTreeMap<String, Option<i64>>>>,
    /// By rule and user: the event time from which on alerts are raised again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub snoozes: BTreeMap<String, BTreeMap<String, i64>>,
}

/// What is listed, as a policy writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub struct Kind(pub ListedKind);

impl TryFrom<String> for Kind {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let kind = ListedKind::parse(&text);
        kind.map(Self)
            .ok_or_else(|| format!("{text:?} is nothing that is listed"))
    }
}

impl From<Kind> for &'static str {
    fn from(kind: Kind) -> Self {
        kind.0.as_str()
    }
}

impl ListSettings {
    /// Whether there is neither an entry nor a snooze.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty() && self.snoozes.is_empty()
    }

    /// Whether alerts of a rule about a user are not raised at an event time.
    #[must_use]
    pub fn is_snoozed(&self, rule: &str, user: &ShortId, event_time_ms: i64) -> bool {
        let until_ms = self
            .snoozes
            .get(rule)
            .and_then(|users| users.get(user.text().as_str()));
        until_ms.is_some_and(|until_ms| event_time_ms < *until_ms)
    }

    /// The lists as rules look into them. An entity that is no id is no transaction's either.
    #[must_use]
    pub fn live(&self) -> Arc<LiveLists> {
        let mut live = LiveLists::default();
        for (name, kinds) in &self.lists {
            for (Kind(kind), entities) in kinds {
                for (entity, until_ms) in entities {
                    if let Ok(entity) = ShortId::new(entity, kind.as_str()) {
                        live.put(name, *kind, &entity, *until_ms);
                    }
                }
            }
        }
        Arc::new(live)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str, until_ms: Option<i64>) -> ListEntry {
        ListEntry {
            key: ListKey::parse(key).unwrap(),
            until_ms,
            author: "ann".to_owned(),
            reason: "r".to_owned(),
            time_ms: 0,
        }
    }

    #[test]
    fn the_last_word_about_a_key_holds_and_what_is_taken_away_is_forgotten() {
        let mut listings = Listings::default();
        listings.put(entry("list/deny/user/u-1", None)).unwrap();
        listings.put(entry("list/deny/user/u-1", Some(5))).unwrap();
        listings.put(entry("list/deny/merchant/u-1", None)).unwrap();
        listings.put(entry("snooze/velocity/user/u-1", Some(7))).unwrap();
        assert_eq!((listings.len(), listings.snoozes()), (3, 1));
        let text = serde_json::to_string(&listings.settings()).unwrap();
        let expected = r#"{"lists":{"deny":{"user":{"u-1":5},"merchant":{"u-1":null}}},"snoozes":{"velocity":{"u-1":7}}}"#;
        assert_eq!(text, expected);
        assert_eq!(
            serde_json::from_str::<ListSettings>(&text).unwrap(),
            listings.settings()
        );
        for key in [
            "list/deny/user/u-1",
            "list/deny/merchant/u-1",
            "snooze/velocity/user/u-1",
        ] {
            let key = ListKey::parse(key).unwrap();
            assert!(listings.remove(&key) && !listings.remove(&key));
        }
        assert_eq!(listings, Listings::default());
        assert!(listings.settings().is_empty());
    }

    #[test]
    fn what_no_detector_can_go_by_is_refused() {
        let mut listings = Listings::default();
        let endless = listings.put(entry("snooze/velocity/user/u-1", None)).unwrap_err();
        assert!(endless.to_string().contains("say until when"), "{endless}");
        let merchant = listings
            .put(entry("snooze/velocity/merchant/m", Some(1)))
            .unwrap_err();
        assert!(merchant.to_string().contains("about a merchant"), "{merchant}");
        assert!(listings.is_empty());
    }

    #[test]
    fn there_is_a_bound_on_entries_of_a_list_of_snoozes_and_in_all() {
        let mut listings = Listings::default();
        let mut put = |purpose: &str, name: &str, number: usize| {
            let key = format!("{purpose}/{name}/user/{number}");
            listings.put(entry(&key, Some(1)))
        };
        (0..MAX_ENTRIES_OF_A_LIST).for_each(|number| put("list", "deny", number).unwrap());
        let full = put("list", "deny", 999_999).unwrap_err();
        assert_eq!(full, ListingError::TooManyOfAList("deny".to_owned()));
        assert!(full.to_string().contains("has 5000 entries"), "{full}");
        assert_eq!(put("list", "deny", 7), Ok(()), "it is there");
        (0..MAX_SNOOZES).for_each(|number| put("snooze", "velocity", number).unwrap());
        assert_eq!(put("snooze", "replay", 0), Err(ListingError::TooManySnoozes));
        let rest = MAX_LIST_ENTRIES - MAX_ENTRIES_OF_A_LIST - MAX_SNOOZES;
        (0..rest).for_each(|number| put("list", "watch", number).unwrap());
        assert_eq!(put("list", "allow", 0), Err(ListingError::TooMany));
        assert_eq!(listings.len(), MAX_LIST_ENTRIES);
        let text = serde_json::to_string(&listings.settings()).unwrap();
        assert!(text.len() < 200_000, "{} bytes", text.len());

        let mut listings = Listings::default();
        let long = "x".repeat(60);
        let mut number = 0;
        let error = loop {
            let key = format!("list/l{}/user/{long}{number:04}", number / MAX_ENTRIES_OF_A_LIST);
            match listings.put(entry(&key, None)) {
                Ok(()) => number += 1,
                Err(error) => break error,
            }
        };
        assert_eq!((error, number), (ListingError::TooLong, MAX_LISTINGS_LEN / 66));
    }
}
