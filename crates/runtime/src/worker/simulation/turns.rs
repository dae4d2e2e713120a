//! A simulated worker whose partitions take their records in turns.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

use super::cluster::Cluster;
use super::fetched::{Client, Memory};
use super::process::Process;
use super::random::Random;
use super::transaction::Faults;
use crate::Job;
use crate::failure::Failure;
use crate::worker::turns::Turns;

/// What a worker of such a job has besides.
#[derive(Default)]
pub(super) struct Waiters {
    turns: Turns<Memory>,
    clients: BTreeMap<i32, Rc<RefCell<Client>>>,
    /// Waits of partitions for others.
    pub(super) waits: u64,
}

impl Waiters {
    pub(super) fn assign(&mut self, number: i32) {
        let client = self.clients.entry(number).or_default();
        self.turns.add(number, Memory::of(client));
    }

    pub(super) fn give_up(&mut self, number: i32) {
        self.turns.remove(&[number]);
        self.clients.remove(&number);
    }

    /// A pause and its end: where the client reads on.
    fn pause(&mut self, number: i32) -> Option<i64> {
        let client = self.clients.get(&number)?;
        Some(client.borrow_mut().pause())
    }

    /// A partition is paused until it seeks.
    pub(super) fn stop(&mut self, number: i32) {
        self.pause(number);
    }

    pub(super) fn seek(&mut self, number: i32, offset: i64) {
        if let Some(client) = self.clients.get(&number) {
            client.borrow_mut().seek(offset);
        }
        self.turns.clear(number);
    }
}

impl<J: Job> Process<J> {
    /// Fetches, with errors in the place of records, and lets partitions take their turns.
    pub(super) fn take_turns(
        &mut self,
        cluster: &Cluster,
        random: &mut Random,
        faults: Faults,
    ) -> Result<(), Failure> {
        for (number, position) in &mut self.positions {
            let log = &cluster.logs[*number as usize];
            let Some(client) = self.waiters.clients.get(number) else {
                continue;
            };
            if position.is_paused || random.one_in(4) {
                continue;
            }
            let mut client = client.borrow_mut();
            if random.one_in(8) {
                // As in each rebalance.
                position.at = client.pause();
            }
            let count = if random.one_in(20) { 70 } else { random.below(6) };
            let to = (position.at + count as i64).min(log.end());
            for offset in position.at..to {
                if let Some(record) = &log.records[offset as usize] {
                    client.fetch(*number, offset, record);
                }
            }
            position.at = position.at.max(to);
            if faults.cuts && random.one_in(2) {
                client.report(*number, position.at);
                position.at += 1;
            }
        }
        let (room, now) = (1 + random.below(40), self.clock.now());
        self.round(room, now, faults)
    }

    fn round(&mut self, room: usize, now: Instant, faults: Faults) -> Result<(), Failure> {
        let job = std::sync::Arc::clone(&self.job);
        let Waiters { turns, waits, .. } = &mut self.waiters;
        let (partitions, alignment) = (&mut self.partitions, &self.transaction.alignment);
        turns.offer(room, |number| {
            let is_due = |ms| (alignment.as_ref()).is_none_or(|it| it.may_go_on(number, ms, now));
            let active = partitions.active_of(number);
            active.is_none_or(|active| active.goes_on(is_due, || *waits += 1))
        });
        self.transaction.faults = faults;
        let result = partitions.batch(turns.items(job.input_topic()), &mut self.transaction);
        self.transaction.faults = Faults::default();
        turns.settle(|number| partitions.active_of(number).map(|active| active.next()));
        result
    }
}
