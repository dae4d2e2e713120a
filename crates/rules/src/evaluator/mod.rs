//! Runs a version over records: learns the features, and says which rules fire.

mod evidence;
mod feature;
mod record;
mod snapshot;
mod table;
#[cfg(test)]
mod tests;
mod trace;

use std::sync::Arc;

use millrace_domain::{Severity, Transaction};

pub use self::evidence::{Evidence, Unit};
use self::feature::{Before, Scratch};
use self::record::{Cities, Record};
pub use self::snapshot::FrozenEvaluator;
use self::table::Table;
pub use self::trace::{Check, Condition, FeatureTrace, Figure, Judgement, RuleTrace, Sides};
use crate::catalogue::Entity;
use crate::file::Mode;
use crate::lists::LiveLists;
use crate::plan::{Keeps, Measure, Plan, Source, Step};
use crate::program::Program;
use crate::state::State;
use crate::version::Version;

/// A rule that fired.
#[derive(Debug, Clone, PartialEq)]
pub struct Fired {
    /// Its place in [`Version::rules`].
    pub rule: usize,
    /// Its severity.
    pub severity: Severity,
    /// Its score, where it has one that is known.
    pub score: Option<f64>,
    /// Whether somebody is told: not of a rule in shadow.
    pub alerts: bool,
}

/// How often a rule was judged, and with what result. Figures for metrics, no part of the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Records it fired for.
    pub fired: u64,
    /// Records for which its condition was unknown.
    pub unknown: u64,
    /// Records it would have fired for, had it not been quiet.
    pub quiet: u64,
}

/// Runs a version over the accepted records of one partition, each once, in their order.
///
/// It reads no clock, and no output depends on the seed: state and outputs are a function of the
/// records and of the watermarks that were told.
#[derive(Debug, Clone)]
pub struct Evaluator {
    version: Arc<Version>,
    tables: Vec<Table>,
    scratch: Scratch,
    cities: Cities,
    watermark_ms: i64,
    tallies: Vec<Tally>,
    lists: Arc<LiveLists>,
    seed: usize,
}

impl Evaluator {
    /// Before the first record. The seed is for the tables' hashes: draw it where ids come from
    /// strangers.
    #[must_use]
    pub fn new(version: Arc<Version>, seed: usize) -> Self {
        let plan = version.plan();
        let tables = plan
            .entities
            .iter()
            .map(|entity| Table::new(*entity, plan, seed))
            .collect();
        Self {
            tables,
            scratch: Scratch::new(plan),
            cities: Cities::default(),
            watermark_ms: i64::MIN,
            tallies: vec![Tally::default(); version.rules().len()],
            version,
            lists: Arc::default(),
            seed,
        }
    }

    /// Looks into these lists from the next record on: no part of the state.
    pub fn set_lists(&mut self, lists: &Arc<LiveLists>) {
        self.lists = Arc::clone(lists);
        self.scratch.look_into(self.version.plan(), lists);
    }

    /// The version it runs.
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// What became of each rule's judgements, in the order of [`Version::rules`].
    #[must_use]
    pub fn tallies(&self) -> &[Tally] {
        &self.tallies
    }

    /// How many entities of a kind there are.
    #[must_use]
    pub fn entities(&self, entity: Entity) -> usize {
        let table = self.tables.iter().find(|table| table.entity == entity);
        table.map_or(0, Table::len)
    }

    /// Time has gone on: entities without a record for as long as the longest window asks for (30
    /// days where something is kept without one) are forgotten.
    pub fn advance(&mut self, watermark_ms: i64) {
        self.watermark_ms = self.watermark_ms.max(watermark_ms);
    }

    /// An evaluator that has what this one keeps of the transaction's entities, and nothing else:
    /// small whatever this one has, it says the same of the transaction as the next one.
    #[must_use]
    pub fn around(&self, transaction: &Transaction) -> Self {
        let plan = self.version.plan();
        let record = Record::new(transaction, plan, &mut Cities::default());
        let tables = self.tables.iter().map(|table| table.around(&record));
        Self {
            version: Arc::clone(&self.version),
            tables: tables.collect(),
            scratch: self.scratch.clone(),
            cities: Cities::default(),
            watermark_ms: self.watermark_ms,
            tallies: self.tallies.clone(),
            lists: Arc::clone(&self.lists),
            seed: self.seed,
        }
    }

    /// Learns a record, judges it, and appends the rules that fire, in the order of the version.
    pub fn process(&mut self, transaction: &Transaction, fired: &mut Vec<Fired>) {
        let version = Arc::clone(&self.version);
        let plan = version.plan();
        let record = Record::new(transaction, plan, &mut self.cities);
        for (at, table) in self.tables.iter_mut().enumerate() {
            table.sweep(self.watermark_ms);
            self.scratch.newest_ms[at] = table.enter(&record, self.watermark_ms);
            self.scratch.entered[at] = table.entered();
        }
        self.scratch.begin();
        for (at, measure) in plan.measures.iter().enumerate() {
            self.learn(at, measure, plan, &record);
        }
        for step in &plan.steps {
            self.judge(step, &version, &record, fired);
        }
    }

