//! What a change makes of the rules.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use millrace_detector::{live_rules, rule_files, rules};
use millrace_domain::{RuleChange, RuleChangeStatus, RuleText};
use millrace_fraud::{DetectPolicy, RuleHistory};
use millrace_rules::{MAX_REASON_LEN, Mode};
use millrace_settings::Settings;

/// What is asked for.
#[derive(Debug)]
pub(super) enum Draft {
    /// Files, and whether what is new or changed is in shadow.
    Apply(Vec<RuleText>, bool),
    /// The command, rules, and their mode: `None` for that of their file.
    Mode(&'static str, Vec<String>, Option<Mode>),
    /// Back to the change before, or to that one.
    Rollback(Option<u64>),
    Approve(u64),
    Reject(u64),
}

impl Draft {
    /// Reads the files.
    pub(super) fn apply(files: &[PathBuf], shadow: bool) -> anyhow::Result<Self> {
        Ok(Self::Apply(texts(rule_files::read(files)?), shadow))
    }

    pub(super) fn mode(action: &'static str, rules: &[String], mode: &str) -> anyhow::Result<Self> {
        Ok(Self::Mode(action, rules.to_vec(), Some(parse(mode)?)))
    }

    pub(super) fn resume(rules: &[String], mode: Option<&str>) -> anyhow::Result<Self> {
        Ok(Self::Mode("resume", rules.to_vec(), mode.map(parse).transpose()?))
    }
}

fn parse(mode: &str) -> anyhow::Result<Mode> {
    Mode::parse(mode).with_context(|| {
        format!("{mode:?} is no mode: it is live, shadow, paused, draft, or a share as \"10 %\" (1 to 99)")
    })
}

pub(super) fn texts(files: Vec<millrace_fraud::RuleFile>) -> Vec<RuleText> {
    let text = |file: millrace_fraud::RuleFile| RuleText {
        name: file.name,
        text: file.text,
    };
    files.into_iter().map(text).collect()
}

/// Files of rules, and the modes that differ from them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Rules {
    pub(super) files: Vec<RuleText>,
    pub(super) modes: BTreeMap<String, String>,
}

impl Rules {
    pub(super) fn of(change: &RuleChange) -> Self {
        Self {
            files: change.files.clone(),
            modes: change.modes.iter().cloned().collect(),
        }
    }

    /// Those that the detector judges by: of the change in force, or of the configuration's files.
    pub(super) fn in_force(settings: &Settings, history: &RuleHistory) -> anyhow::Result<Self> {
        match history.in_force(settings.detector.rules.two_keys) {
            Some(change) => Ok(Self::of(change)),
            None => {
                let paths: Vec<_> = settings.detector.rules.files.iter().map(PathBuf::from).collect();
                let files = rule_files::read(&paths).context("detector.rules.files")?;
                Ok(Self {
                    files: texts(files),
                    modes: BTreeMap::new(),
                })
            }
        }
    }

    /// The policy of a detector of these settings that judges by them.
    ///
    /// # Errors
    /// What is wrong with the rules, or that they are too dear.
    pub(super) fn policy(&self, settings: &Settings) -> anyhow::Result<DetectPolicy> {
        let detector = &settings.detector;
        let base = DetectPolicy::new(rules::settings(detector)?)?;
        let files = self.files.iter().map(|file| millrace_fraud::RuleFile {
            name: file.name.clone(),
            text: file.text.clone(),
        });
        let policy = base.with_rule_set(files.collect(), self.modes.clone(), 0)?;
        rule_files::check_cost(&policy, &detector.budget)?;
        Ok(policy)
    }
}

/// Makes changes.
pub(super) struct Maker<'a> {
    pub(super) settings: &'a Settings,
    pub(super) history: &'a RuleHistory,
    pub(super) author: &'a str,
    pub(super) reason: &'a str,
    pub(super) now_ms: i64,
}

