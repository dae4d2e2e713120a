//! `millrace rules diff`

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use millrace_detector::rule_files;
use millrace_fraud::RuleHistory;
use millrace_rules::{Rule, Version};
use millrace_settings::Settings;
use serde::Serialize;

use super::change::{Rules, texts};

/// What to compare.
#[derive(Debug, Args)]
pub(in crate::rules) struct Options {
    /// Files of rules, directories of them, or library/NAME; a change if none is given
    #[arg(value_name = "FILE", required_unless_present = "to")]
    files: Vec<PathBuf>,
    /// The change to compare with, in place of the rules that are judged by
    #[arg(long, value_name = "NUMBER")]
    from: Option<u64>,
    /// The change, or proposal, in place of files
    #[arg(long, value_name = "NUMBER", conflicts_with = "files")]
    to: Option<u64>,
    /// The answer as JSON
    #[arg(long)]
    json: bool,
}

/// What differs of the rules of one version and another.
#[derive(Debug, PartialEq, Eq, Serialize, Default)]
pub(super) struct Diff {
    pub(super) added: Vec<Side>,
    pub(super) removed: Vec<Side>,
    /// Before and after.
    pub(super) changed: Vec<(Side, Side)>,
    pub(super) same: usize,
}

/// A rule of one of them.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Side {
    pub(super) rule: String,
    pub(super) mode: String,
    pub(super) severity: &'static str,
    pub(super) revision: String,
}

impl Diff {
    pub(super) fn of(before: Option<&Version>, after: Option<&Version>) -> Self {
        let side = |rule: &Rule| Side {
            rule: rule.name().to_owned(),
            mode: rule.mode().to_string(),
            severity: rule.severity().as_str(),
            revision: rule.revision().to_string(),
        };
        let rules = |version: Option<&Version>| -> Vec<Rule> {
            version.map_or_else(Vec::new, |version| version.rules().to_vec())
        };
        let (before, after) = (rules(before), rules(after));
        let find = |rules: &[Rule], name: &str| rules.iter().find(|rule| rule.name() == name).cloned();
        let mut diff = Self::default();
        for rule in &after {
            match find(&before, rule.name()) {
                None => diff.added.push(side(rule)),
                Some(earlier) if earlier.revision() == rule.revision() => diff.same += 1,
                Some(earlier) => diff.changed.push((side(&earlier), side(rule))),
            }
        }
        let gone = before.iter().filter(|rule| find(&after, rule.name()).is_none());
        diff.removed = gone.map(side).collect();
        diff
    }

    /// A line for each rule that differs.
    pub(super) fn lines(&self) -> Vec<String> {
        let short = |side: &Side| side.revision.get(..8).unwrap_or_default().to_owned();
        let mut lines = Vec::new();
        for side in &self.added {
            lines.push(format!("+ {} ({}, {})", side.rule, side.mode, short(side)));
        }
        for side in &self.removed {
            lines.push(format!("- {} ({}, {})", side.rule, side.mode, short(side)));
        }
        for (before, after) in &self.changed {
            let mode = match before.mode == after.mode {
                true => after.mode.clone(),
                false => format!("{} -> {}", before.mode, after.mode),
            };
            lines.push(format!(
                "~ {} ({mode}, {} -> {})",
                after.rule,
                short(before),
                short(after)
            ));
        }
        lines.push(format!("{} rules are the same", self.same));
        lines
    }
}

pub(super) fn command(
    settings: &Settings,
    history: &RuleHistory,
    options: &Options,
) -> anyhow::Result<ExitCode> {
    let of_change = |number: u64| {
        let change = history.get(number);
        change
            .map(Rules::of)
            .with_context(|| format!("there is no change {number}: `millrace rules history` lists them"))
    };
    let before = match options.from {
        Some(number) => of_change(number)?,
        None => Rules::in_force(settings, history)?,
    };
    let after = match options.to {
        Some(number) => of_change(number)?,
        None => Rules {
            files: texts(rule_files::read(&options.files)?),
            ..Rules::default()
        },
    };
    let version = |rules: &Rules| -> anyhow::Result<Option<Arc<Version>>> {
        Ok(rules.policy(settings)?.version().cloned())
    };
    let diff = Diff::of(version(&before)?.as_deref(), version(&after)?.as_deref());
    match options.json {
        true => say!("{}", serde_json::to_string_pretty(&diff)?),
        false => say!("{}", diff.lines().join("\n")),
    }
    Ok(ExitCode::SUCCESS)
}
