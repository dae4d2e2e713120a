//! What `init` tells: a line for each thing that it made, changed, or that somebody should look at.

use std::fmt;

use millrace_domain::plan::{Action, Item, State};
use serde::Serialize;

/// What became of one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is new.
    Created,
    /// It was there, and this of it was changed: what, from what, to what, and why.
    Changed(String),
    /// It was there as it should be.
    Unchanged,
    /// It was left out, and why.
    Skipped(String),
    /// Somebody should look at it, and why.
    Warning(String),
    /// The pipeline cannot work with it, so that nothing was done to anything.
    Refused(String),
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What it is about, as `topic financial_transactions`.
    pub subject: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Whether it would be done only, as this is a dry run.
    pub is_planned: bool,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.subject)?;
        match (&self.outcome, self.is_planned) {
            (Outcome::Created, false) => f.write_str("created"),
            (Outcome::Created, true) => f.write_str("would be created"),
            (Outcome::Changed(what), false) => write!(f, "changed: {what}"),
            (Outcome::Changed(what), true) => write!(f, "would be changed: {what}"),
            (Outcome::Unchanged, _) => f.write_str("unchanged"),
            (Outcome::Skipped(reason), _) => write!(f, "skipped ({reason})"),
            (Outcome::Warning(reason), _) => write!(f, "warning: {reason}"),
            (Outcome::Refused(reason), _) => write!(f, "refused: {reason}"),
        }
    }
}

/// Every line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Report {
    /// In the order they were done.
    pub steps: Vec<Step>,
}

impl Report {
    /// The steps that are not what they were: made, changed, or to be looked at.
    pub fn news(&self) -> impl Iterator<Item = &Step> {
        self.steps
            .iter()
            .filter(|step| !matches!(step.outcome, Outcome::Unchanged))
    }
}

/// Collects the steps and tells of each.
pub struct Steps {
    pub(super) report: Report,
    pub(super) on_step: fn(&Step),
    pub(super) is_dry_run: bool,
}

impl Steps {
    pub(super) fn add(&mut self, subject: String, outcome: Outcome) {
        let step = Step {
            subject,
            outcome,
            is_planned: self.is_dry_run,
        };
        (self.on_step)(&step);
        self.report.steps.push(step);
    }

    /// Adds what becomes of an item: a line for what is changed of it, and one for each thing that
    /// stays.
    pub(super) fn add_item(&mut self, item: &Item) {
        let name = || item.name.clone();
        match &item.state {
            State::New => self.add(name(), Outcome::Created),
            State::AsWanted => self.add(name(), Outcome::Unchanged),
            State::Skipped(reason) => self.add(name(), Outcome::Skipped(reason.clone())),
            State::Warning(reason) => self.add(name(), Outcome::Warning(reason.clone())),
            State::Refused(reason) => self.add(name(), Outcome::Refused(reason.clone())),
            State::Differs(_) => {
                let said = |action| item.state.with(action).map(ToString::to_string);
                let changes: Vec<String> = said(Action::Change).collect();
                if !changes.is_empty() {
                    self.add(name(), Outcome::Changed(changes.join("; ")));
                }
                for kept in said(Action::Keep) {
                    self.add(name(), Outcome::Warning(kept));
                }
                for refused in said(Action::Refuse) {
                    self.add(name(), Outcome::Refused(refused));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use millrace_domain::plan::{Consent, Difference, Need};

    use super::*;

    fn steps_of(state: State, is_dry_run: bool) -> Vec<String> {
        let mut steps = Steps {
            report: Report::default(),
            on_step: |_| {},
            is_dry_run,
        };
        steps.add_item(&Item {
            name: "topic t".to_owned(),
            state,
        });
        steps.report.steps.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_changed_is_one_line_and_each_thing_that_stays_another() {
        let difference =
            |setting, need| Difference::decide(setting, ("1", "2"), (need, "why"), Consent::default());
        let state = State::of(vec![
            difference("a", Need::Required),
            difference("b", Need::Fixed),
            difference("c", Need::Required),
        ]);
        let (changed, kept) = ("a from 1 to 2: why; c from 1 to 2: why", "b stays 1, not 2: why");
        assert_eq!(
            steps_of(state.clone(), false),
            [
                format!("topic t: changed: {changed}"),
                format!("topic t: warning: {kept}")
            ]
        );
        assert_eq!(
            steps_of(state, true)[0],
            format!("topic t: would be changed: {changed}")
        );
        assert_eq!(steps_of(State::New, true), ["topic t: would be created"]);
    }
}
