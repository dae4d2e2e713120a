//! What features are worth for the record that is judged.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::record::Record;
use super::table::Table;
use crate::catalogue::What;
use crate::lists::{LiveLists, Members};
use crate::plan::{Measure, Plan, Slot};
use crate::program::{Inputs, TextSource};
use crate::state::{Current, Last, Prior, State};

/// What was known of a measure before the record, or where the record has gone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Before {
    /// The record in a ring, if it is in it.
    pub(super) current: Option<Current>,
    pub(super) prior: Prior,
    pub(super) is_known: bool,
    pub(super) is_learnt: bool,
    pub(super) last: Last,
    /// The record's value; of a streak, its length with the record.
    pub(super) value: f64,
    pub(super) mean: f64,
    pub(super) deviation: f64,
}

impl Before {
    pub(super) const NONE: Self = Self {
        current: None,
        prior: Prior::NONE,
        is_known: false,
        is_learnt: false,
        last: Last {
            time_ms: i64::MIN,
            value: 0,
        },
        value: f64::NAN,
        mean: f64::NAN,
        deviation: f64::NAN,
    };
}

/// What is computed for one record, and no part of the state.
#[derive(Debug, Clone)]
pub(super) struct Scratch {
    pub(super) before: Vec<Before>,
    /// By table: the entity's highest event time with the record.
    pub(super) newest_ms: Vec<i64>,
    /// By table: where the entity is.
    pub(super) entered: Vec<usize>,
    /// By feature.
    values: Vec<Computed>,
    /// By list of the plan: who is on it; `None` of one that nobody is on.
    lists: Vec<Option<Arc<Members>>>,
    record: u64,
}

/// A feature's value, and the record that it was computed for: 0 for none. Atomic only so that an
/// evaluator may be looked at from several threads; one alone works with it.
#[derive(Debug, Default)]
struct Computed {
    record: AtomicU64,
    value: AtomicU64,
}

/// A copy computes anew.
impl Clone for Computed {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Computed {
    #[inline]
    fn of(&self, record: u64) -> Option<f64> {
        (self.record.load(Relaxed) == record).then(|| f64::from_bits(self.value.load(Relaxed)))
    }

    #[inline]
    fn set(&self, record: u64, value: f64) {
        self.value.store(value.to_bits(), Relaxed);
        self.record.store(record, Relaxed);
    }
}

impl Scratch {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            before: vec![Before::NONE; plan.measures.len()],
            newest_ms: vec![0; plan.entities.len()],
            entered: vec![usize::MAX; plan.entities.len()],
            values: vec![Computed::default(); plan.slots.len()],
            lists: vec![None; plan.lists.len()],
            record: 0,
        }
    }

    pub(super) fn look_into(&mut self, plan: &Plan, lists: &LiveLists) {
        let members = plan.lists.iter().map(|list| lists.members(list).cloned());
        self.lists = members.collect();
    }

    pub(super) fn begin(&mut self) {
        self.record += 1;
    }

    pub(super) fn view<'a>(
        &'a self,
        plan: &'a Plan,
        tables: &'a [Table],
        record: &'a Record<'a>,
    ) -> View<'a> {
        View {
            scratch: self,
            plan,
            tables,
            record,
        }
    }
}

/// A record with the features around it.
pub(super) struct View<'a> {
    scratch: &'a Scratch,
    plan: &'a Plan,
    tables: &'a [Table],
    record: &'a Record<'a>,
}

