//! The order of a partition's records among those of the others.

use std::time::Instant;

use super::Active;
use crate::worker::effects::Effects;
use crate::worker::waiting::Waiting;
use crate::{InputRecord, Task};

impl<T: Task> Active<T> {
    /// Whether it waits for others.
    pub(in crate::worker) fn waiting(&self) -> Waiting {
        self.waiting
    }

    /// It is paused, or reads on from where it is.
    pub(in crate::worker) fn set_waiting(&mut self, waiting: Waiting) {
        self.waiting = waiting;
    }

    /// Those of new records that may come now; from the first that may not on, the partition waits.
    pub(super) fn admitted<'r, 'b>(
        &mut self,
        live: &'r [InputRecord<'b>],
        now: Instant,
        effects: &impl Effects,
    ) -> &'r [InputRecord<'b>] {
        for (at, record) in live.iter().enumerate() {
            if record.offset < self.next {
                continue;
            }
            let event_time_ms = self.task.event_time_ms(record);
            if !effects.admits(record, event_time_ms, now) {
                self.waiting = Waiting::Held(event_time_ms.unwrap_or(i64::MIN));
                return &live[..at];
            }
        }
        live
    }
}
