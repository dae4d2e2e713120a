//! The entities of one kind.

use std::collections::HashMap;

use rustc_hash::FxSeededState;

use super::record::{Key, Record};
use crate::catalogue::Entity;
use crate::plan::{Keeps, Plan};
use crate::state::State;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Kept {
    pub(super) key: Key,
    /// The highest event time of its records.
    pub(super) newest_ms: i64,
    pub(super) states: Box<[State]>,
}

#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) entity: Entity,
    keeps: Vec<Keeps>,
    retention_ms: i64,
    places: HashMap<Key, u32, FxSeededState>,
    kept: Vec<Kept>,
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
            kept: Vec::new(),
            entered: 0,
            sweep_at: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// Finds the record's entity, or makes it, and gives its highest event time with the record.
    pub(super) fn enter(&mut self, record: &Record<'_>, watermark_ms: i64) -> i64 {
        let key = record.key(self.entity);
        let time_ms = record.time_ms;
        let at = match self.places.get(&key) {
            Some(&at) => at as usize,
            None => {
                let at = self.kept.len();
                self.insert(Kept {
                    key,
                    newest_ms: time_ms,
                    states: self.fresh(),
                });
                at
            }
        };
        self.entered = at;
        if self.is_forgotten(&self.kept[at], watermark_ms) {
            self.kept[at].states = self.fresh();
            self.kept[at].newest_ms = time_ms;
        }
        let kept = &mut self.kept[at];
        kept.newest_ms = kept.newest_ms.max(time_ms);
        kept.newest_ms
    }

    pub(super) fn insert(&mut self, kept: Kept) {
        let at = u32::try_from(self.kept.len()).unwrap_or(u32::MAX);
        self.places.insert(kept.key, at);
        self.kept.push(kept);
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
        &mut self.kept[self.entered].states[local]
    }

    pub(super) fn state_at(&self, at: usize, local: usize) -> Option<&State> {
        self.kept.get(at).map(|kept| &kept.states[local])
    }

    /// The entities that are not forgotten, in the order of their names.
    pub(super) fn sorted(&self, watermark_ms: i64) -> Vec<&Kept> {
        let mut sorted: Vec<_> = self
            .kept
            .iter()
            .filter(|kept| !self.is_forgotten(kept, watermark_ms))
            .collect();
        sorted.sort_unstable_by_key(|kept| kept.key);
        sorted
    }

    fn is_forgotten(&self, kept: &Kept, watermark_ms: i64) -> bool {
        kept.newest_ms < watermark_ms.saturating_sub(self.retention_ms)
    }

    /// Looks at the next entities, and gives back what is forgotten. Two a record, as each may add
    /// one.
    pub(super) fn sweep(&mut self, watermark_ms: i64) {
        for _ in 0..2 {
            if self.sweep_at >= self.kept.len() {
                self.sweep_at = 0;
            }
            let Some(kept) = self.kept.get(self.sweep_at) else {
                return;
            };
            if !self.is_forgotten(kept, watermark_ms) {
                self.sweep_at += 1;
                continue;
            }
            let gone = self.kept.swap_remove(self.sweep_at);
            self.places.remove(&gone.key);
            if let Some(moved) = self.kept.get(self.sweep_at) {
                let at = u32::try_from(self.sweep_at).unwrap_or(u32::MAX);
                self.places.insert(moved.key, at);
            }
        }
    }
}
