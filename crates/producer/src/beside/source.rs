//! A world as a source of records, and what the ledger adds up of them.

use millrace_contract::{Encode as _, Event as _};
use millrace_kafka::clock::now_ms;
use millrace_publisher::{Class, Entry, Next, Pacer, Record, Source};
use millrace_settings::Producer;

use super::World;

/// Records that may come again.
const RECENT: usize = 256;

/// What is kept of a record until its outcome is known.
pub(crate) struct WorldEntry<W: World> {
    class: Class,
    time_ms: i64,
    kept: W::Kept,
}

impl<W: World> Entry for WorldEntry<W> {
    type Key = ();
    type Sums = W::Sums;
    type Line = W::Line;

    fn class(&self) -> Class {
        self.class
    }

    fn event_time_ms(&self) -> i64 {
        self.time_ms
    }

    fn key(&self) {}

    fn add_to(&self, sums: &mut W::Sums) {
        W::add(&self.kept, sums);
    }

    fn merge(sums: &mut W::Sums, other: &W::Sums) {
        W::merge(sums, other);
    }

    fn line(start_ms: i64, (): (), sums: &W::Sums) -> W::Line {
        W::line(start_ms, sums)
    }
}

/// A world at a pace. Some records come late by a little, twice, or as what nobody can read, as the
/// settings say of transactions.
pub(crate) struct WorldSource<W: World> {
    world: W,
    pacer: Pacer,
    granted: u64,
    /// `None` writes JSON.
    schema_id: Option<u32>,
    disorder: (f64, u64),
    duplicate_share: f64,
    malformed_share: f64,
    recent: Vec<W::Event>,
}

impl<W: World> WorldSource<W> {
    pub(crate) fn new(world: W, settings: &Producer, schema_id: Option<u32>, pacer: Pacer) -> Self {
        Self {
            world,
            pacer,
            granted: 0,
            schema_id,
            disorder: (
                settings.disorder_share,
                settings.max_disorder_ms.max(0).unsigned_abs(),
            ),
            duplicate_share: settings.duplicate_share,
            malformed_share: settings.malformed_share,
            recent: Vec::with_capacity(RECENT),
        }
    }

    /// The record that is due at this time, with what it counts as.
    fn event(&mut self, now_ms: i64) -> (W::Event, Class) {
        if !self.recent.is_empty() && self.world.is_chosen(self.duplicate_share) {
            let at = self.world.below(self.recent.len() as u64) as usize;
            return (self.recent[at], Class::Repeat);
        }
        let (share, most_ms) = self.disorder;
        let back_ms = match self.world.is_chosen(share) {
            true => self.world.below(most_ms.saturating_add(1)).cast_signed(),
            false => 0,
        };
        let event = self.world.next(now_ms - back_ms);
        if self.world.is_chosen(self.malformed_share) {
            return (event, Class::Malformed);
        }
        if self.recent.len() == RECENT {
            let at = self.world.below(RECENT as u64) as usize;
            self.recent[at] = event;
        } else {
            self.recent.push(event);
        }
        (event, Class::First)
    }
}

impl<W: World> Source for WorldSource<W> {
    type Entry = WorldEntry<W>;
    type Round = ();

    fn round(&mut self) {}

    fn next(&mut self, record: &mut Record) -> anyhow::Result<Next<WorldEntry<W>>> {
        if self.granted == 0 {
            match self.pacer.take() {
                Ok(granted) => self.granted = granted,
                Err(wait) => return Ok(Next::Wait(wait)),
            }
        }
        self.granted -= 1;
        let (event, class) = self.event(now_ms());
        record.set_key(W::key(&event));
        match self.schema_id {
            Some(id) => event.encode_framed(id, &mut record.value),
            None => event.encode_json(&mut record.value),
        }
        if class == Class::Malformed {
            record.value.truncate(record.value.len() / 2);
        }
        Ok(Next::Record(WorldEntry {
            class,
            time_ms: event.time_ms(),
            kept: W::kept(&event),
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use millrace_clickstream::World as Visitors;

    use super::*;
    use crate::readings::Devices;
    use crate::shop::Shoppers;

    fn check<W: World>(world: W) {
        let settings = Producer {
            duplicate_share: 0.1,
            malformed_share: 0.1,
            disorder_share: 0.5,
            max_disorder_ms: 3_000,
            ..Producer::default()
        };
        let mut source = WorldSource::new(world, &settings, None, Pacer::new(0));
        let (mut sent, mut counts) = (BTreeSet::new(), [0; 3]);
        let mut early = 0;
        for _ in 0..2_000 {
            let (event, class) = source.event(1_000_000);
            assert!((997_000..=1_000_000).contains(&event.time_ms()));
            early += usize::from(event.time_ms() < 1_000_000);
            let is_new = sent.insert(event.id());
            match class {
                Class::First => counts[0] += usize::from(is_new),
                Class::Repeat => counts[1] += usize::from(!is_new),
                Class::Malformed | Class::Aside => counts[2] += usize::from(is_new),
            }
        }
        assert_eq!(counts.iter().sum::<usize>(), 2_000, "{counts:?}");
        assert!(
            counts[1] > 100 && counts[2] > 100 && early > 500,
            "{counts:?} {early}"
        );
        let mut record = Record::new();
        let kind = loop {
            record.clear();
            if let Next::Record(entry) = source.next(&mut record).expect("a record")
                && entry.class != Class::Repeat
            {
                break entry.class;
            }
        };
        let is_json = serde_json::from_slice::<serde_json::Value>(&record.value).is_ok();
        assert_eq!(is_json, kind == Class::First);
    }

    #[test]
    fn what_is_sent_again_was_sent_before_and_what_is_malformed_cannot_be_read() {
        check(Visitors::new(1, 100, [0; 4]));
        check(Devices::new(1, 100, [0; 4]));
        check(Shoppers::new(1, 100, [0; 4]));
    }
}
