//! What happens to a partition beside its records: advances of its watermark and changes of policy,
//! each an event of its order with a control record.

use std::sync::Arc;

use super::{Active, Effects, Tally, Terms, Work, stopped};
use crate::OutputRecord;
use crate::Task;
use crate::control::{ControlRecord, Directive};
use crate::failure::Failure;
use crate::outbox::ReplayOutbox;
use crate::processor::brief;

impl<T: Task> Active<T> {
    /// Whether it is live, and its policy is not known yet to be the job's and to be written.
    pub(in crate::worker) fn is_to_configure(&self) -> bool {
        self.is_to_configure
    }

    /// The job's policy is another from now on. A replay goes on with those that are recorded.
    pub(in crate::worker) fn follow(&mut self, terms: &Arc<Terms>) {
        self.terms = Arc::clone(terms);
        self.is_to_configure |= self.is_live() && terms.is_to_configure();
    }

    /// Gives the task the job's policy, and has it written, without waiting for a record.
    pub(in crate::worker) fn configure_alone(
        &mut self,
        effects: &mut impl Effects,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        debug_assert!(self.is_live() && self.work != Work::Torn);
        effects.begin()?;
        self.work = Work::Torn;
        self.configure(effects)?;
        self.work = Work::Uncommitted;
        tally.started.get_or_insert_with(|| effects.now());
        Ok(())
    }

    /// Gives the task the job's policy where it has another, or has done nothing yet: a replay from
    /// its beginning will need to know. Else the policy is only stated, and by that the offset at
    /// which the partition goes on.
    pub(super) fn configure(&mut self, effects: &mut impl Effects) -> Result<(), Failure> {
        if !self.has_begun() || self.task.policy() != self.terms.policy {
            self.change_policy(effects)?;
        } else {
            self.state_policy(effects);
        }
        if let Some(watermark_ms) = self.begins_at_ms {
            self.move_watermark(watermark_ms, effects)?;
            self.begins_at_ms = None;
        }
        self.is_to_configure = false;
        Ok(())
    }

    /// Whether anything was done with a policy: committed, or to be committed by the transaction
    /// that is open.
    fn has_begun(&self) -> bool {
        self.committed.is_some() || self.stated.is_some()
    }

    /// Says which policy the task has, and where it is.
    pub(super) fn state_policy(&mut self, effects: &mut impl Effects) {
        let record = ControlRecord::Policy {
            offset: self.next,
            policy: self.task.policy(),
            closed_until_ms: self.task.closed_until_ms(),
        };
        self.publish(&record, effects);
        self.stated = Some(effects.now());
    }

    /// A change of policy is an event of the partition's order, as an advance is.
    fn change_policy(&mut self, effects: &mut impl Effects) -> Result<(), Failure> {
        let before = self.has_begun().then(|| self.task.policy());
        let policy = self.terms.policy.clone();
        let done = self.task.configure(&policy, effects.outbox());
        done.map_err(|reason| stopped(&self.terms.topic, self.number, reason))?;
        debug_assert!(self.task.policy() == policy, "a task has not taken its policy");
        tracing::info!(
            partition = self.number,
            offset = self.next,
            before = before.as_deref().map(brief).as_deref(),
            policy = &*brief(&policy),
            "policy set"
        );
        let record = ControlRecord::Configure {
            offset: self.next,
            nth: self.directives,
            before,
            policy,
            closed_until_ms: self.task.closed_until_ms(),
        };
        self.publish(&record, effects);
        if let Some(failure) = effects.take_failure() {
            return Err(failure);
        }
        self.directives += 1;
        self.stated = Some(effects.now());
        self.snapshots.state_changed();
        Ok(())
    }

    /// Moves the watermark of a live partition without records, as an event of its order: its
    /// control record is in the transaction that commits the offset it belongs to.
    pub(in crate::worker) fn advance(
        &mut self,
        watermark_ms: i64,
        effects: &mut impl Effects,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        debug_assert!(self.is_live() && self.work != Work::Torn);
        effects.begin()?;
        self.work = Work::Torn;
        self.move_watermark(watermark_ms, effects)?;
        self.work = Work::Uncommitted;
        tally.started.get_or_insert_with(|| effects.now());
        // What it closes is awaited, however old the last record is.
        tally.newest_append_ms = -1;
        Ok(())
    }

    fn move_watermark(&mut self, watermark_ms: i64, effects: &mut impl Effects) -> Result<(), Failure> {
        let done = self.task.advance(watermark_ms, effects.outbox());
        done.map_err(|reason| stopped(&self.terms.topic, self.number, reason))?;
        let record = ControlRecord::Advance {
            offset: self.next,
            watermark_ms,
            nth: self.directives,
        };
        self.publish(&record, effects);
        if let Some(failure) = effects.take_failure() {
            return Err(failure);
        }
        self.directives += 1;
        self.snapshots.state_changed();
        self.published = Some((watermark_ms, effects.now()));
        Ok(())
    }

    pub(super) fn publish(&self, record: &ControlRecord, effects: &mut impl Effects) {
        let Some(control) = &self.terms.control else {
            return;
        };
        effects.outbox().send(OutputRecord {
            topic: control,
            partition: Some(self.number),
            key: None,
            payload: record.to_marked_json(self.terms.tells_outputs).as_bytes(),
            headers: &[],
        });
    }
}

/// Repeats a directive in a replay.
pub(super) fn repeat(
    task: &mut impl Task,
    number: i32,
    terms: &Terms,
    directive: &Directive,
) -> Result<(), Failure> {
    let done = match directive {
        Directive::Advance(watermark_ms) => task.advance(*watermark_ms, &mut ReplayOutbox::default()),
        Directive::Configure(policy) => task.configure(policy, &mut ReplayOutbox::default()),
    };
    done.map_err(|reason| stopped(&terms.topic, number, reason))
}
