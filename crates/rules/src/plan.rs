//! What a version keeps: equal features once, and what shares a measure in one state.

use std::collections::HashMap;
use std::sync::Arc;

use crate::catalogue::{Entity, What};
use crate::file::{Mode, Rule};
use crate::lists::ListRef;
use crate::program::{Compiler, Program, TextSource};
use crate::term::{Feature, Of, Term, TextTerm};
use crate::types::Type;

/// What is kept of an entity for a measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Keeps {
    Ring,
    Values,
    Last,
    Streak,
    Habits,
    Quiet,
}

/// One state of an entity: of what, which records of it, how long.
#[derive(Debug, Clone)]
pub(crate) struct Measure {
    /// The same for all that share the state, in every version.
    pub(crate) text: String,
    pub(crate) keeps: Keeps,
    pub(crate) entity: Entity,
    /// Its place among the states of an entity.
    pub(crate) local: usize,
    pub(crate) value: Source,
    pub(crate) only: Option<Program>,
    pub(crate) longest_ms: i64,
    pub(crate) scale: f64,
    /// The deviation that a habit has at least.
    pub(crate) least_deviation: f64,
}

/// What a measure is of.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    Nothing,
    Number(Program),
    Text(TextSource),
}

impl Source {
    /// As of [`Program::weight`].
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Number(program) => program.weight(),
            Self::Text(_) => 1,
        }
    }
}

/// A feature: what to ask of which measure.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    pub(crate) text: String,
    pub(crate) what: What,
    pub(crate) measure: usize,
    pub(crate) window_ms: i64,
    pub(crate) is_excluding: bool,
    pub(crate) ty: Type,
}

/// A rule as it runs.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// Its place in the version.
    pub(crate) rule: usize,
    /// All must hold; the cheapest come first.
    pub(crate) conditions: Vec<Program>,
    pub(crate) score: Option<Program>,
    /// The quiet time, and where it is kept.
    pub(crate) quiet: Option<(Program, usize)>,
    /// The features that it asks for, by their slots.
    pub(crate) features: Vec<u16>,
}

/// All that is computed for a record.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    /// Each after those that it asks for.
    pub(crate) measures: Vec<Measure>,
    pub(crate) slots: Vec<Slot>,
    pub(crate) steps: Vec<Step>,
    /// The entities that have a measure.
    pub(crate) entities: Vec<Entity>,
    pub(crate) needs_place: bool,
    /// The lists that conditions look into.
    pub(crate) lists: Vec<ListRef>,
    /// By entity: its place in `entities`.
    tables: [usize; Entity::ALL.len()],
}

/// What is kept without a window.
const WITHOUT_WINDOW_MS: i64 = 2_592_000_000;

impl Plan {
    /// The plan of the rules that are no drafts.
    pub(crate) fn new(rules: &[Rule]) -> Self {
        let mut planner = Planner::default();
        for (at, rule) in rules.iter().enumerate() {
            if rule.mode != Mode::Draft {
                planner.rule(at, rule);
            }
        }
        let mut plan = planner.plan;
        plan.entities.sort_unstable();
        for (at, entity) in plan.entities.iter().enumerate() {
            plan.tables[*entity as usize] = at;
        }
        plan
    }

    /// The measures of an entity.
    pub(crate) fn of(&self, entity: Entity) -> impl Iterator<Item = &Measure> {
        self.measures
            .iter()
            .filter(move |measure| measure.entity == entity)
    }

    /// The measure whose states fit `wanted` of another plan: of the same, over a window that is
    /// no shorter.
    pub(crate) fn find(&self, wanted: &Measure) -> Option<&Measure> {
        self.of(wanted.entity).find(|measure| {
            measure.keeps == wanted.keeps
                && measure.text == wanted.text
                && wanted.longest_ms <= measure.longest_ms
        })
    }

    /// The place of an entity's table.
    #[inline]
    pub(crate) fn table_of(&self, entity: Entity) -> usize {
        self.tables[entity as usize]
    }

    /// How long after its last record an entity is forgotten.
    pub(crate) fn retention_ms(&self, entity: Entity) -> i64 {
        self.of(entity)
            .map(|measure| measure.longest_ms)
            .max()
            .unwrap_or(0)
    }
}

#[derive(Default)]
struct Planner {
    plan: Plan,
    slots: HashMap<String, u16>,
    measures: HashMap<String, usize>,
}

