//! A version: rules that were checked, planned and found affordable, and never change.

use std::fmt::{self, Write as _};

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::catalogue::Entity;
use crate::cost::{Budget, CostCard};
use crate::file::Rule;
use crate::plan::Plan;

/// The most features of a version.
pub const MAX_FEATURES: usize = 1_000;

/// Why rules are no version.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum VersionError {
    /// More features than [`MAX_FEATURES`].
    #[error("the rules ask for {0} features: at most {MAX_FEATURES} in a version")]
    TooManyFeatures(usize),
    /// Dearer than the budget allows.
    #[error("{0}")]
    OverBudget(String),
    /// Two rules of one name, from two files.
    #[error("there are two rules `{0}`")]
    Twice(String),
}

/// The hash of what a version or a rule means: equal whatever its formatting and its order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MeaningHash([u8; 32]);

impl MeaningHash {
    fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// The 32 bytes of SHA-256.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for MeaningHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for MeaningHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An immutable bundle of rules with its plan, its cost and its hash.
#[derive(Debug)]
pub struct Version {
    rules: Vec<Rule>,
    plan: Plan,
    cost: CostCard,
    hash: MeaningHash,
}

impl Version {
    /// Plans the rules, in the order of their names.
    ///
    /// # Errors
    /// Two rules of one name; too many features; more than the budget allows.
    pub fn new(mut rules: Vec<Rule>, budget: &Budget) -> Result<Self, VersionError> {
        rules.sort_by(|one, other| one.name().cmp(other.name()));
        if let Some(twice) = rules.windows(2).find(|pair| pair[0].name() == pair[1].name()) {
            return Err(VersionError::Twice(twice[0].name().to_owned()));
        }
        let plan = Plan::new(&rules);
        if plan.slots.len() > MAX_FEATURES {
            return Err(VersionError::TooManyFeatures(plan.slots.len()));
        }
        let cost = CostCard::of(&plan);
        cost.check(budget).map_err(VersionError::OverBudget)?;
        let all: String = rules.iter().map(Rule::meaning).collect();
        Ok(Self {
            hash: MeaningHash::of(&all),
            rules,
            plan,
            cost,
        })
    }

    /// The rules, by name.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What it costs.
    #[must_use]
    pub fn cost(&self) -> &CostCard {
        &self.cost
    }

    /// The hash of what it means.
    #[must_use]
    pub fn hash(&self) -> MeaningHash {
        self.hash
    }

    /// The features that are computed, as the language has them.
    pub fn features(&self) -> impl Iterator<Item = &str> {
        self.plan.slots.iter().map(|slot| slot.text.as_str())
    }

    /// A rule, and a feature that it asks for, whose entity's transactions are not all where a
    /// user's are; `None` where every feature is computed there.
    #[must_use]
    pub fn feature_elsewhere(&self) -> Option<(String, String)> {
        let mut slots = self.plan.slots.iter();
        let slot = slots.find(|slot| !self.plan.measures[slot.measure].entity.is_with_user())?;
        let text = slot.text.as_str();
        let asks = |rule: &&Rule| {
            let mut is_asked = false;
            for term in rule.terms() {
                term.features(&mut |feature| is_asked |= feature.to_string() == text);
            }
            is_asked
        };
        let rule = self.rules.iter().find(asks).map_or("", Rule::name);
        Some((rule.to_owned(), text.to_owned()))
    }

    /// The entities whose history is kept.
    #[must_use]
    pub fn entities(&self) -> &[Entity] {
        &self.plan.entities
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }
}

impl Rule {
    /// The hash of what it means: its revision.
    #[must_use]
    pub fn revision(&self) -> MeaningHash {
        MeaningHash::of(&self.meaning())
    }

    /// One text for all rules that mean the same.
    fn meaning(&self) -> String {
        let mut text = String::new();
        let quiet = self.quiet.as_ref().map(ToString::to_string);
        let score = self.score.as_ref().map(ToString::to_string);
        let parts = [
            Some(self.name.clone()),
            Some(self.mode.to_string()),
            Some(self.severity.as_str().to_owned()),
            Some(self.when.to_string()),
            score,
            quiet,
            Some(self.reason.clone()),
            self.source.clone(),
        ];
        for part in parts {
            match part {
                // With its length, so that no two lists of parts have one text.
                Some(part) => {
                    let _ = write!(text, "{}:{part},", part.len());
                }
                None => text.push_str("-,"),
            }
        }
        text.push('\n');
        text
    }
}
