//! Partitions that wait until the others have come to where they are: see [`crate::alignment`].
//!
//! A batch is in one order, and what of it may not come yet is left out: its partition is paused
//! then, and reads on from there by a seek, as after a restore.

use std::time::Instant;

use super::Worker;
use super::assignment;
use crate::Job;
use crate::failure::Failure;

/// Whether a partition waits for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiting {
    /// It does not.
    No,
    /// It does from the record with this event time on, and is read all the same: what comes is
    /// passed over.
    Held(i64),
    /// As above, and it is not read.
    Paused(i64),
}

impl<J: Job> Worker<'_, J> {
    /// Pauses partitions that are ahead, and has them read on when the others have come.
    pub(super) fn see_to_waiting(&mut self) -> Result<(), Failure> {
        let Some(alignment) = &self.core.alignment else {
            return Ok(());
        };
        let (topic, consumer, now) = (
            self.shared.job.input_topic(),
            self.consumer.consumer(),
            Instant::now(),
        );
        for partition in self.core.partitions.iter_mut() {
            let number = partition.number();
            let Some(active) = partition.active_mut() else {
                continue;
            };
            match active.waiting() {
                Waiting::No => {}
                Waiting::Held(event_time_ms) => {
                    assignment::pause(consumer, topic, number)?;
                    active.set_waiting(Waiting::Paused(event_time_ms));
                    self.core.metrics.partition_waits.inc();
                }
                Waiting::Paused(event_time_ms) => {
                    if alignment.may_go_on(number, event_time_ms, now)
                        && assignment::go_on(consumer, topic, number, active.next())?
                    {
                        active.set_waiting(Waiting::No);
                    }
                }
            }
        }
        Ok(())
    }
}
