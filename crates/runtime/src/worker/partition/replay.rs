//! The replay of a partition: what was done before the committed offset, done again with its
//! outputs dropped.

use super::directives::repeat;
use super::{Active, Phase, stopped};
use crate::control::Directives;
use crate::failure::Failure;
use crate::outbox::ReplayOutbox;
use crate::refusals::KnownRefusals;
use crate::worker::effects::{Effects, Replayed};
use crate::{InputRecord, Task};

/// The records to replay after a restore: those below the committed offset.
#[derive(Debug)]
pub(super) struct Replay {
    /// The committed offset: the first record that is new.
    pub(super) until: i64,
    /// What happened beside them.
    pub(super) directives: Directives,
    /// Which of them were refused by word of somebody outside of the log.
    pub(super) refusals: KnownRefusals,
    /// Records replayed so far.
    pub(super) records: u64,
    /// How many there were at the last tick.
    pub(super) records_at_tick: u64,
}

impl<T: Task> Active<T> {
    /// Repeats what was done before with the records of a run, and the advances before them; gives
    /// those that are new. What is behind the partition's position is passed over.
    pub(super) fn replay<'r, 'b>(
        &mut self,
        run: &'r [InputRecord<'b>],
        effects: &mut impl Effects,
    ) -> Result<&'r [InputRecord<'b>], Failure> {
        let mut rest = run;
        while let [record, after @ ..] = rest {
            if record.offset < self.next {
                rest = after;
                continue;
            }
            let Phase::Replaying(replay) = &mut self.phase else {
                break;
            };
            let until = replay.until;
            if record.offset < until {
                while let Some(directive) = replay.directives.take_before(record.offset) {
                    repeat(&mut self.task, self.number, &self.terms, &directive)?;
                }
                // What was refused then has not touched the state, whatever would become of it now.
                if !replay.refusals.contains(record.offset) {
                    let mut outbox = ReplayOutbox {
                        refusals_from: replay.refusals.whole_from,
                    };
                    let done = self.task.process(record, &mut outbox);
                    done.map_err(|reason| stopped(record.topic, self.number, reason))?;
                }
                replay.records += 1;
                self.go_to(record.offset + 1);
                self.snapshots.state_changed();
                rest = after;
            }
            if record.offset + 1 >= until {
                self.end_replay(effects)?;
            }
        }
        Ok(rest)
    }

    /// Ends the replay where nothing is left to read of it, and repeats the directives that are
    /// left.
    pub(in crate::worker) fn end_replay(&mut self, effects: &mut impl Effects) -> Result<(), Failure> {
        let Phase::Replaying(mut replay) = std::mem::replace(&mut self.phase, Phase::Live) else {
            return Ok(());
        };
        debug_assert!(self.next <= replay.until, "a replay went beyond its end");
        self.go_to(self.next.max(replay.until));
        // Those from before markers of transactions that the group's offset has passed over are not
        // at this offset.
        while let Some(directive) = replay.directives.take_before(self.next - 1) {
            repeat(&mut self.task, self.number, &self.terms, &directive)?;
            self.snapshots.state_changed();
        }
        while let Some(directive) = replay.directives.take_before(i64::MAX) {
            repeat(&mut self.task, self.number, &self.terms, &directive)?;
            self.directives += 1;
            self.snapshots.state_changed();
        }
        debug_assert!(self.committed.is_none_or(|committed| committed <= self.next));
        self.is_to_configure = self.terms.is_to_configure();
        self.last_record = effects.now();
        effects.went_live(&Replayed {
            partition: self.number,
            next: self.next,
            records: replay.records,
            since: self.since,
        });
        Ok(())
    }

    /// Ends a replay that has nothing to read from its start.
    pub(in crate::worker) fn end_empty_replay(&mut self, effects: &mut impl Effects) -> Result<(), Failure> {
        match &self.phase {
            Phase::Replaying(replay) if self.next >= replay.until => self.end_replay(effects),
            _ => Ok(()),
        }
    }
}
