//! Kinds of fraud as data: weighted sums of rules.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use millrace_domain::Severity;
use serde::Deserialize;

/// The most typologies.
const MOST: usize = 200;
/// The longest name in bytes.
const MAX_NAME_LEN: usize = 64;
/// How long an incident of a rule that no typology names is open without an alert: a day.
const DEFAULT_QUIET_MS: i64 = 86_400_000;
/// The longest quiet time: 30 days, the longest window of a rule.
const MAX_QUIET_MS: i64 = 30 * 86_400_000;

/// A kind of fraud.
#[derive(Debug, Clone, PartialEq)]
pub struct Typology {
    /// Its name.
    pub name: String,
    /// What each rule adds to the score, once.
    pub rules: BTreeMap<String, f64>,
    /// The score from which on an incident is told.
    pub threshold: f64,
    /// How long event time may go on without an alert before the incident is closed, in
    /// milliseconds.
    pub quiet_ms: i64,
    /// How bad it is; `None`: as bad as its worst alert.
    pub severity: Option<Severity>,
    /// A sentence for the analyst.
    pub reason: String,
}

/// All kinds, each rule in one or several. A rule that none of them names is a kind by itself.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Typologies {
    all: Vec<Typology>,
    by_rule: BTreeMap<String, Vec<usize>>,
}

/// What is wrong with a file of typologies.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TypologyError {
    /// It is no YAML of this form.
    #[error("{0}")]
    Yaml(String),
    /// A typology is wrong.
    #[error("typology {name:?}: {why}")]
    Typology {
        /// Its name.
        name: String,
        /// What is wrong, and what would be right.
        why: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    typologies: Vec<Raw>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: String,
    rules: BTreeMap<String, f64>,
    threshold: f64,
    quiet: String,
    severity: Option<String>,
    reason: String,
    #[serde(rename = "source")]
    _source: Option<String>,
}

impl Typologies {
    /// Reads a file of typologies (YAML). `rules` are the names of the rules that there are; a
    /// typology that names another is refused.
    ///
    /// # Errors
    /// The first typology that is wrong, and what would be right.
    pub fn parse(text: &str, rules: &BTreeSet<&str>) -> Result<Self, TypologyError> {
        Self::read(text, Some(rules))
    }

    /// As [`Self::parse`], where the rules are others' and change while this is used: a rule that
    /// there is not never fires.
    ///
    /// # Errors
    /// The first typology that is wrong, and what would be right.
    pub fn parse_of_any_rules(text: &str) -> Result<Self, TypologyError> {
        Self::read(text, None)
    }

    fn read(text: &str, rules: Option<&BTreeSet<&str>>) -> Result<Self, TypologyError> {
        let raw: RawFile =
            serde_yaml_ng::from_str(text).map_err(|error| TypologyError::Yaml(error.to_string()))?;
        if raw.typologies.len() > MOST {
            let count = raw.typologies.len();
            let why = format!("the file has {count} typologies: at most {MOST}");
            return Err(TypologyError::Yaml(why));
        }
        let mut found = Self::default();
        for raw in raw.typologies {
            let name = raw.name.clone();
            let typology = found
                .check(raw, rules)
                .map_err(|why| TypologyError::Typology { name, why })?;
            found.add(typology);
        }
        Ok(found)
    }

    fn check(&self, raw: Raw, rules: Option<&BTreeSet<&str>>) -> Result<Typology, String> {
        if !is_name(&raw.name) {
            return Err(format!(
                "a name is a letter, then letters, digits and `_` in lower case, at most {MAX_NAME_LEN}"
            ));
        }
        if self.all.iter().any(|known| known.name == raw.name) {
            return Err("there are two of this name".to_owned());
        }
        // A rule without a typology is one by its own name.
        if let Some(rules) = rules {
            if rules.contains(raw.name.as_str()) && !raw.rules.contains_key(&raw.name) {
                return Err("it has the name of a rule that it does not name".to_owned());
            }
            if let Some(unknown) = raw.rules.keys().find(|rule| !rules.contains(rule.as_str())) {
                return Err(format!("there is no rule {unknown:?}"));
            }
        }
        let weights: Vec<f64> = raw.rules.values().copied().collect();
        if weights.is_empty() || weights.iter().any(|weight| !weight.is_finite() || *weight <= 0.0) {
            return Err("it needs rules, each with a weight above 0".to_owned());
        }
        let all: f64 = weights.iter().sum();
        // What the same weights add up to in another order may be less by a rounding.
        if !raw.threshold.is_finite() || raw.threshold <= 0.0 || raw.threshold > all * (1.0 + 1e-9) {
            return Err(format!(
                "the threshold is {}: above 0, and at most {all}, what all its rules add up to",
                raw.threshold
            ));
        }
        if raw.reason.trim().is_empty() {
            return Err("it needs a reason".to_owned());
        }
        Ok(Typology {
            quiet_ms: quiet_ms(&raw.quiet)?,
            severity: raw.severity.as_deref().map(severity).transpose()?,
            name: raw.name,
            rules: raw.rules,
            threshold: raw.threshold,
            reason: raw.reason.trim().to_owned(),
        })
    }

    fn add(&mut self, typology: Typology) {
        let at = self.all.len();
        for rule in typology.rules.keys() {
            self.by_rule.entry(rule.clone()).or_default().push(at);
        }
        self.all.push(typology);
    }

    /// A rule's typologies. One that has none is one by itself, so that no alert is without an
    /// incident.
    pub(crate) fn of_rule(&self, rule: &str, reason: &str) -> Vec<Cow<'_, Typology>> {
        if let Some(places) = self.by_rule.get(rule) {
            let known = places.iter().filter_map(|&place| self.all.get(place));
            return known.map(Cow::Borrowed).collect();
        }
        let mut name = rule.to_owned();
        while self.all.iter().any(|known| known.name == name) {
            name.push_str("_alone");
        }
        vec![Cow::Owned(Typology {
            name,
            rules: BTreeMap::from([(rule.to_owned(), 1.0)]),
            threshold: 1.0,
            quiet_ms: DEFAULT_QUIET_MS,
            severity: None,
            reason: reason.to_owned(),
        })]
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Typology> {
        self.all.iter()
    }
}

fn quiet_ms(text: &str) -> Result<i64, String> {
    let wrong = || format!("quiet is {text:?}: a time as `24h`, of at most 30 days");
    let quiet: Duration = humantime::parse_duration(text).map_err(|_| wrong())?;
    let ms = i64::try_from(quiet.as_millis()).map_err(|_| wrong())?;
    if (1..=MAX_QUIET_MS).contains(&ms) {
        Ok(ms)
    } else {
        Err(wrong())
    }
}

fn severity(text: &str) -> Result<Severity, String> {
    Severity::parse(text).ok_or_else(|| {
        let all = Severity::ALL.map(Severity::as_str).join(", ");
        format!("severity is {text:?}: one of {all}")
    })
}

fn is_name(name: &str) -> bool {
    name.len() <= MAX_NAME_LEN
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}
