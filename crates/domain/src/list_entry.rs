//! Entries of lists that fraud rules ask for, and of snoozed rules.

use std::fmt;

use crate::ShortId;

/// What an entry says of its entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ListPurpose {
    /// It is on a list.
    List,
    /// A rule raises no alert about it.
    Snooze,
}

impl ListPurpose {
    /// All, in the order of the schema.
    pub const ALL: [Self; 2] = [Self::List, Self::Snooze];

    /// As the schema has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Snooze => "snooze",
        }
    }
}

/// What is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ListedKind {
    /// Who pays.
    User,
    /// Who is paid.
    Merchant,
    /// The name of a city.
    Location,
}

impl ListedKind {
    /// All, in the order of the schema.
    pub const ALL: [Self; 3] = [Self::User, Self::Merchant, Self::Location];

    /// As the schema and the language of rules have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Merchant => "merchant",
            Self::Location => "location",
        }
    }

    /// Reads what [`Self::as_str`] gives.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

impl fmt::Display for ListedKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which entry it is: there is one of a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListKey {
    /// What it says of the entity.
    pub purpose: ListPurpose,
    /// The list's name, or the rule's.
    pub name: String,
    /// What the entity is.
    pub kind: ListedKind,
    /// The entity.
    pub entity: String,
}

impl ListKey {
    /// Reads a record's key; `None` of any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(4, '/');
        let purpose = parts.next()?;
        let purpose = ListPurpose::ALL
            .into_iter()
            .find(|known| known.as_str() == purpose)?;
        let name = parts.next().filter(|name| is_list_name(name))?.to_owned();
        let kind = ListedKind::parse(parts.next()?)?;
        let entity = parts.next()?.to_owned();
        ShortId::new(&entity, kind.as_str()).ok()?;
        Some(Self {
            purpose,
            name,
            kind,
            entity,
        })
    }
}

impl fmt::Display for ListKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (purpose, name) = (self.purpose.as_str(), &self.name);
        write!(f, "{purpose}/{name}/{}/{}", self.kind, self.entity)
    }
}

/// An entity on a list, or a rule that is snoozed for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListEntry {
    /// Which it is.
    pub key: ListKey,
    /// It holds for event times before this, in milliseconds since 1970; `None`: until it is taken
    /// away.
    pub until_ms: Option<i64>,
    /// Who made it.
    pub author: String,
    /// Why, in a sentence.
    pub reason: String,
    /// Since when it is there: the clock of whoever wrote it, in milliseconds since 1970.
    pub time_ms: i64,
}

/// The longest name of a list in bytes.
pub const MAX_LIST_NAME_LEN: usize = 64;

/// Whether a text may name a list or a rule: lower-case letters, digits and `_`, a letter first.
#[must_use]
pub fn is_list_name(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    text.len() <= MAX_LIST_NAME_LEN
        && text
            .bytes()
            .next()
            .is_some_and(|first| first.is_ascii_lowercase())
        && text.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_one_text_and_comes_back() {
        for text in [
            "list/deny/user/u-1",
            "snooze/velocity/user/a/b c",
            "list/w_2/location/São Paulo",
        ] {
            assert_eq!(ListKey::parse(text).unwrap().to_string(), text);
        }
        let wrong = [
            "",
            "list",
            "list/deny",
            "list/deny/user",
            "list/deny/user/",
            "list/Deny/user/u",
            "list//user/u",
            "list/9/user/u",
            "allow/deny/user/u",
            "list/deny/card/u",
            "list/deny/user/\0",
        ];
        for text in wrong {
            assert_eq!(ListKey::parse(text), None, "{text:?}");
        }
        assert!(is_list_name("a") && !is_list_name(&"a".repeat(65)));
    }
}
