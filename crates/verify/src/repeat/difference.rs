//! Records that must be there against those that are.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::Serialize;

/// How a topic differs from what an undisturbed run writes to it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Difference {
    /// Which records.
    pub what: String,
    /// Records of an undisturbed run.
    pub undisturbed: u64,
    /// Those that are not on the topic.
    pub missing: u64,
    /// Those on the topic that an undisturbed run does not have.
    pub unexpected: u64,
    /// Those that are there with another content, or out of their order.
    pub different: u64,
    /// Those that are there more than once.
    pub doubled: u64,
}

impl Difference {
    /// Whether there is none.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.missing + self.unexpected + self.different + self.doubled == 0
    }

    /// What is wrong, in words.
    #[must_use]
    pub fn told(&self) -> String {
        format!(
            "{} missing, {} unexpected, {} different, {} doubled",
            self.missing, self.unexpected, self.different, self.doubled
        )
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: of {}, {}", self.what, self.undisturbed, self.told())
    }
}

/// Expected records by what identifies them; those of one identity in their order.
pub(super) struct Comparison {
    /// Digests of contents: 64 bits tell apart what a fault has made different.
    expected: HashMap<Vec<u8>, VecDeque<u64>>,
    difference: Difference,
}

/// A digest of a record's content.
pub(super) fn digest(content: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    hasher.finish()
}

impl Comparison {
    pub(super) fn of(what: impl Into<String>) -> Self {
        Self {
            expected: HashMap::new(),
            difference: Difference {
                what: what.into(),
                ..Difference::default()
            },
        }
    }

    /// A record of the undisturbed run.
    pub(super) fn expect(&mut self, identity: Vec<u8>, content: u64) {
        self.difference.undisturbed += 1;
        self.expected.entry(identity).or_default().push_back(content);
    }

    /// A record on the topic.
    pub(super) fn found(&mut self, identity: &[u8], content: u64) {
        match self.expected.get_mut(identity) {
            None => self.difference.unexpected += 1,
            Some(left) => match left.pop_front() {
                None => self.difference.doubled += 1,
                Some(wanted) if wanted != content => self.difference.different += 1,
                Some(_) => {}
            },
        }
    }

    pub(super) fn end(mut self) -> Difference {
        self.difference.missing = self.expected.values().map(|left| left.len() as u64).sum();
        self.difference
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(found: &[(u8, &str)]) -> Difference {
        let mut comparison = Comparison::of("records");
        for (identity, content) in [(1, "a"), (1, "b"), (2, "c"), (3, "d")] {
            comparison.expect(vec![identity], digest(content));
        }
        for (identity, content) in found {
            comparison.found(&[*identity], digest(content));
        }
        comparison.end()
    }

    #[test]
    fn every_kind_of_difference_is_told() {
        let same = compare(&[(3, "d"), (1, "a"), (2, "c"), (1, "b")]);
        assert!(same.is_none() && same.undisturbed == 4, "{same}");
        let expected = Difference {
            what: "records".to_owned(),
            undisturbed: 4,
            missing: 1,
            unexpected: 1,
            different: 2,
            doubled: 1,
        };
        let found = [(1, "b"), (1, "a"), (2, "c"), (2, "c"), (4, "d")];
        assert_eq!(
            compare(&found),
            expected,
            "out of order, doubled, unexpected, missing"
        );
    }
}
