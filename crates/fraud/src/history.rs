//! The changes of a rule set, and which of them is in force.

use std::collections::BTreeMap;

use millrace_domain::{RuleChange, RuleChangeStatus};
use thiserror::Error;

/// The most changes that are kept: older ones are removed as newer ones are made.
pub const MAX_CHANGES: usize = 500;

/// Changes by their numbers.
#[derive(Debug, Clone, Default)]
pub struct RuleHistory {
    changes: BTreeMap<u64, RuleChange>,
}

/// Why a proposal cannot be answered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AnswerError {
    /// There is no such change.
    #[error("there is no change {0}: `millrace rules history` lists them")]
    Unknown(u64),
    /// It is in force by itself, or says no itself.
    #[error("the change {0} is no proposal")]
    NoProposal(u64),
    /// Somebody was faster.
    #[error("the proposal {proposal} was answered by the change {answer}")]
    Answered {
        /// The proposal.
        proposal: u64,
        /// What answered it.
        answer: u64,
    },
    /// What it was made on is not in force any more.
    #[error(
        "the proposal {proposal} was made on the change {base}, and {now} is in force now: propose it anew"
    )]
    Overtaken {
        /// The proposal.
        proposal: u64,
        /// What it was made on.
        base: u64,
        /// What is in force.
        now: u64,
    },
    /// Both keys are of one person.
    #[error("{0} has proposed it: a second person has to approve it")]
    SamePerson(String),
}

impl RuleHistory {
    /// Adds a change.
    pub fn add(&mut self, change: RuleChange) {
        self.changes.insert(change.number, change);
    }

    /// Forgets a change, by its number.
    pub fn remove(&mut self, number: u64) {
        self.changes.remove(&number);
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// All of them, the oldest first.
    pub fn changes(&self) -> impl DoubleEndedIterator<Item = &RuleChange> {
        self.changes.values()
    }

    /// A change by its number.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<&RuleChange> {
        self.changes.get(&number)
    }

    /// The number of the next change.
    #[must_use]
    pub fn next_number(&self) -> u64 {
        self.changes.keys().next_back().map_or(1, |last| last + 1)
    }

    /// The changes that have held, the oldest first; the last is in force. Where two keys are
    /// asked for, one with a single key holds only before the first that has two.
    pub fn held(&self, two_keys: bool) -> impl Iterator<Item = &RuleChange> {
        let mut is_sealed = false;
        self.changes.values().filter(move |change| {
            let has_two_keys = change.has_two_keys();
            let holds = has_two_keys || !(two_keys && is_sealed);
            let is_of_force = change.status == RuleChangeStatus::InForce;
            is_sealed |= is_of_force && has_two_keys;
            is_of_force && holds
        })
    }

    /// The change that is in force; `None` where none is, and the configuration's rules are.
    #[must_use]
    pub fn in_force(&self, two_keys: bool) -> Option<&RuleChange> {
        self.held(two_keys).last()
    }

    /// The change that has answered a proposal.
    #[must_use]
    pub fn answer(&self, proposal: u64) -> Option<&RuleChange> {
        self.changes
            .values()
            .find(|change| change.proposal == Some(proposal))
    }

    /// A proposal that may be answered still.
    ///
    /// # Errors
    /// There is none of this number, or it was answered.
    pub fn open_proposal(&self, number: u64) -> Result<&RuleChange, AnswerError> {
        let proposal = self.get(number).ok_or(AnswerError::Unknown(number))?;
        if proposal.status != RuleChangeStatus::Proposed {
            return Err(AnswerError::NoProposal(number));
        }
        match self.answer(number) {
            Some(answer) => Err(AnswerError::Answered {
                proposal: number,
                answer: answer.number,
            }),
            None => Ok(proposal),
        }
    }

    /// A proposal that `second` may approve.
    ///
    /// # Errors
    /// As of [`Self::open_proposal`]; or it is the proposer's own, or was overtaken.
    pub fn approvable(&self, number: u64, second: &str) -> Result<&RuleChange, AnswerError> {
        let proposal = self.open_proposal(number)?;
        if proposal.author == second {
            return Err(AnswerError::SamePerson(second.to_owned()));
        }
        let now = self.in_force(true).map_or(0, |change| change.number);
        if now != proposal.base {
            return Err(AnswerError::Overtaken {
                proposal: number,
                base: proposal.base,
                now,
            });
        }
        Ok(proposal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(number: u64, status: RuleChangeStatus, second: Option<&str>) -> RuleChange {
        RuleChange {
            number,
            status,
            action: "apply".to_owned(),
            base: 0,
            proposal: None,
            version: String::new(),
            files: Vec::new(),
            modes: Vec::new(),
            author: "ann".to_owned(),
            approved_by: second.map(str::to_owned),
            reason: "r".to_owned(),
            time_ms: 0,
        }
    }

    fn history(changes: impl IntoIterator<Item = RuleChange>) -> RuleHistory {
        let mut history = RuleHistory::default();
        changes.into_iter().for_each(|change| history.add(change));
        history
    }

    use RuleChangeStatus::{InForce, Proposed, Rejected};

    #[test]
    fn the_newest_that_holds_is_in_force() {
        let history = history([
            change(1, InForce, None),
            change(2, Proposed, None),
            change(3, InForce, None),
            change(4, Rejected, None),
        ]);
        assert_eq!(history.in_force(false).map(|found| found.number), Some(3));
        assert_eq!(history.next_number(), 5);
        assert!(RuleHistory::default().in_force(true).is_none());
    }

    #[test]
    fn after_the_first_change_of_two_keys_one_is_not_enough() {
        let all = [
            change(1, InForce, None),
            change(2, InForce, Some("bob")),
            change(3, InForce, None),
            change(4, InForce, Some("ann")),
        ];
        let history = history(all);
        let held = |two_keys| -> Vec<_> { history.held(two_keys).map(|it| it.number).collect() };
        assert_eq!(held(true), [1, 2]);
        assert_eq!(held(false), [1, 2, 3, 4]);
    }

    #[test]
    fn a_proposal_is_approved_once_by_somebody_else_over_what_it_was_made_on() {
        let proposal = RuleChange {
            base: 1,
            ..change(2, Proposed, None)
        };
        let mut history = history([change(1, InForce, None), proposal]);
        assert_eq!(history.approvable(7, "bob"), Err(AnswerError::Unknown(7)));
        assert_eq!(history.approvable(1, "bob"), Err(AnswerError::NoProposal(1)));
        let own = history.approvable(2, "ann");
        assert_eq!(own, Err(AnswerError::SamePerson("ann".to_owned())));
        assert_eq!(history.approvable(2, "bob").map(|found| found.number), Ok(2));
        let mut overtaken = history.clone();
        overtaken.add(change(3, InForce, Some("bob")));
        let expected = AnswerError::Overtaken {
            proposal: 2,
            base: 1,
            now: 3,
        };
        assert_eq!(overtaken.approvable(2, "bob"), Err(expected));
        history.add(RuleChange {
            proposal: Some(2),
            ..change(3, Rejected, None)
        });
        let answered = AnswerError::Answered {
            proposal: 2,
            answer: 3,
        };
        assert_eq!(history.approvable(2, "bob"), Err(answered));
    }
}