impl Maker<'_> {
    /// The change, checked as the detector will.
    ///
    /// # Errors
    /// Why it is refused, and what would be right.
    pub(super) fn make(&self, draft: Draft) -> anyhow::Result<RuleChange> {
        if self.reason.trim().is_empty() || self.reason.len() > MAX_REASON_LEN {
            bail!("--reason says why in 1 to {MAX_REASON_LEN} bytes");
        }
        let two_keys = self.settings.detector.rules.two_keys;
        let change = match draft {
            Draft::Approve(number) => {
                let proposal = self.history.approvable(number, self.author)?;
                RuleChange {
                    status: RuleChangeStatus::InForce,
                    proposal: Some(number),
                    author: proposal.author.clone(),
                    approved_by: Some(self.author.to_owned()),
                    ..self.change(&proposal.action, Rules::of(proposal))
                }
            }
            Draft::Reject(number) => {
                let proposal = self.history.open_proposal(number)?;
                return Ok(RuleChange {
                    status: RuleChangeStatus::Rejected,
                    proposal: Some(number),
                    version: proposal.version.clone(),
                    ..self.change("reject", Rules::default())
                });
            }
            draft => {
                let (action, rules) = self.rules_of(draft)?;
                let present = Rules::in_force(self.settings, self.history)?;
                if present == rules && self.in_force().is_some() {
                    bail!("nothing would change: the detector judges by these rules already");
                }
                RuleChange {
                    status: match two_keys {
                        true => RuleChangeStatus::Proposed,
                        false => RuleChangeStatus::InForce,
                    },
                    ..self.change(action, rules)
                }
            }
        };
        let base = DetectPolicy::new(rules::settings(&self.settings.detector)?)?;
        let policy = live_rules::policy_of(&base, &change, &self.settings.detector.budget)
            .context("the detector would refuse it")?;
        let version = policy.version().map(|version| version.hash().to_string());
        Ok(RuleChange {
            version: version.unwrap_or_default(),
            ..change
        })
    }

    fn in_force(&self) -> Option<&RuleChange> {
        self.history.in_force(self.settings.detector.rules.two_keys)
    }

    fn change(&self, action: &str, rules: Rules) -> RuleChange {
        RuleChange {
            number: self.history.next_number(),
            status: RuleChangeStatus::InForce,
            action: action.to_owned(),
            base: self.in_force().map_or(0, |change| change.number),
            proposal: None,
            version: String::new(),
            files: rules.files,
            modes: rules.modes.into_iter().collect(),
            author: self.author.to_owned(),
            approved_by: None,
            reason: self.reason.trim().to_owned(),
            time_ms: self.now_ms,
        }
    }

    fn rules_of(&self, draft: Draft) -> anyhow::Result<(&'static str, Rules)> {
        match draft {
            Draft::Apply(files, shadow) => Ok(("apply", self.applied(files, shadow)?)),
            Draft::Mode(action, names, mode) => Ok((action, self.in_mode(&names, mode)?)),
            Draft::Rollback(to) => Ok(("rollback", Rules::of(self.earlier(to)?))),
            Draft::Approve(_) | Draft::Reject(_) => bail!("a proposal is answered"),
        }
    }

    /// Other files. A mode that a command has given a rule which is still there stays.
    fn applied(&self, files: Vec<RuleText>, shadow: bool) -> anyhow::Result<Rules> {
        let present = Rules::in_force(self.settings, self.history)?;
        let mut rules = Rules {
            files,
            modes: BTreeMap::new(),
        };
        let policy = rules.policy(self.settings)?;
        let before = present.policy(self.settings).ok();
        let before = before.as_ref().and_then(|policy| policy.version());
        for rule in policy.version().map_or(&[][..], |version| version.rules()) {
            if let Some(mode) = present.modes.get(rule.name()) {
                rules.modes.insert(rule.name().to_owned(), mode.clone());
                continue;
            }
            let found = before.and_then(|version| {
                let mut rules = version.rules().iter();
                rules.find(|before| before.name() == rule.name())
            });
            let is_same = found.is_some_and(|before| before.revision() == rule.revision());
            let alerts = matches!(rule.mode(), Mode::Live | Mode::Share(_));
            if shadow && !is_same && alerts {
                rules
                    .modes
                    .insert(rule.name().to_owned(), Mode::Shadow.to_string());
            }
        }
        Ok(rules)
    }

    /// The present files with some rules in another mode.
    fn in_mode(&self, names: &[String], mode: Option<Mode>) -> anyhow::Result<Rules> {
        let mut rules = Rules::in_force(self.settings, self.history)?;
        let of_files = Rules {
            modes: BTreeMap::new(),
            ..rules.clone()
        };
        let policy = of_files.policy(self.settings)?;
        let known = policy.version().map_or(&[][..], |version| version.rules());
        for name in names {
            let Some(rule) = known.iter().find(|rule| rule.name() == name) else {
                let all: Vec<_> = known.iter().map(millrace_rules::Rule::name).collect();
                bail!(
                    "there is no rule {name:?} in the rule set: it has {}",
                    match all.is_empty() {
                        true => "none".to_owned(),
                        false => all.join(", "),
                    }
                );
            };
            let wanted = mode.unwrap_or(rule.mode());
            let present = rules.modes.get(name).and_then(|text| Mode::parse(text));
            if present.unwrap_or(rule.mode()) == wanted {
                let hint = match mode {
                    None => ", as its file says: --as gives another mode",
                    Some(_) => "",
                };
                bail!("the rule {name} is {wanted} already{hint}");
            }
            match wanted == rule.mode() {
                true => rules.modes.remove(name),
                false => rules.modes.insert(name.clone(), wanted.to_string()),
            };
        }
        Ok(rules)
    }

    /// The change to go back to.
    fn earlier(&self, to: Option<u64>) -> anyhow::Result<&RuleChange> {
        let held: Vec<_> = self.history.held(self.settings.detector.rules.two_keys).collect();
        let Some((present, before)) = held.split_last() else {
            bail!("there is no change to go back from");
        };
        let found = match to {
            Some(number) => held.iter().find(|change| change.number == number),
            None => before
                .iter()
                .rev()
                .find(|change| Rules::of(change) != Rules::of(present)),
        };
        match (found, to) {
            (Some(change), _) => Ok(change),
            (None, Some(number)) => {
                bail!("the change {number} has never held: `millrace rules history` lists those that have")
            }
            (None, None) => bail!(
                "there is no change before {} to go back to; those of files are applied with `millrace rules apply`",
                present.number
            ),
        }
    }
}