impl View<'_> {
    pub(super) fn text(&self, source: TextSource) -> Option<u128> {
        match source {
            TextSource::Field(field) => Some(self.record.code(field)),
            TextSource::Last(slot) => self.last(slot),
            TextSource::Code(_) => None,
        }
    }

    fn slot(&self, slot: u16) -> (&Slot, &Measure, &Before) {
        let slot = &self.plan.slots[usize::from(slot)];
        (
            slot,
            &self.plan.measures[slot.measure],
            &self.scratch.before[slot.measure],
        )
    }

    pub(super) fn compute(&self, slot: u16) -> f64 {
        let (slot, measure, before) = self.slot(slot);
        match slot.what {
            What::Usual => before.mean.exp(),
            What::ZScore if slot.window_ms == 0 => {
                let score = (before.value - before.mean) / before.deviation;
                if before.deviation == 0.0 { f64::NAN } else { score }
            }
            What::Streak => before.value,
            What::SinceLast if before.last.is_known() => {
                (self.record.time_ms - before.last.time_ms).abs() as f64
            }
            What::Last if before.last.is_known() => {
                if matches!(measure.value, crate::plan::Source::Text(_)) {
                    return 0.0;
                }
                f64::from_bits(before.last.value as u64)
            }
            What::SinceLast | What::Last => f64::NAN,
            _ => self.window(slot, measure, before),
        }
    }

    /// The value over the same window without the record; `None` of a feature without a window, and
    /// of one that compares the record with its window.
    pub(super) fn without_current(&self, slot: u16) -> Option<f64> {
        let (slot, measure, before) = self.slot(slot);
        let counts_it = matches!(
            slot.what,
            What::Count | What::Sum | What::Avg | What::Min | What::Max | What::Distinct
        );
        let without = || Slot {
            is_excluding: true,
            ..slot.clone()
        };
        counts_it.then(|| self.window(&without(), measure, before))
    }

    fn window(&self, slot: &Slot, measure: &Measure, before: &Before) -> f64 {
        let table = self.plan.table_of(measure.entity);
        let start_ms = self.scratch.newest_ms[table] - slot.window_ms;
        let state = self.tables[table].state_at(self.scratch.entered[table], measure.local);
        let without = before.current.filter(|_| slot.is_excluding);
        match (state, slot.what) {
            (Some(State::Ring(ring)), What::Count) => ring.sum(start_ms, without).0 as f64,
            (Some(State::Ring(ring)), What::Sum) => ring.sum(start_ms, without).1 as f64 / measure.scale,
            (Some(State::Ring(ring)), What::Avg) => {
                let (count, sum) = ring.sum(start_ms, without);
                // Of none, 0 / 0 is unknown.
                sum as f64 / measure.scale / count as f64
            }
            (Some(State::Ring(ring)), What::Min) => ring
                .extremes(start_ms, without)
                .map_or(f64::NAN, |(min, _)| min as f64 / measure.scale),
            (Some(State::Ring(ring)), What::Max) => ring
                .extremes(start_ms, without)
                .map_or(f64::NAN, |(_, max)| max as f64 / measure.scale),
            (Some(State::Ring(ring)), What::ZScore) => {
                let moments = ring.moments(start_ms);
                if moments.count < 2.0 || moments.squares <= 0.0 {
                    return f64::NAN;
                }
                (before.value - moments.mean) / (moments.squares / moments.count).sqrt()
            }
            (Some(State::Values(values)), What::Distinct) => {
                let without = (slot.is_excluding && before.is_learnt).then_some(before.prior);
                f64::from(values.distinct(start_ms, without))
            }
            (Some(State::Values(_)), What::FirstSeen) if before.is_known => before.prior.is_first(start_ms),
            _ => f64::NAN,
        }
    }
}

impl Inputs for View<'_> {
    #[inline]
    fn amount(&self) -> f64 {
        self.record.amount
    }

    #[inline]
    fn time_ms(&self) -> f64 {
        self.record.time_ms as f64
    }

    #[inline]
    fn is_international(&self) -> bool {
        self.record.is_international()
    }

    #[inline]
    fn currency(&self) -> u32 {
        self.record.currency
    }

    #[inline]
    fn place(&self) -> f64 {
        self.record.place
    }

    #[inline]
    fn field(&self, field: u8) -> u128 {
        self.record.code(field)
    }

    #[inline]
    fn feature(&self, slot: u16) -> f64 {
        let computed = &self.scratch.values[usize::from(slot)];
        let record = self.scratch.record;
        computed.of(record).unwrap_or_else(|| {
            let value = self.compute(slot);
            computed.set(record, value);
            value
        })
    }

    fn last(&self, slot: u16) -> Option<u128> {
        let (_, _, before) = self.slot(slot);
        before.last.is_known().then_some(before.last.value)
    }

    #[inline]
    fn is_listed(&self, list: u16, code: u128) -> bool {
        let members = self.scratch.lists.get(usize::from(list));
        let members = members.and_then(Option::as_ref);
        members.is_some_and(|members| members.has(code, self.record.time_ms))
    }
}
