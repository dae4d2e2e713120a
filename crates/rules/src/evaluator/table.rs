//! The entities of one kind.

use std::collections::HashMap;

use millrace_engine::pages::{Frozen, Pages};
use rustc_hash::FxSeededState;

use super::record::{Key, Record};
use crate::catalogue::Entity;
use crate::plan::{Keeps, Plan};
use crate::state::State;

/// Eight entities a page: the first write to one after a snapshot was begun copies what its page
/// keeps, which is some kilobytes of rings.
const PAGE_BYTES: usize = 8 * size_of::<Kept>();

/// Every place of a table when it was frozen, free ones too.
pub(super) type FrozenKept = Frozen<Kept, PAGE_BYTES>;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Kept {
    pub(super) key: Key,
    /// The highest event time of its records.
    pub(super) newest_ms: i64,
    /// Empty in a free place: an entity that has a table has a measure.
    pub(super) states: Box<[State]>,
}

impl Kept {
    fn free() -> Self {
        Self {
            key: [0; 3],
            newest_ms: i64::MIN,
            states: Box::default(),
        }
    }

    fn is_free(&self) -> bool {
        self.states.is_empty()
    }

    /// Whether it is there, and is not forgotten.
    pub(super) fn is_live(&self, forgotten_before_ms: i64) -> bool {
        !self.is_free() && self.newest_ms >= forgotten_before_ms
    }
}

#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) entity: Entity,
    keeps: Vec<Keeps>,
    retention_ms: i64,
    places: HashMap<Key, u32, FxSeededState>,
    kept: Pages<Kept, PAGE_BYTES>,
    free: Vec<u32>,
    /// Where the entity of the record is.
    entered: usize,
    sweep_at: usize,
}

impl Table {
    pub(super) fn new(entity: Entity, plan: &Plan, seed: usize) -> Self {
        Self {
            entity,
            keeps: plan.of(entity).map(|measure| measure.keeps).collect(),
            retention_ms: plan.retention_ms(entity),
            places: HashMap::with_hasher(FxSeededState::with_seed(seed)),
            kept: Pages::new(),
            free: Vec::new(),
            entered: 0,
            sweep_at: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Finds the record's entity, or makes it, and gives its highest event time with the record.
    pub(super) fn enter(&mut self, record: &Record<'_>, watermark_ms: i64) -> i64 {
        let key = record.key(self.entity);
        let time_ms = record.time_ms;
        self.entered = match self.places.get(&key) {
            Some(&at) => at as usize,
            None => self.insert(Kept {
                key,
                newest_ms: time_ms,
                states: self.fresh(),
            }),
        };
        let forgotten_before_ms = self.forgotten_before_ms(watermark_ms);
        if self.kept.get(self.entered).newest_ms < forgotten_before_ms {
            let states = self.fresh();
            let kept = self.kept.get_mut(self.entered);
            kept.states = states;
            kept.newest_ms = time_ms;
        }
        let kept = self.kept.get_mut(self.entered);
        kept.newest_ms = kept.newest_ms.max(time_ms);
        kept.newest_ms
    }

    /// Puts an entity into a free place, and says which.
    pub(super) fn insert(&mut self, kept: Kept) -> usize {
        let key = kept.key;
        let at = match self.free.pop() {
            Some(at) => {
                *self.kept.get_mut(at as usize) = kept;
                at as usize
            }
            None => self.kept.push(kept),
        };
        self.places.insert(key, u32::try_from(at).unwrap_or(u32::MAX));
        at
    }

    pub(super) fn has(&self, key: &Key) -> bool {
        self.places.contains_key(key)
    }

    /// A table of the record's entity alone.
    pub(super) fn around(&self, record: &Record<'_>) -> Self {
        let mut around = Self {
            entity: self.entity,
            keeps: self.keeps.clone(),
            retention_ms: self.retention_ms,
            places: HashMap::with_hasher(self.places.hasher().clone()),
            kept: Pages::new(),
            free: Vec::new(),
            entered: 0,
            sweep_at: 0,
        };
        if let Some(&at) = self.places.get(&record.key(self.entity)) {
            around.insert(self.kept.get(at as usize).clone());
        }
        around
    }

    /// The states of the record's entity, where it is there and not forgotten.
    pub(super) fn known(&self, record: &Record<'_>, watermark_ms: i64) -> Option<&[State]> {
        let at = *self.places.get(&record.key(self.entity))?;
        let kept = self.kept.get(at as usize);
        kept.is_live(self.forgotten_before_ms(watermark_ms))
            .then_some(&*kept.states)
    }

    fn fresh(&self) -> Box<[State]> {
        self.keeps.iter().map(|keeps| State::new(*keeps)).collect()
    }

    pub(super) fn keeps(&self) -> &[Keeps] {
        &self.keeps
    }

    pub(super) fn entered(&self) -> usize {
        self.entered
    }

    /// A state of the record's entity.
    pub(super) fn state(&mut self, local: usize) -> &mut State {
        &mut self.kept.get_mut(self.entered).states[local]
    }

    pub(super) fn state_at(&self, at: usize, local: usize) -> Option<&State> {
        (at < self.kept.len()).then(|| &self.kept.get(at).states[local])
    }

    /// All places of this moment, whatever becomes of them.
    pub(super) fn freeze(&mut self) -> FrozenKept {
        self.kept.freeze()
    }

    /// Gives every entity that is not forgotten to `take`, its states to be moved away.
    pub(super) fn take_live(&mut self, watermark_ms: i64, mut take: impl FnMut(&mut Kept)) {
        let forgotten_before_ms = self.forgotten_before_ms(watermark_ms);
        for at in 0..self.kept.len() {
            if self.kept.get(at).is_live(forgotten_before_ms) {
                take(self.kept.get_mut(at));
            }
        }
    }

    /// An entity whose last record is before this is forgotten.
    pub(super) fn forgotten_before_ms(&self, watermark_ms: i64) -> i64 {
        watermark_ms.saturating_sub(self.retention_ms)
    }

    /// Looks at the next entities, and gives back what is forgotten. Two a record, as each may add
    /// one.
    pub(super) fn sweep(&mut self, watermark_ms: i64) {
        let forgotten_before_ms = self.forgotten_before_ms(watermark_ms);
        for _ in 0..2 {
            if self.sweep_at >= self.kept.len() {
                self.sweep_at = 0;
            }
            if self.kept.is_empty() {
                return;
            }
            let at = self.sweep_at;
            self.sweep_at += 1;
            let kept = self.kept.get(at);
            if kept.is_free() || kept.newest_ms >= forgotten_before_ms {
                continue;
            }
            self.places.remove(&kept.key);
            *self.kept.get_mut(at) = Kept::free();
            self.free.push(u32::try_from(at).unwrap_or(u32::MAX));
        }
    }
}
