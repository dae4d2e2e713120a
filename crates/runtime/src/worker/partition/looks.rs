//! What is looked up of a partition once in a while: whether it is quiet, its lag, how its
//! watermark stands.

use std::time::{Duration, Instant};

use super::{Active, Phase};
use crate::Task;
use crate::idle::Idle;
use crate::stall::Look;

impl<T: Task> Active<T> {
    /// Whether nothing was read since the last tick in a replay, or, of a live partition, for
    /// `idle_timeout`.
    pub(in crate::worker) fn tick_is_quiet(&mut self, idle_timeout: Duration, now: Instant) -> bool {
        match &mut self.phase {
            Phase::Replaying(replay) => {
                replay.records == std::mem::replace(&mut replay.records_at_tick, replay.records)
            }
            Phase::Live => self.is_quiet(idle_timeout, now),
        }
    }

    /// Takes how many records the log has beyond the position.
    pub(in crate::worker) fn set_lag(&mut self, lag: i64) {
        self.lag = lag;
    }

    /// How long its watermark has stood still although there is something to move it.
    pub(in crate::worker) fn stall(&mut self, at: Instant, is_idle: bool) -> Duration {
        self.stall.observe(&Look {
            at,
            watermark_ms: self.task.watermark_ms(),
            next: self.next,
            has_lag: self.lag > 0,
            is_idle,
        })
    }

    /// For how long it has had no record, as of a moment.
    pub(in crate::worker) fn quiet_until(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.last_record)
    }

    /// What bounds an advance of it as an idle partition.
    pub(in crate::worker) fn idle(
        &self,
        quiet: Duration,
        max_disorder_ms: i64,
        highest_ms: Option<i64>,
    ) -> Idle {
        Idle {
            watermark_ms: self.task.watermark_ms(),
            max_event_time_ms: self.task.max_event_time_ms(),
            open_until_ms: self.task.open_until_ms(),
            idle_ms: i64::try_from(quiet.as_millis()).unwrap_or(i64::MAX),
            max_disorder_ms,
            highest_ms,
        }
    }
}