impl Planner {
    fn rule(&mut self, at: usize, rule: &Rule) {
        for term in rule.terms() {
            self.features(term);
        }
        if rule.mode == Mode::Paused {
            return;
        }
        let terms = match &rule.when {
            Term::And(terms) => terms.as_slice(),
            one => std::slice::from_ref(one),
        };
        let mut conditions: Vec<_> = terms.iter().map(|term| self.compile(term)).collect();
        conditions.sort_by_key(Program::rank);
        let score = rule.score.as_ref().map(|score| self.compile(score));
        let quiet = rule.quiet.as_ref().map(|quiet| {
            let program = self.compile(quiet);
            let keeps = (Keeps::Quiet, format!("quiet({})", rule.name));
            (program, self.measure(keeps, Entity::User, None))
        });
        let mut features = Vec::new();
        for term in rule.terms() {
            term.features(&mut |feature: &Arc<Feature>| {
                let slot = self.slots.get(&feature.to_string()).copied();
                features.extend(slot.filter(|slot| !features.contains(slot)));
            });
        }
        self.plan.steps.push(Step {
            features,
            rule: at,
            conditions,
            score,
            quiet,
        });
    }

    fn compile(&mut self, term: &Term) -> Program {
        let program = Compiler::new(&self.slots, &mut self.plan.lists).compile(term);
        self.plan.needs_place |= program.needs_place();
        program
    }

    fn features(&mut self, term: &Term) {
        term.features(&mut |feature: &Arc<Feature>| self.feature(feature));
    }

    /// Plans a feature whose inner features are planned.
    fn feature(&mut self, feature: &Feature) {
        let text = feature.to_string();
        if self.slots.contains_key(&text) {
            return;
        }
        let keeps = match feature.what {
            What::Distinct | What::FirstSeen => Keeps::Values,
            What::SinceLast | What::Last => Keeps::Last,
            What::Streak => Keeps::Streak,
            What::Usual => Keeps::Habits,
            What::ZScore if feature.window_ms.is_none() => Keeps::Habits,
            _ => Keeps::Ring,
        };
        let measure = self.measure(
            (keeps, measure_text(keeps, feature)),
            feature.entity,
            Some(feature),
        );
        let slot = u16::try_from(self.plan.slots.len()).unwrap_or(u16::MAX);
        self.slots.insert(text.clone(), slot);
        self.plan.slots.push(Slot {
            text,
            what: feature.what,
            measure,
            window_ms: feature.window_ms.unwrap_or(0),
            is_excluding: feature.is_excluding,
            ty: feature.ty,
        });
    }

    fn measure(
        &mut self,
        (keeps, text): (Keeps, String),
        entity: Entity,
        feature: Option<&Feature>,
    ) -> usize {
        let window_ms = feature
            .and_then(|feature| feature.window_ms)
            .unwrap_or(WITHOUT_WINDOW_MS);
        if let Some(&at) = self.measures.get(&text) {
            let measure = &mut self.plan.measures[at];
            measure.longest_ms = measure.longest_ms.max(window_ms);
            return at;
        }
        let value = match feature.map(|feature| &feature.of) {
            None | Some(Of::Nothing) => Source::Nothing,
            Some(Of::Value(term)) => Source::Number(self.compile(term)),
            Some(Of::Text(TextTerm::Last(inner))) => {
                let slot = self.slots.get(&inner.to_string()).copied().unwrap_or(u16::MAX);
                Source::Text(TextSource::Last(slot))
            }
            Some(Of::Text(TextTerm::Field(field))) => Source::Text(TextSource::Field(*field as u8)),
            Some(Of::Text(TextTerm::Code(_))) => Source::Nothing,
        };
        let only = feature
            .and_then(|feature| feature.only.as_ref())
            .map(|only| self.compile(only));
        let is_log = matches!(
            feature.map(|feature| &feature.of),
            Some(Of::Value(Term::Call(crate::catalogue::Function::Log, _)))
        );
        let at = self.plan.measures.len();
        // The habits of a user in each currency are one state of the user.
        let entity = if keeps == Keeps::Habits {
            Entity::User
        } else {
            entity
        };
        self.plan.measures.push(Measure {
            keeps,
            entity,
            local: self.plan.of(entity).count(),
            value,
            only,
            longest_ms: window_ms,
            scale: feature.map_or(1.0, |feature| feature.scale),
            least_deviation: if is_log { 0.3 } else { 0.0 },
            text: text.clone(),
        });
        self.measures.insert(text, at);
        if !self.plan.entities.contains(&entity) {
            self.plan.entities.push(entity);
        }
        at
    }
}

fn measure_text(keeps: Keeps, feature: &Feature) -> String {
    let of = match &feature.of {
        Of::Nothing => String::new(),
        Of::Value(term) => term.to_string(),
        Of::Text(text) => text.to_string(),
    };
    let only = feature.only.as_ref().map(ToString::to_string).unwrap_or_default();
    format!("{keeps:?}({of}; {only}).by({})", feature.entity.names())
}
