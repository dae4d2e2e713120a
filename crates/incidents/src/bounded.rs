//! What an incident keeps of things that may be many.

use std::collections::{BTreeSet, VecDeque};

/// The most merchants that an incident names.
pub const MOST_MERCHANTS: usize = 25;
/// The most transactions that it names of its beginning, and of its end.
const MOST_AT_AN_END: usize = 10;

/// Distinct texts, exact up to a number, and beyond it "at least" so many.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Few {
    known: BTreeSet<Box<str>>,
    has_more: bool,
}

impl Few {
    /// Takes one in. Returns whether it is new among those that are named.
    pub(crate) fn insert(&mut self, text: &str, most: usize) -> bool {
        if self.known.contains(text) {
            return false;
        }
        if self.known.len() >= most {
            self.has_more = true;
            return false;
        }
        self.known.insert(text.into())
    }

    /// What was named, and whether there was more.
    pub(crate) fn of<'a>(known: impl IntoIterator<Item = &'a str>, has_more: bool) -> Self {
        Self {
            known: known.into_iter().map(Into::into).collect(),
            has_more,
        }
    }

    /// Those that are named, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.known.iter().map(|text| &**text)
    }

    /// How many are named.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Whether there are more than are named.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.has_more
    }
}

/// The first of a row of things, and the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ends<T> {
    first: Vec<T>,
    last: VecDeque<T>,
    count: u64,
}

impl<T> Default for Ends<T> {
    fn default() -> Self {
        Self {
            first: Vec::new(),
            last: VecDeque::new(),
            count: 0,
        }
    }
}

impl<T: PartialEq> Ends<T> {
    /// Takes the next in.
    pub(crate) fn push(&mut self, next: T) {
        self.count += 1;
        if self.first.len() < MOST_AT_AN_END {
            self.first.push(next);
            return;
        }
        if self.last.len() == MOST_AT_AN_END {
            self.last.pop_front();
        }
        self.last.push_back(next);
    }

    /// A row of which so many came, and these were kept; `None` where that cannot be.
    pub(crate) fn of(mut kept: Vec<T>, count: u64) -> Option<Self> {
        let most = 2 * MOST_AT_AN_END;
        let wanted = usize::try_from(count).map_or(most, |count| count.min(most));
        if kept.len() != wanted {
            return None;
        }
        let last = kept.split_off(kept.len().min(MOST_AT_AN_END));
        Some(Self {
            first: kept,
            last: last.into(),
            count,
        })
    }

    /// The one that came last.
    #[must_use]
    pub fn newest(&self) -> Option<&T> {
        self.last.back().or(self.first.last())
    }

    /// Those that are kept, in the order in which they came. Where there are more than
    /// [`Self::iter`] gives, the ones in between are missing.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(&self.last)
    }

    /// How many came.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_exact_and_many_are_at_least() {
        let mut few = Few::default();
        assert!(few.insert("a", 2) && few.insert("b", 2) && !few.insert("a", 2));
        assert!(!few.has_more());
        assert!(!few.insert("c", 2));
        assert!(few.has_more() && few.iter().eq(["a", "b"]));
        assert_eq!(Few::of(few.iter(), true), few);
    }

    #[test]
    fn the_ends_of_a_long_row_are_kept() {
        let mut ends = Ends::default();
        for number in 0..1_000 {
            ends.push(number);
            assert_eq!(ends.newest(), Some(&number));
            let kept = ends.iter().copied().collect();
            assert_eq!(Ends::of(kept, ends.count()), Some(ends.clone()));
        }
        assert_eq!(ends.count(), 1_000);
        assert!(ends.iter().copied().eq((0..10).chain(990..1_000)));
        assert_eq!(Ends::of(vec![1, 2], 3), None);
    }
}
