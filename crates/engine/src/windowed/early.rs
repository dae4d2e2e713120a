//! What the sources have told of an open window: the material of early results.

use super::aggregation::{Aggregation, Key, Totals};
use super::groups::{ContributionOf, HeldOf, order};
use super::policy::SOURCES;
use crate::RestoreError;
use crate::hash::{HashSeed, key_of_words};
use crate::key_table::KeyTable;
use crate::pages::Pages;
use crate::snapshot::{StateReader, StateWriter};

/// The last word of each source partition on each group of one window.
///
/// A source tells all it has of a group so far, in place of what it told before; so a word that is
/// lost, repeated or of another interval makes an early result older than it might be, and never
/// wrong. Final results are not made of this.
#[derive(Debug, Clone)]
pub(super) struct Early<A: Aggregation> {
    sources: usize,
    seed: HashSeed,
    groups: KeyTable<Group<A::Key>>,
    /// As many for each group, in their order, as there are sources.
    told: Pages<Option<A::Totals>, { 64 * 1024 }>,
    /// What the keys need.
    held: Pages<HeldOf<A>, { 64 * 1024 }>,
}

/// A group, and whether something was told of it since its last early result.
#[derive(Debug, Clone, Copy)]
struct Group<K> {
    key: K,
    has_changed: bool,
}

impl<A: Aggregation> Early<A> {
    /// Nothing told yet, by that many sources.
    pub(super) fn new(sources: usize, seed: HashSeed) -> Self {
        Self {
            sources,
            seed,
            groups: KeyTable::with_capacity(0, seed),
            told: Pages::new(),
            held: Pages::new(),
        }
    }

    /// Takes a source's word.
    pub(super) fn tell(&mut self, source: usize, contribution: &ContributionOf<A>) {
        if source >= self.sources {
            self.widen(source + 1);
        }
        let group = self.insert(contribution.key).0;
        self.groups.value_mut(group).has_changed = true;
        *self.told.get_mut(group * self.sources + source) = Some(contribution.totals);
    }

    /// Makes room for so many sources: there are hardly ever more than at first.
    #[cold]
    fn widen(&mut self, sources: usize) {
        let mut told = Pages::new();
        for group in 0..self.groups.len() {
            for source in 0..sources {
                let known = source < self.sources;
                told.push(
                    known
                        .then(|| *self.told.get(group * self.sources + source))
                        .flatten(),
                );
            }
        }
        self.told = told;
        self.sources = sources;
    }

    /// The position of a group, and whether it is new.
    fn insert(&mut self, key: A::Key) -> (usize, bool) {
        let bytes = key_of_words(key.words());
        let found = self
            .groups
            .find_or_insert(self.seed.hash(&bytes), bytes, || Group {
                key,
                has_changed: false,
            });
        if found.1
            && let Some(held) = key.hold()
        {
            self.held.push(held);
        }
        while self.told.len() < self.groups.len() * self.sources {
            self.told.push(None);
        }
        found
    }

    /// The groups of which something was told since the last call, added up over the sources, by
    /// key.
    pub(super) fn take_changed(&mut self) -> Vec<(A::Key, A::Totals)> {
        let mut changed = Vec::new();
        for at in 0..self.groups.len() {
            let group = self.groups.value_mut(at);
            if !std::mem::take(&mut group.has_changed) {
                continue;
            }
            let key = group.key;
            let places = at * self.sources..(at + 1) * self.sources;
            let told = places.filter_map(|place| *self.told.get(place));
            let sum = told.reduce(|mut sum, totals| {
                sum.merge(&totals);
                sum
            });
            changed.extend(sum.map(|sum| (key, sum)));
        }
        changed.sort_unstable_by_key(|(key, _)| order(key));
        changed
    }

    /// The state of this moment: what is given appends it, in the order in which the groups were
    /// first told of.
    pub(super) fn freeze(&mut self) -> impl FnOnce(&mut StateWriter<'_>) + Send + use<A> {
        let (sources, groups, told) = (self.sources, self.groups.freeze().values, self.told.freeze());
        let held = self.held.freeze();
        move |writer| {
            writer.count(sources);
            writer.count(groups.len());
            let mut told = told.iter();
            for group in groups.iter() {
                group.key.write(writer);
                writer.bool(group.has_changed);
                for totals in told.by_ref().take(sources) {
                    writer.bool(totals.is_some());
                    if let Some(totals) = totals {
                        totals.write(writer);
                    }
                }
            }
            // Held until the last of them was written.
            drop(held);
        }
    }

    /// Reads what [`Early::freeze`] gave.
    pub(super) fn restore(reader: &mut StateReader<'_>, seed: HashSeed) -> Result<Self, RestoreError> {
        let what = "number of sources with early results";
        let at = reader.position();
        match usize::try_from(reader.u64()?) {
            Ok(sources) if sources as u64 <= SOURCES.1.unsigned_abs() => {
                Self::restore_of(reader, sources, seed)
            }
            _ => Err(RestoreError::Invalid { what, at }),
        }
    }

    /// As [`Early::restore`], where the number of sources is not written here.
    pub(super) fn restore_of(
        reader: &mut StateReader<'_>,
        sources: usize,
        seed: HashSeed,
    ) -> Result<Self, RestoreError> {
        let mut early = Self::new(sources, seed);
        let what = "group with early results";
        for _ in 0..reader.count(what, A::Key::LEAST_LEN + 1 + sources)? {
            let at = reader.position();
            let (group, is_new) = early.insert(A::Key::read(reader)?);
            if !is_new {
                return Err(RestoreError::Invalid { what, at });
            }
            early.groups.value_mut(group).has_changed = reader.bool(what)?;
            for place in group * sources..(group + 1) * sources {
                if reader.bool(what)? {
                    *early.told.get_mut(place) = Some(A::Totals::read(reader)?);
                }
            }
        }
        Ok(early)
    }
}
