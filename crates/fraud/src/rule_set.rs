//! Rules as data: the version of a policy's files, and its part of an operator.

use std::collections::BTreeMap;
use std::sync::Arc;

use millrace_domain::{Anomaly, EntityType, Evidence, RuleOrigin, Transaction};
use millrace_engine::{HashSeed, RestoreError};
use millrace_rules::{
    Budget, Evaluator, Fired, FrozenEvaluator, LiveLists, Mode, Rule, Version, parse_rules,
};
use thiserror::Error;

use crate::listings::ListSettings;
use crate::settings::DetectSettings;
use crate::snoozed::Snoozed;

/// The most bytes of a rule set's files together. A change of policy is one record of the control
/// topic with the policy before and after it, which has to fit into a megabyte.
pub const MAX_RULE_SET_LEN: usize = 256 * 1024;

/// Why files are no rule set of the detector.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RuleSetError {
    /// More bytes than [`MAX_RULE_SET_LEN`].
    #[error("the files of rules have {0} bytes together: at most {MAX_RULE_SET_LEN}")]
    TooLong(usize),
    /// What is wrong, each with file, line and column.
    #[error("the rules are wrong:\n{}", .0.join("\n"))]
    Wrong(Vec<String>),
    /// They are no version: two of one name, or too many features.
    #[error(transparent)]
    NoVersion(#[from] millrace_rules::VersionError),
    /// A built-in rule that runs has the name, and an anomaly's id is made of it.
    #[error(
        "the rule `{0}` has the name of a built-in rule: rename it, or set \
         detector.rules.{0}.enabled: false"
    )]
    BuiltIn(String),
    /// A feature of an entity whose transactions are not all in one partition.
    #[error(
        "the rule `{rule}` asks for {feature}, which looks at transactions of many users: the detector sees \
         those of one partition's users alone, and cannot judge by it. `millrace detect` over files can"
    )]
    Elsewhere {
        /// The rule.
        rule: String,
        /// The feature, as the language has it.
        feature: String,
    },
    /// A mode of a rule that the rule set does not have.
    #[error("there is no rule `{0}` in the rule set, to have another mode")]
    NoRule(String),
    /// A mode that is none.
    #[error(
        "{mode:?} is no mode for the rule `{rule}`: draft, shadow, a share as `10 %` (1 to 99), live or \
         paused"
    )]
    NoMode {
        /// The rule.
        rule: String,
        /// What is no mode.
        mode: String,
    },
}

/// The version of files; `None` of no files. Whoever takes them from a user checks what they cost.
pub(crate) fn version(settings: &DetectSettings) -> Result<Option<Arc<Version>>, RuleSetError> {
    let (files, built_in) = (&settings.rule_set, &settings.rules);
    if let (true, Some(rule)) = (files.is_empty(), settings.rule_modes.keys().next()) {
        return Err(RuleSetError::NoRule(rule.clone()));
    }
    if files.is_empty() {
        return Ok(None);
    }
    let length = files.iter().map(|file| file.name.len() + file.text.len()).sum();
    if length > MAX_RULE_SET_LEN {
        return Err(RuleSetError::TooLong(length));
    }
    let (mut rules, mut wrong) = (Vec::new(), Vec::new());
    for file in files {
        match parse_rules(&file.text) {
            Ok(found) => rules.extend(found),
            Err(problems) => {
                wrong.extend(
                    problems
                        .iter()
                        .map(|problem| problem.line(&file.name, &file.text)),
                );
            }
        }
    }
    if !wrong.is_empty() {
        return Err(RuleSetError::Wrong(wrong));
    }
    let version = Version::new(in_modes(rules, &settings.rule_modes)?, &Budget::UNLIMITED)?;
    for name in built_in.names() {
        if version.rules().iter().any(|rule| rule.name() == name) {
            return Err(RuleSetError::BuiltIn(name.to_owned()));
        }
    }
    match version.feature_elsewhere() {
        Some((rule, feature)) => Err(RuleSetError::Elsewhere { rule, feature }),
        None => Ok(Some(Arc::new(version))),
    }
}

/// The rules, those of another mode than their file says in that one.
fn in_modes(rules: Vec<Rule>, modes: &BTreeMap<String, String>) -> Result<Vec<Rule>, RuleSetError> {
    if let Some(unknown) = modes
        .keys()
        .find(|name| rules.iter().all(|rule| rule.name() != name.as_str()))
    {
        return Err(RuleSetError::NoRule(unknown.clone()));
    }
    let in_mode = |rule: Rule| match modes.get(rule.name()) {
        None => Ok(rule),
        Some(text) => match Mode::parse(text) {
            Some(mode) => Ok(rule.in_mode(mode)),
            None => Err(RuleSetError::NoMode {
                rule: rule.name().to_owned(),
                mode: text.clone(),
            }),
        },
    };
    rules.into_iter().map(in_mode).collect()
}

/// A rule set over one partition.
#[derive(Debug, Clone)]
pub(crate) struct RuleSet {
    evaluator: Evaluator,
    /// By rule: what its anomalies say of it.
    origins: Vec<Arc<RuleOrigin>>,
    /// Reused from record to record.
    fired: Vec<Fired>,
}

