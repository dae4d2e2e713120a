//! What a replay takes from the control records: the policy that it begins with, and the events
//! beside the records.

use std::collections::VecDeque;

use super::ControlRecord;

/// The policy that a replay from `from` begins with, by a partition's control records in their
/// order; `None` where nothing says so. The first that speaks of a policy from there on tells which
/// one it was until then.
pub(crate) fn policy_at(records: &[ControlRecord], from: i64) -> Option<&str> {
    records
        .iter()
        .filter(|record| record.offset() >= from)
        .find_map(|record| match record {
            ControlRecord::Configure {
                before: Some(before), ..
            } => Some(before.as_str()),
            other => other.policy().map(|(policy, _)| policy),
        })
        .or_else(|| {
            // None has spoken since: the last before it holds.
            records
                .iter()
                .rev()
                .find_map(|record| record.policy().map(|(policy, _)| policy))
        })
}

/// An event beside the records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Directive {
    /// The watermark is moved to this time, in milliseconds since 1970.
    Advance(i64),
    /// The task gets this policy.
    Configure(String),
}

/// The events that a replay has to repeat, in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Directives(VecDeque<(i64, Directive)>);

impl Directives {
    /// Keeps those of `records` that belong to a replay from `from`, of a state that has had the
    /// first `done` of those at that offset, to the committed offset `to`.
    pub(crate) fn between(records: &[ControlRecord], from: i64, done: u32, to: i64) -> Self {
        let directive = |record: &ControlRecord| {
            let (offset, nth, directive) = match record {
                ControlRecord::Advance {
                    offset,
                    watermark_ms,
                    nth,
                } => (*offset, *nth, Directive::Advance(*watermark_ms)),
                ControlRecord::Configure {
                    offset, nth, policy, ..
                } => (*offset, *nth, Directive::Configure(policy.clone())),
                ControlRecord::Policy { .. }
                | ControlRecord::Refused { .. }
                | ControlRecord::Watermark { .. } => return None,
            };
            let is_done = offset < from || (offset == from && nth < done);
            (!is_done && offset <= to).then_some((offset, directive))
        };
        Self(records.iter().filter_map(directive).collect())
    }

    /// Takes the next one, with the offset of the record that it happened before.
    pub fn take(&mut self) -> Option<(i64, Directive)> {
        self.0.pop_front()
    }

    /// Takes the next one that happened before the record with `offset` was processed.
    pub fn take_before(&mut self, offset: i64) -> Option<Directive> {
        self.0
            .pop_front_if(|(at, _)| *at <= offset)
            .map(|(_, directive)| directive)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}
