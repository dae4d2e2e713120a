//! What is to be done about a setting of something that is there already, and is not as the
//! configuration says: found × wanted, without I/O.
//!
//! What others may have made is left alone, unless the pipeline would be wrong by it; nothing that
//! deletes is done unless it was asked for.

use std::fmt;

/// What whoever runs `millrace init` allows beyond what the pipeline depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Consent {
    /// Settings that somebody may have made are overwritten (`--overwrite`).
    pub overwrite: bool,
    /// Also where that deletes records or documents (`--accept-data-loss`).
    pub accept_data_loss: bool,
}

/// What a difference is to the pipeline, and what a change of it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// The pipeline depends on it, and the change takes nothing from anybody.
    Required,
    /// The pipeline works with what is there.
    Optional,
    /// The pipeline works with what is there, and the change deletes.
    Deletes,
    /// The pipeline does not work with what is there, and the change deletes.
    RequiredDeletes,
    /// The pipeline works with what is there, and `init` cannot change it.
    Fixed,
    /// The pipeline does not work with what is there, and `init` cannot change it.
    Impossible,
}

/// What is done about a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It stays, with a warning.
    Keep,
    /// It is made as the configuration says.
    Change,
    /// Nothing is done to anything, and the command fails.
    Refuse,
}

/// A setting that is not as the configuration says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Its name, as `retention.ms`.
    pub setting: String,
    /// What it is.
    pub found: String,
    /// What it should be.
    pub wanted: String,
    /// What is done.
    pub action: Action,
    /// What depends on it, or what follows.
    pub reason: String,
    need: Need,
}

impl Difference {
    /// Decides what is done about a setting that is `found` and should be `wanted`.
    #[must_use]
    pub fn decide(
        setting: &str,
        (found, wanted): (&str, &str),
        (need, reason): (Need, impl Into<String>),
        consent: Consent,
    ) -> Self {
        let may_delete = consent.overwrite && consent.accept_data_loss;
        let action = match need {
            Need::Required => Action::Change,
            Need::Optional if consent.overwrite => Action::Change,
            Need::Deletes | Need::RequiredDeletes if may_delete => Action::Change,
            Need::Optional | Need::Deletes | Need::Fixed => Action::Keep,
            Need::RequiredDeletes | Need::Impossible => Action::Refuse,
        };
        Self {
            setting: setting.to_owned(),
            found: found.to_owned(),
            wanted: wanted.to_owned(),
            action,
            reason: reason.into(),
            need,
        }
    }

    /// The flags of `millrace init` with which it is changed, where they are lacking.
    fn flags(&self) -> Option<&'static str> {
        match (self.action, self.need) {
            (Action::Keep, Need::Optional) => Some("--overwrite"),
            (Action::Keep, Need::Deletes) | (Action::Refuse, Need::RequiredDeletes) => {
                Some("--overwrite --accept-data-loss")
            }
            _ => None,
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            setting,
            found,
            wanted,
            reason,
            ..
        } = self;
        match self.action {
            Action::Keep => write!(f, "{setting} stays {found}, not {wanted}: {reason}")?,
            Action::Change => write!(f, "{setting} from {found} to {wanted}: {reason}")?,
            Action::Refuse => write!(f, "{setting} is {found} and must be {wanted}: {reason}")?,
        }
        match self.flags() {
            Some(flags) => write!(f, ". `millrace init {flags}` sets it"),
            None => Ok(()),
        }
    }
}

/// Something that `init` is to make, and what it found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its kind and name, as `topic financial_transactions`.
    pub name: String,
    /// What was found, and what is done.
    pub state: State,
}

/// What was found of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is not there, and is made.
    New,
    /// It is there as it should be.
    AsWanted,
    /// It is there, and differs; never empty.
    Differs(Vec<Difference>),
    /// It is left out, and why.
    Skipped(String),
    /// It is left alone, and somebody should look at it.
    Warning(String),
    /// The pipeline cannot work with it, and `init` cannot mend it: why, and what to do.
    Refused(String),
}

impl State {
    /// Of something that is there and has these differences.
    #[must_use]
    pub fn of(differences: Vec<Difference>) -> Self {
        match differences.is_empty() {
            true => Self::AsWanted,
            false => Self::Differs(differences),
        }
    }

    /// The differences about which this is done.
    pub fn with(&self, action: Action) -> impl Iterator<Item = &Difference> {
        let differences = match self {
            Self::Differs(differences) => differences.as_slice(),
            _ => &[],
        };
        differences.iter().filter(move |it| it.action == action)
    }

    /// Whether something is written.
    #[must_use]
    pub fn is_written(&self) -> bool {
        matches!(self, Self::New) || self.with(Action::Change).next().is_some()
    }

    /// Why nothing may be written at all.
    #[must_use]
    pub fn refusals(&self) -> Vec<String> {
        match self {
            Self::Refused(reason) => vec![reason.clone()],
            _ => self.with(Action::Refuse).map(ToString::to_string).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Consent; 4] = [
        consent(false, false),
        consent(true, false),
        consent(false, true),
        consent(true, true),
    ];

    const fn consent(overwrite: bool, accept_data_loss: bool) -> Consent {
        Consent {
            overwrite,
            accept_data_loss,
        }
    }

    fn actions(need: Need) -> [Action; 4] {
        ALL.map(|consent| Difference::decide("a", ("1", "2"), (need, "why"), consent).action)
    }

    #[test]
    fn only_what_is_needed_or_asked_for_is_changed_and_deletion_is_asked_for_twice() {
        use Action::{Change, Keep, Refuse};
        for (need, expected) in [
            (Need::Required, [Change; 4]),
            (Need::Optional, [Keep, Change, Keep, Change]),
            (Need::Deletes, [Keep, Keep, Keep, Change]),
            (Need::RequiredDeletes, [Refuse, Refuse, Refuse, Change]),
            (Need::Fixed, [Keep; 4]),
            (Need::Impossible, [Refuse; 4]),
        ] {
            assert_eq!(actions(need), expected, "{need:?}");
        }
    }

    #[test]
    fn the_words_name_both_values_the_reason_and_the_way_on() {
        let said = |need| {
            Difference::decide("retention.ms", ("1", "2"), (need, "why"), Consent::default()).to_string()
        };
        assert_eq!(said(Need::Required), "retention.ms from 1 to 2: why");
        assert_eq!(
            said(Need::Optional),
            "retention.ms stays 1, not 2: why. `millrace init --overwrite` sets it"
        );
        assert_eq!(
            said(Need::RequiredDeletes),
            "retention.ms is 1 and must be 2: why. `millrace init --overwrite --accept-data-loss` sets it"
        );
        assert_eq!(said(Need::Impossible), "retention.ms is 1 and must be 2: why");
    }
}
