//! The language of fraud rules (docs/rules.md): from a file to what fires.
//!
//! [`parse_rules`] reads a file and checks it; [`Problem`] says what is wrong, where, and what to
//! write. [`Version`] plans the rules: equal features once, cheap conditions first, at a known
//! cost. [`Evaluator`] runs a version over records.
//!
//! Nothing in this crate does I/O, reads a clock or draws a random number.

mod catalogue;
mod check;
mod cost;
mod evaluator;
mod file;
mod histories;
mod library;
mod lists;
mod plan;
mod problem;
mod program;
mod reference;
mod state;
mod syntax;
mod term;
mod types;
mod version;

pub use catalogue::{Entity, WINDOWS};
pub use cost::{Budget, CostCard, FeatureCost, RECORDS_A_DAY};
pub use evaluator::{
    Check, Condition, Evaluator, Evidence, FeatureTrace, Figure, Fired, FrozenEvaluator, Judgement,
    RuleTrace, Sides, Tally, Unit,
};
pub use file::{MAX_FILE_LEN, MAX_LISTS, MAX_NAME_LEN, MAX_REASON_LEN, MAX_RULES, Mode, Rule, parse_rules};
pub use histories::{Histories, Known};
pub use library::LIBRARY;
pub use lists::LiveLists;
pub use problem::Problem;
pub use reference::reference;
pub use state::StateError;
pub use syntax::{MAX_DEPTH, MAX_EXPRESSION_LEN, MAX_TOKENS};
pub use version::{MAX_FEATURES, MeaningHash, Version, VersionError};

/// The detector's rules of today as files of this language, with what it cannot say.
pub const TODAY: &str = include_str!("../rules/today.yml");
