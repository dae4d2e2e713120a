//! Event time: the clock's, or a simulated one that makes a stream repeatable.

use millrace_kafka::clock::now_ms;

/// Where event times come from.
#[derive(Debug, Clone)]
pub enum EventClock {
    /// The machine's clock as of the last [`EventClock::refresh`].
    Wall {
        /// That time: event time never goes back, whatever the clock does.
        last_ms: i64,
    },
    /// Time advances by `1 / events_per_s` with each record of all threads taken in turn.
    Simulated {
        /// Event time of the first record.
        start_ms: i64,
        /// Records a second of event time, over all threads.
        events_per_s: u64,
        /// The next record's number over all threads.
        position: u64,
        /// By how much it grows with a record of this thread: the number of threads.
        step: u64,
        /// The time at `position`.
        time_ms: i64,
        /// The first position of a later time: up to there no record needs a division.
        later: u64,
    },
}

impl EventClock {
    /// The machine's clock.
    #[must_use]
    pub fn wall() -> Self {
        Self::Wall { last_ms: now_ms() }
    }

    /// The simulated clock of one thread of several.
    #[must_use]
    pub fn simulated(start_ms: i64, events_per_s: u64, thread: u32, threads: u32) -> Self {
        let mut clock = Self::Simulated {
            start_ms,
            events_per_s: events_per_s.max(1),
            position: u64::from(thread),
            step: u64::from(threads.max(1)),
            time_ms: start_ms,
            later: 0,
        };
        clock.settle();
        clock
    }

    /// The event time of the next record in milliseconds since 1970.
    #[inline]
    #[must_use]
    pub fn peek(&self) -> i64 {
        match *self {
            Self::Wall { last_ms } => last_ms,
            Self::Simulated { time_ms, .. } => time_ms,
        }
    }

    /// As [`EventClock::peek`], and goes on to the record after it.
    #[inline]
    pub fn tick(&mut self) -> i64 {
        let time_ms = self.peek();
        if let Self::Simulated {
            position,
            step,
            later,
            ..
        } = self
        {
            *position += *step;
            if *position >= *later {
                self.settle();
            }
        }
        time_ms
    }

    /// Finds the time at the position, and where the next millisecond begins.
    fn settle(&mut self) {
        if let Self::Simulated {
            start_ms,
            events_per_s,
            position,
            time_ms,
            later,
            ..
        } = self
        {
            let (seconds, rest) = (*position / *events_per_s, *position % *events_per_s);
            let millisecond = rest * 1_000 / *events_per_s;
            *time_ms = *start_ms + (seconds * 1_000 + millisecond) as i64;
            *later = seconds * *events_per_s + ((millisecond + 1) * *events_per_s).div_ceil(1_000);
        }
    }

    /// Reads the machine's clock, if that is the one. Not done for each record, as it costs a
    /// quarter of making one.
    #[inline]
    pub fn refresh(&mut self) {
        if let Self::Wall { last_ms } = self {
            *last_ms = now_ms().max(*last_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_share_simulated_time() {
        let mut clocks: Vec<_> = (0..3)
            .map(|thread| EventClock::simulated(1_000, 4, thread, 3))
            .collect();
        let times: Vec<i64> = (0..9).map(|record| clocks[record % 3].tick()).collect();
        assert_eq!(times, [1000, 1250, 1500, 1750, 2000, 2250, 2500, 2750, 3000]);
    }

    #[test]
    fn time_is_that_of_the_position_at_any_rate() {
        for (rate, threads) in [(1, 1), (7, 2), (999, 3), (1_000, 1), (33_333, 2), (1_000_003, 5)] {
            let mut clock = EventClock::simulated(5, rate, 0, threads);
            for record in 0..20_000 {
                let position = record * u64::from(threads);
                let expected = 5 + (u128::from(position) * 1_000 / u128::from(rate)) as i64;
                assert_eq!(
                    (clock.peek(), clock.tick()),
                    (expected, expected),
                    "{position} at {rate}"
                );
            }
        }
    }
}
