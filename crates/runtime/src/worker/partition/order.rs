//! The order of a partition's records among those of the others.

use std::time::Instant;

use super::Active;
use crate::worker::effects::Effects;
use crate::worker::waiting::Waiting;
use crate::{InputRecord, Task};

impl<T: Task> Active<T> {
    /// Whether it may take its next records: it does not wait for others, or what it waits with
    /// `is_due`. Each wait is told once.
    pub(in crate::worker) fn goes_on(
        &mut self,
        is_due: impl FnOnce(i64) -> bool,
        waits: impl FnOnce(),
    ) -> bool {
        let (Waiting::Held(event_time_ms) | Waiting::Waits(event_time_ms)) = self.waiting else {
            return true;
        };
        if is_due(event_time_ms) {
            self.waiting = Waiting::No;
            return true;
        }
        if self.waiting == Waiting::Held(event_time_ms) {
            waits();
        }
        self.waiting = Waiting::Waits(event_time_ms);
        false
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
