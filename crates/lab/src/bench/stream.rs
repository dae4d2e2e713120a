//! The generator's transactions, in this process.

use std::sync::Arc;

use anyhow::Result;
use millrace_domain::Transaction;
use millrace_producer::stream::{Stream, StreamConfig};
use millrace_producer::world::{World, WorldConfig};
use millrace_settings::{Producer, Settings};

/// Transactions a minute of an average user: the generator's own idea of what is believable.
const PER_USER_AND_MINUTE: u64 = 2;

/// Transactions a second of event time at which users behave like people, whatever their number.
pub(super) fn event_rate_per_s(users: u32) -> u64 {
    (u64::from(users) * PER_USER_AND_MINUTE / 60).max(1)
}

/// The users who make so many transactions a second as people would: as few as the headline rate's
/// 1 million would each make twenty a minute, and be a case for the velocity rule, all of them.
pub(super) fn users_for(rate_per_s: u64, at_least: u32) -> u32 {
    let users = rate_per_s.saturating_mul(60) / PER_USER_AND_MINUTE;
    u32::try_from(users).unwrap_or(u32::MAX).max(at_least)
}

/// An endless stream with simulated event time.
pub(super) struct Transactions {
    stream: Stream,
    sent: u64,
    start_ms: i64,
    rate_per_s: u64,
}

impl Transactions {
    /// A stream by the settings of the producer, but for users, merchants and records that nobody
    /// can take.
    ///
    /// # Errors
    /// No such world can be.
    pub(super) fn new(settings: &Settings, users: u32, merchants: u32) -> Result<Self> {
        let producer = Producer {
            users,
            merchants,
            malformed_share: 0.0,
            ..settings.producer.clone()
        };
        let world = World::new(&WorldConfig::from(&producer))?;
        let config = StreamConfig::of(&producer, 0, 1);
        Ok(Self {
            stream: Stream::new(Arc::new(world), &config),
            sent: 0,
            start_ms: 1_760_000_000_000,
            rate_per_s: event_rate_per_s(users),
        })
    }

    /// Replaces `batch` by the next ones.
    pub(super) fn fill(&mut self, batch: &mut Vec<Transaction>, count: usize) {
        batch.clear();
        for _ in 0..count {
            let passed_ms = self.sent * 1_000 / self.rate_per_s;
            self.sent += 1;
            let now_ms = self.start_ms + i64::try_from(passed_ms).unwrap_or(i64::MAX);
            batch.push(self.stream.next(now_ms).transaction);
            self.stream.labels().clear();
        }
    }
}
