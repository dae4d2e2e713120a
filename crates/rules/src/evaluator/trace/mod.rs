//! Why rules fired for a record, and why others did not.
//!
//! Nothing is judged a second time: what became of a rule is told by the evaluator before the
//! record and the one after it, and the values are those that the rule's programs give over the
//! features that it was judged by.

mod dimension;
mod tracer;

use millrace_domain::Transaction;

use self::dimension::Dimension;
use self::tracer::Tracer;
use super::evidence::Unit;
use super::record::{Cities, Record};
use super::{Evaluator, Tally};
use crate::file::{Mode, Rule};
use crate::plan::Step;
use crate::state::State;
use crate::term::{Arithmetic, Term};

/// What became of a rule for a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// It fired, be it in shadow.
    Fired,
    /// What it asks for holds, and it is quiet, as it fired a short while before.
    Quiet,
    /// What it asks for does not hold.
    Not,
    /// Something that it asks for is unknown.
    Unknown,
    /// It is not judged: a draft, paused, or of no such record.
    NotJudged,
}

impl Judgement {
    /// A word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fired => "fired",
            Self::Quiet => "quiet",
            Self::Not => "not",
            Self::Unknown => "unknown",
            Self::NotJudged => "not_judged",
        }
    }
}

/// A value with its unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figure {
    /// `None` where it is unknown, or is no figure: an instant or a place.
    pub value: Option<f64>,
    /// What it is in. A value of which the language does not know whether it is a number or a
    /// duration (`since_last() / 2`) has none, and is in milliseconds if it is a duration.
    pub unit: Unit,
}

impl Figure {
    const NONE: Self = Self {
        value: None,
        unit: Unit::None,
    };
}

/// A comparison of two values.
#[derive(Debug, Clone, PartialEq)]
pub struct Sides {
    /// What is compared, as the language has it.
    pub asked: String,
    /// Its value.
    pub value: Figure,
    /// `<`, `<=`, `>`, `>=` or `==`.
    pub sign: &'static str,
    /// What it is compared with, as the language has it.
    pub threshold: String,
    /// The value of that.
    pub limit: Figure,
}

/// A question that a condition asks.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// As the language has it, in its one form.
    pub text: String,
    /// Its answer; `None` while it is unknown. A condition may want it to be false.
    pub holds: Option<bool>,
    /// Of a comparison, what is compared.
    pub sides: Option<Sides>,
}

/// A condition of a rule: of those that `and` joins, one.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// As the language has it, in its one form.
    pub text: String,
    /// Whether it holds; `None` while it is unknown.
    pub holds: Option<bool>,
    /// The questions that it is made of.
    pub checks: Vec<Check>,
}

/// A feature that a rule asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureTrace {
    /// As the language has it.
    pub feature: String,
    /// Its value, by which the rule was judged.
    pub value: Option<f64>,
    /// Its value over the same window without the record; `None` where it is unknown, and of a
    /// feature without a window, which is of what was before the record in any case.
    pub without: Option<f64>,
    /// What they are in.
    pub unit: Unit,
}

/// How a rule judged a record.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleTrace {
    /// Its place in [`crate::Version::rules`].
    pub rule: usize,
    /// What became of it.
    pub judgement: Judgement,
    /// Whether its mode tells somebody about the record's user: not of a rule in shadow.
    pub alerts: bool,
    /// All must hold. None of a rule that is not judged.
    pub conditions: Vec<Condition>,
    /// How far the condition is from holding: the difference of what is compared, as a share of the
    /// greater of the two; of several that would have to change, the farthest, where one is enough,
    /// the nearest. 0 where it holds, or lacks only equality; `None` where no number tells.
    pub gap: Option<f64>,
    /// The features that it asks for, each after those within it. Texts, places and instants are
    /// left out.
    pub features: Vec<FeatureTrace>,
    /// The text of its score, if it has one, and its value for this record.
    pub score: Option<(String, Figure)>,
    /// Where the score is a sum, each of what is added, with its value: what it contributes.
    pub score_parts: Vec<(String, Figure)>,
    /// The event time, in milliseconds since 1970, before which it is quiet because of what came
    /// before the record.
    pub quiet_until_ms: Option<i64>,
}

