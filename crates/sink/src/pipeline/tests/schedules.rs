//! Whatever happens, and in whatever order, no record is lost: a committed offset has nothing below
//! it that is neither in the store nor a dead letter nor passed over.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::harness::{Closed, Place};
use super::*;
use crate::batch::Limits;

const PARTITIONS: usize = 3;

/// Records of each partition.
const RECORDS: usize = 40;

#[derive(Debug, Clone, Copy)]
enum Step {
    /// Reads so many records of a partition, if it is assigned.
    Read(usize, usize),
    /// Lets what is under way go on.
    Progress,
    Commit,
    /// Gives a partition up, in time or not.
    Revoke(usize, bool),
    Assign(usize),
    Crash,
    /// A table takes nothing, or again everything.
    Table(u8, bool),
    /// The store is away, or back.
    Down(bool),
    /// Dead letters can never be sent again, which ends the process; or can, by the next one.
    Letters(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let partition = 0..PARTITIONS;
    prop_oneof![
        8 => (partition.clone(), 1..8_usize).prop_map(|(partition, count)| Step::Read(partition, count)),
        6 => Just(Step::Progress),
        3 => Just(Step::Commit),
        2 => (partition.clone(), any::<bool>()).prop_map(|(partition, waits)| Step::Revoke(partition, waits)),
        3 => partition.prop_map(Step::Assign),
        1 => Just(Step::Crash),
        2 => (prop_oneof![Just(b'a'), Just(b'b')], any::<bool>()).prop_map(|(table, is)| Step::Table(table, is)),
        1 => any::<bool>().prop_map(Step::Down),
        1 => any::<bool>().prop_map(Step::Letters),
    ]
}

/// The record at a place in a partition: its offset, between markers of transactions, and value.
fn record(partition: usize, at: usize) -> (i64, &'static [u8]) {
    const VALUES: [&[u8]; 11] = [
        b"a", b"b", b"a~", b"-", b"b", b"?", b"a", b"b!", b"s", b"a!", b"b~",
    ];
    let offset = at * (partition + 1) + partition;
    (offset as i64, VALUES[(at * (partition + 2)) % VALUES.len()])
}

/// The topic, the group's offsets, and who has which partition.
struct World {
    harness: Harness,
    /// What is read next of each partition; `None` of one that is another's.
    next: [Option<usize>; PARTITIONS],
    committed: [i64; PARTITIONS],
}

impl World {
    fn new() -> Self {
        Self {
            harness: Harness::new(Limits {
                items: 5,
                age: Duration::from_millis(1),
                ..TWO
            }),
            next: [Some(0); PARTITIONS],
            committed: [0; PARTITIONS],
        }
    }

    fn assign(&mut self, partition: usize) {
        let committed = self.committed[partition];
        let is_read = |at: &usize| record(partition, *at).0 < committed;
        self.next[partition].get_or_insert_with(|| (0..RECORDS).take_while(is_read).count());
    }

    /// The process dies or ends, and is started again.
    fn restart(&mut self) {
        self.harness.crash();
        self.next = [None; PARTITIONS];
        (0..PARTITIONS).for_each(|partition| self.assign(partition));
    }

    /// What is under way goes on; a write that has failed for good, whenever that was, ends the
    /// process. Whether none has.
    fn progress(&mut self) -> bool {
        let is_well = self.harness.pipeline.progress().is_ok();
        if !is_well {
            self.restart();
        }
        is_well
    }

    /// Reads as the consumer does: nothing while it is full, nor after a batch is.
    fn read(&mut self, partition: usize, count: usize) {
        self.progress();
        let pipeline = &mut self.harness.pipeline;
        if pipeline.is_full() || pipeline.is_blocked() {
            return;
        }
        for _ in 0..count {
            let Some(at) = self.next[partition].filter(|&at| at < RECORDS) else {
                return;
            };
            self.next[partition] = Some(at + 1);
            let (offset, value) = record(partition, at);
            if self.harness.read((partition as i32, offset), value) {
                return;
            }
        }
    }

    fn commit(&mut self) {
        for (partition, offset) in self.harness.commit() {
            let partition = partition as usize;
            assert!(self.next[partition].is_some(), "{partition} is another's");
            assert!(self.committed[partition] < offset, "{partition} goes back");
            self.committed[partition] = offset;
        }
        self.nothing_is_lost();
    }

    fn nothing_is_lost(&self) {
        let rows: BTreeSet<Place> = self.harness.rows().into_iter().collect();
        let letters: BTreeSet<Place> = self
            .harness
            .letters()
            .into_iter()
            .map(|(place, _)| place)
            .collect();
        for partition in 0..PARTITIONS {
            for (offset, value) in (0..RECORDS).map(|at| record(partition, at)) {
                if offset >= self.committed[partition] {
                    break;
                }
                let place = (partition as i32, offset);
                let is_there = match value {
                    b"-" | b"s" => true,
                    b"?" | b"a!" | b"b!" => letters.contains(&place) && !rows.contains(&place),
                    _ => rows.contains(&place) && !letters.contains(&place),
                };
                assert!(is_there, "{place:?} is committed and lost");
            }
        }
    }

    fn go(&mut self, step: Step) {
        match step {
            Step::Read(partition, count) => self.read(partition, count),
            Step::Progress => {
                self.progress();
                std::thread::yield_now();
            }
            Step::Commit => self.commit(),
            Step::Revoke(partition, waits) => {
                let patience = if waits {
                    Duration::from_millis(20)
                } else {
                    Duration::ZERO
                };
                self.harness.drain(patience);
                self.commit();
                self.harness.pipeline.forget(key(partition as i32));
                self.next[partition] = None;
            }
            Step::Assign(partition) => self.assign(partition),
            Step::Crash => self.restart(),
            Step::Table(table, true) => self.harness.close(|closed| {
                closed.tables.insert(table);
            }),
            Step::Table(table, false) => self.harness.close(|closed| {
                closed.tables.remove(&table);
            }),
            Step::Down(is_down) => self.harness.close(|closed| closed.down = is_down),
            Step::Letters(is_broken) => self.harness.close(|closed| closed.letters = is_broken),
        }
    }

    /// Everything is mended and read to its end.
    fn finish(&mut self) {
        self.harness.close(|closed| *closed = Closed::default());
        (0..PARTITIONS).for_each(|partition| self.assign(partition));
        let deadline = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < deadline, "it stands still");
            (0..PARTITIONS).for_each(|partition| self.read(partition, 5));
            let is_all_read = self.next == [Some(RECORDS); PARTITIONS];
            if !is_all_read {
                continue;
            }
            self.harness.drain(PATIENCE);
            if self.progress() && self.harness.pipeline.open() == 0 {
                break;
            }
        }
        self.commit();
        for partition in 0..PARTITIONS {
            let (last, _) = record(partition, RECORDS - 1);
            assert_eq!(self.committed[partition], last + 1, "of partition {partition}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_is_lost(steps in prop::collection::vec(step(), 1..150)) {
        let mut world = World::new();
        for step in steps {
            world.go(step);
        }
        world.finish();
    }
}
