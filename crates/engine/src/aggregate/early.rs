//! What the sources have told of an open window: the material of early results.

use millrace_domain::texts::Held;
use millrace_domain::{Contribution, Currency, ShortId};

use super::groups::{Figures, KEY_LEN, put_figures, read_figures, words};
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
pub(super) struct Early {
    sources: usize,
    seed: HashSeed,
    groups: KeyTable<Group>,
    /// As many for each group, in their order, as there are sources.
    told: Pages<Option<Figures>, { 64 * 1024 }>,
    /// The texts of merchants with long ids.
    texts: Pages<Held, { 64 * 1024 }>,
}

/// A group, and whether something was told of it since its last early result.
#[derive(Debug, Clone, Copy)]
struct Group {
    merchant_id: ShortId,
    currency: Currency,
    has_changed: bool,
}

impl Early {
    /// Nothing told yet, by that many sources.
    pub(super) fn new(sources: usize, seed: HashSeed) -> Self {
        Self {
            sources,
            seed,
            groups: KeyTable::with_capacity(0, seed),
            told: Pages::new(),
            texts: Pages::new(),
        }
    }

    /// Takes a source's word.
    pub(super) fn tell(&mut self, source: usize, contribution: &Contribution) {
        if source >= self.sources {
            self.widen(source + 1);
        }
        let (merchant_id, currency) = (contribution.merchant_id, contribution.currency);
        let group = self.insert(merchant_id, currency).0;
        self.groups.value_mut(group).has_changed = true;
        *self.told.get_mut(group * self.sources + source) = Some(Figures {
            totals: contribution.totals,
            distinct_users: contribution.distinct_users,
        });
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
    fn insert(&mut self, merchant_id: ShortId, currency: Currency) -> (usize, bool) {
        let key = key_of_words(words(&merchant_id, currency));
        let found = self.groups.find_or_insert(self.seed.hash(&key), key, || Group {
            merchant_id,
            currency,
            has_changed: false,
        });
        if found.1
            && let Some(text) = Held::of(&merchant_id)
        {
            self.texts.push(text);
        }
        while self.told.len() < self.groups.len() * self.sources {
            self.told.push(None);
        }
        found
    }

    /// The groups of which something was told since the last call, added up over the sources, by
    /// merchant and currency.
    pub(super) fn take_changed(&mut self) -> Vec<(ShortId, Currency, Figures)> {
        let mut changed = Vec::new();
        for at in 0..self.groups.len() {
            let group = self.groups.value_mut(at);
            if !std::mem::take(&mut group.has_changed) {
                continue;
            }
            let places = at * self.sources..(at + 1) * self.sources;
            let told = places.filter_map(|place| *self.told.get(place));
            let sum = told.reduce(|mut sum, figures| {
                sum.totals.merge(&figures.totals);
                sum.distinct_users += figures.distinct_users;
                sum
            });
            changed.extend(sum.map(|sum| (group.merchant_id, group.currency, sum)));
        }
        changed.sort_unstable_by_key(|&(merchant_id, currency, _)| (merchant_id, currency));
        changed
    }

    /// The state of this moment: what is given appends it, in the order in which the groups were
    /// first told of.
    pub(super) fn freeze(&mut self) -> impl FnOnce(&mut StateWriter<'_>) + Send + use<> {
        let (sources, groups, told) = (self.sources, self.groups.freeze().values, self.told.freeze());
        let texts = self.texts.freeze();
        move |writer| {
            writer.count(sources);
            writer.count(groups.len());
            let mut told = told.iter();
            for group in groups.iter() {
                writer.short_id(group.merchant_id);
                writer.currency(group.currency);
                writer.bool(group.has_changed);
                for figures in told.by_ref().take(sources) {
                    writer.bool(figures.is_some());
                    if let Some(figures) = figures {
                        put_figures(figures, writer);
                    }
                }
            }
            // Held until the last of them was written.
            drop(texts);
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
        for _ in 0..reader.count(what, KEY_LEN + 1 + sources)? {
            let at = reader.position();
            let (merchant_id, currency) = (reader.short_id("merchant")?, reader.currency()?);
            let (group, is_new) = early.insert(merchant_id, currency);
            if !is_new {
                return Err(RestoreError::Invalid { what, at });
            }
            early.groups.value_mut(group).has_changed = reader.bool(what)?;
            for place in group * sources..(group + 1) * sources {
                if reader.bool(what)? {
                    *early.told.get_mut(place) = Some(read_figures(reader)?);
                }
            }
        }
        Ok(early)
    }
}