impl RuleSet {
    /// Before the first record.
    pub(crate) fn new(version: Arc<Version>, seed: HashSeed, lists: &Arc<LiveLists>) -> Self {
        Self::of(Evaluator::new(version, table_seed(seed)), lists)
    }

    fn of(mut evaluator: Evaluator, lists: &Arc<LiveLists>) -> Self {
        evaluator.set_lists(lists);
        Self {
            origins: origins(evaluator.version()),
            evaluator,
            fired: Vec::new(),
        }
    }

    /// What of it the transaction is judged by.
    pub(crate) fn around(&self, transaction: &Transaction) -> Self {
        Self {
            evaluator: self.evaluator.around(transaction),
            origins: self.origins.clone(),
            fired: Vec::new(),
        }
    }

    /// Learns an accepted transaction, and judges it.
    pub(crate) fn judge(
        &mut self,
        transaction: &Transaction,
        watermark_ms: Option<i64>,
        (lists, snoozed): (&ListSettings, &mut Snoozed),
        outputs: &mut Vec<Anomaly>,
    ) {
        self.advance(watermark_ms);
        self.fired.clear();
        self.evaluator.process(transaction, &mut self.fired);
        let rules = self.evaluator.version().rules();
        let (user, time_ms) = (&transaction.user_id, transaction.transaction_time_ms);
        let told = self
            .fired
            .iter()
            .filter(|fired| fired.alerts && !snoozed.take(lists, rules[fired.rule].name(), user, time_ms));
        outputs.extend(told.map(|fired| self.anomaly(transaction, fired)));
    }

    /// Looks into other lists from the next transaction on.
    pub(crate) fn set_lists(&mut self, lists: &Arc<LiveLists>) {
        self.evaluator.set_lists(lists);
    }

    pub(crate) fn advance(&mut self, watermark_ms: Option<i64>) {
        if let Some(watermark_ms) = watermark_ms {
            self.evaluator.advance(watermark_ms);
        }
    }

    /// What a rule of the set says of the transaction that was processed last.
    #[cold]
    fn anomaly(&self, transaction: &Transaction, fired: &Fired) -> Anomaly {
        let rule = &self.evaluator.version().rules()[fired.rule];
        let evidence = self.evaluator.evidence(transaction, fired.rule);
        let figure = |found: millrace_rules::Evidence<'_>| {
            let name = match found.unit.text() {
                None => found.feature.to_owned(),
                Some(unit) => format!("{} {unit}", found.feature),
            };
            Some((name.into(), found.value?))
        };
        let mut figures: Vec<_> = evidence.into_iter().filter_map(figure).collect();
        figures
            .sort_unstable_by(|(one, _): &(std::borrow::Cow<'static, str>, f64), (other, _)| one.cmp(other));
        let (user, id) = (transaction.user_id, transaction.transaction_id);
        Anomaly {
            id: Anomaly::id_of(rule.name(), &user, &id),
            rule: rule.name().to_owned().into(),
            entity_type: EntityType::User,
            entity: user,
            severity: fired.severity,
            score: fired.score.unwrap_or(1.0),
            evidence: Evidence {
                transaction_ids: vec![id],
                figures,
            },
            event_time_ms: transaction.transaction_time_ms,
            origin: Some(Arc::clone(&self.origins[fired.rule])),
        }
    }

    /// Goes on with another version: what both keep stays.
    pub(crate) fn change(&mut self, version: &Arc<Version>) {
        self.evaluator.change(version);
        self.origins = origins(self.evaluator.version());
    }

    pub(crate) fn evaluator(&self) -> &Evaluator {
        &self.evaluator
    }

    pub(crate) fn freeze(&mut self) -> FrozenEvaluator {
        self.evaluator.freeze()
    }

    /// The rule set of a state's last bytes, which begin at `at`.
    pub(crate) fn restore(
        version: Arc<Version>,
        seed: HashSeed,
        lists: &Arc<LiveLists>,
        (bytes, at): (&[u8], usize),
    ) -> Result<Self, RestoreError> {
        let invalid = |what| RestoreError::Invalid { what, at };
        let (evaluator, anew) = Evaluator::decode(version, table_seed(seed), bytes)
            .map_err(|_| invalid("state of the rule set"))?;
        // They are of the same version: what is not there was named otherwise by another release.
        if !anew.is_empty() {
            return Err(invalid("set of states for its rule set"));
        }
        Ok(Self::of(evaluator, lists))
    }
}

fn table_seed(seed: HashSeed) -> usize {
    seed.hash_words((0, 0)) as usize
}

fn origins(version: &Version) -> Vec<Arc<RuleOrigin>> {
    let rule_set_version = version.hash().to_string();
    let origin = |rule: &millrace_rules::Rule| RuleOrigin {
        rule_set_version: rule_set_version.clone(),
        revision: rule.revision().to_string(),
        reason: rule.reason().to_owned(),
        reason_codes: vec![rule.name().to_owned()],
    };
    version
        .rules()
        .iter()
        .map(|rule| Arc::new(origin(rule)))
        .collect()
}