impl Evaluator {
    /// How each rule judged `transaction`, in the order of [`crate::Version::rules`]. It must be
    /// the last one that was processed, and `before` a copy from just before that.
    #[must_use]
    pub fn trace(&self, before: &Self, transaction: &Transaction) -> Vec<RuleTrace> {
        debug_assert_eq!(self.version.hash(), before.version.hash(), "of one version");
        let plan = self.version.plan();
        let record = Record::new(transaction, plan, &mut Cities::default());
        let view = self.scratch.view(plan, &self.tables, &record);
        let mut tracer = Tracer::new(&view, plan, transaction.currency);
        let rules = self.version.rules().iter().enumerate();
        let trace = |(at, rule): (usize, &Rule)| {
            let step = plan.steps.iter().find(|step| step.rule == at);
            let score = step.and(rule.score.as_ref());
            let mut parts = Vec::new();
            if let Some(sum) = score
                && matches!(sum, Term::Arithmetic(Arithmetic::Add, ..))
            {
                summands(sum, &mut parts);
            }
            let mut figure = |term: &Term| (term.to_string(), tracer.figure(term, Dimension::of(term)));
            let score = score.map(&mut figure);
            let score_parts = parts.into_iter().map(figure).collect();
            let features = step.map_or_else(Vec::new, |step| self.feature_traces(step, transaction));
            RuleTrace {
                rule: at,
                judgement: match step {
                    None => Judgement::NotJudged,
                    Some(_) => judgement(&before.tallies[at], &self.tallies[at]),
                },
                alerts: match rule.mode() {
                    Mode::Live => true,
                    Mode::Share(percent) => record.share() < u64::from(percent),
                    Mode::Draft | Mode::Shadow | Mode::Paused => false,
                },
                conditions: match step {
                    None => Vec::new(),
                    Some(_) => conditions(rule).map(|term| tracer.condition(term)).collect(),
                },
                gap: step.and_then(|_| tracer.gap(&rule.when, true)),
                features,
                score,
                score_parts,
                quiet_until_ms: step.and_then(|step| self.quiet_until_ms(before, step, &record)),
            }
        };
        rules.map(trace).collect()
    }

    fn feature_traces(&self, step: &Step, transaction: &Transaction) -> Vec<FeatureTrace> {
        let plan = self.version.plan();
        let record = Record::new(transaction, plan, &mut Cities::default());
        let view = self.scratch.view(plan, &self.tables, &record);
        let trace = |&at: &u16| {
            let slot = &plan.slots[usize::from(at)];
            let (unit, divisor) = Unit::of(slot.ty, transaction.currency)?;
            let shown = |value: f64| value.is_finite().then_some(value / divisor);
            Some(FeatureTrace {
                feature: slot.text.clone(),
                value: shown(view.compute(at)),
                without: view.without_current(at).and_then(shown),
                unit,
            })
        };
        step.features.iter().filter_map(trace).collect()
    }

    /// Until when a rule was quiet as the record came.
    fn quiet_until_ms(&self, before: &Self, step: &Step, record: &Record<'_>) -> Option<i64> {
        let (_, measure) = step.quiet.as_ref()?;
        let plan = self.version.plan();
        let measure = &plan.measures[*measure];
        let table = plan.table_of(measure.entity);
        let states = before.tables[table].known(record, self.watermark_ms)?;
        match &states[measure.local] {
            State::Quiet(until_ms) if self.scratch.newest_ms[table] < *until_ms => Some(*until_ms),
            _ => None,
        }
    }
}

/// What a sum is of.
fn summands<'a>(term: &'a Term, found: &mut Vec<&'a Term>) {
    match term {
        Term::Arithmetic(Arithmetic::Add, a, b) => {
            summands(a, found);
            summands(b, found);
        }
        other => found.push(other),
    }
}

/// The terms of a rule's condition, all of which must hold.
fn conditions(rule: &Rule) -> impl Iterator<Item = &Term> {
    let terms = match &rule.when {
        Term::And(terms) => terms.as_slice(),
        one => std::slice::from_ref(one),
    };
    terms.iter()
}

fn judgement(before: &Tally, after: &Tally) -> Judgement {
    if after.fired > before.fired {
        Judgement::Fired
    } else if after.quiet > before.quiet {
        Judgement::Quiet
    } else if after.unknown > before.unknown {
        Judgement::Unknown
    } else {
        Judgement::Not
    }
}