    /// The value of each feature after the last record, with its text; unknown is NaN.
    #[must_use]
    pub fn features(&self, transaction: &Transaction) -> Vec<(&str, f64)> {
        let plan = self.version.plan();
        let record = Record::new(transaction, plan, &mut Cities::default());
        let view = self.scratch.view(plan, &self.tables, &record);
        let slots = plan.slots.iter().zip(0_u16..);
        slots
            .map(|(slot, at)| (slot.text.as_str(), view.compute(at)))
            .collect()
    }

    fn learn(&mut self, at: usize, measure: &Measure, plan: &Plan, record: &Record<'_>) {
        let view = self.scratch.view(plan, &self.tables, record);
        let (value, code) = match &measure.value {
            Source::Nothing => (0.0, Some(0)),
            Source::Number(program) => (program.run(&view), None),
            Source::Text(source) => (0.0, view.text(*source)),
        };
        let code = code.or_else(|| (!value.is_nan() && !is_text(&measure.value)).then(|| bits(value)));
        let is_asked = measure.only.as_ref().is_none_or(|only| holds(only, &view));
        let table = plan.table_of(measure.entity);
        let newest_ms = self.scratch.newest_ms[table];
        let state = self.tables[table].state(measure.local);
        let mut before = Before::NONE;
        match (state, code) {
            (State::Ring(ring), Some(_)) if is_asked => {
                let units = units(value, measure.scale);
                let oldest_ms = newest_ms - measure.longest_ms;
                before.current = ring.learn(record.time_ms, units, newest_ms, oldest_ms);
                before.value = units as f64;
            }
            (State::Ring(_), code) => {
                before.value = code.map_or(f64::NAN, |_| units(value, measure.scale) as f64);
            }
            (State::Values(values), Some(code)) => {
                before.prior = values.prior(code);
                before.is_known = true;
                if is_asked {
                    values.learn(code, record.time_ms, newest_ms - measure.longest_ms);
                    before.is_learnt = true;
                }
            }
            (State::Last(last), code) => {
                before.last = *last;
                if let (true, Some(code)) = (is_asked, code) {
                    last.learn(record.time_ms, code);
                }
            }
            (State::Streak(length), Some(_)) => {
                if is_asked {
                    *length = if value == 0.0 { 0 } else { length.saturating_add(1) };
                }
                before.value = f64::from(*length);
            }
            (State::Streak(length), None) => before.value = f64::from(*length),
            (State::Habits(habits), _) => {
                let usual = habits.usual(record.currency, measure.least_deviation);
                (before.mean, before.deviation, before.value) = (usual.mean, usual.deviation, value);
                if is_asked && value.is_finite() {
                    habits.learn(record.currency, value, measure.least_deviation);
                }
            }
            (State::Values(_) | State::Quiet(_), _) => {}
        }
        self.scratch.before[at] = before;
    }

    fn judge(&mut self, step: &Step, version: &Version, record: &Record<'_>, fired: &mut Vec<Fired>) {
        let plan = version.plan();
        let view = self.scratch.view(plan, &self.tables, record);
        let mut is_unknown = false;
        for condition in &step.conditions {
            let value = condition.run(&view);
            if value == 0.0 {
                return;
            }
            is_unknown |= value.is_nan();
        }
        let tally = &mut self.tallies[step.rule];
        if is_unknown {
            tally.unknown += 1;
            return;
        }
        let score = step.score.as_ref().map(|score| score.run(&view));
        if let Some((quiet, measure)) = &step.quiet {
            let quiet_ms = quiet.run(&view);
            let measure = &plan.measures[*measure];
            debug_assert_eq!(measure.keeps, Keeps::Quiet);
            let table = plan.table_of(measure.entity);
            let newest_ms = self.scratch.newest_ms[table];
            if let State::Quiet(until_ms) = self.tables[table].state(measure.local) {
                if newest_ms < *until_ms {
                    tally.quiet += 1;
                    return;
                }
                if quiet_ms > 0.0 {
                    // At most as long as anything is kept of a user.
                    let quiet_ms = quiet_ms.ceil().min(measure.longest_ms as f64) as i64;
                    *until_ms = newest_ms + quiet_ms;
                }
            }
        }
        tally.fired += 1;
        let rule = &version.rules()[step.rule];
        fired.push(Fired {
            rule: step.rule,
            severity: rule.severity(),
            score: score.filter(|score| score.is_finite()),
            alerts: match rule.mode() {
                Mode::Live => true,
                Mode::Share(percent) => record.share() < u64::from(percent),
                Mode::Draft | Mode::Shadow | Mode::Paused => false,
            },
        });
    }
}

fn holds(only: &Program, view: &feature::View<'_>) -> bool {
    let value = only.run(view);
    value != 0.0 && !value.is_nan()
}

fn is_text(source: &Source) -> bool {
    matches!(source, Source::Text(_))
}

fn bits(value: f64) -> u128 {
    u128::from(value.to_bits())
}

/// The greatest value in a window: that of a sum of 128 of them fits in 64 bits.
const MOST_UNITS: f64 = 2_000_000_000_000_000.0;

/// A value as the integer that windows hold.
fn units(value: f64, scale: f64) -> i64 {
    (value * scale).round().clamp(-MOST_UNITS, MOST_UNITS) as i64
}
