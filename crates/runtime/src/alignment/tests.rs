use super::*;
use crate::worker::simulation::Random;

/// Partitions 0 and 1 with ten records each.
fn two(now: Instant) -> Alignment {
    let alignment = Alignment::new(100, 1, now);
    alignment.assigned(0, &[0, 1], now);
    alignment.ends(0, 0, 10);
    alignment.ends(1, 0, 10);
    alignment
}

#[test]
fn whoever_is_ahead_waits_for_whoever_has_more_to_read() {
    let now = Instant::now();
    let alignment = two(now);
    assert!(!alignment.admits(0, 0, Some(5_000), now), "nothing of 1 is known");
    assert!(
        alignment.admits(1, 0, Some(4_000), now),
        "0 waits with what is later"
    );
    assert!(!alignment.admits(0, 0, Some(5_000), now));
    assert!(alignment.admits(1, 1, Some(4_900), now));
    assert!(alignment.admits(0, 0, Some(5_000), now));
    assert!(!alignment.admits(0, 1, Some(5_001), now));
    assert!(
        alignment.admits(0, 1, None, now),
        "it has no time that could be ahead"
    );
    assert!(alignment.admits(0, 2, Some(1), now));
}

#[test]
fn one_at_its_end_holds_nobody_up() {
    let now = Instant::now();
    let alignment = two(now);
    alignment.ends(0, 0, 0);
    for offset in 0..10 {
        assert!(alignment.admits(1, offset, Some(0), now), "0 has nothing");
    }
    assert!(alignment.admits(0, 0, Some(1_000_000), now), "1 is through");
    alignment.ends(1, 10, 11);
    assert!(
        !alignment.admits(0, 1, Some(1_000_000), now),
        "1 has a record more"
    );
    assert!(alignment.admits(1, 10, Some(900_000), now));
}

#[test]
fn the_last_of_all_is_never_held_up() {
    let now = Instant::now();
    let alignment = two(now);
    let times = [[0, 900, 10, 950, 960], [3, 400, 850, 700, 2_000]];
    let mut at = [0_usize; 2];
    let mut rounds = 0;
    while at != [5, 5] {
        for partition in 0..2_usize {
            let Some(time) = times[partition].get(at[partition]) else {
                continue;
            };
            let (number, offset) = (partition as i32, at[partition] as i64);
            at[partition] += usize::from(alignment.admits(number, offset, Some(*time), now));
            if at[partition] == 5 {
                alignment.ends(number, 5, 5);
            }
        }
        rounds += 1;
        assert!(rounds <= 10, "nobody gets on at {at:?}");
    }
}

#[test]
fn patience_ends() {
    let now = Instant::now();
    let alignment = two(now);
    assert!(!alignment.admits(0, 0, Some(1), now));
    assert!(alignment.admits(0, 0, Some(1), now + PATIENCE));
    let alignment = two(now);
    alignment.given_up(&[1], now);
    assert!(!alignment.admits(0, 0, Some(1), now));
    assert!(alignment.admits(0, 0, Some(1), now + HANDOVER));
}

#[test]
fn nobody_reads_before_each_worker_has_been_assigned_something_or_nothing() {
    let now = Instant::now();
    let alignment = Alignment::new(100, 3, now);
    alignment.assigned(0, &[0], now);
    alignment.assigned(2, &[], now);
    assert!(!alignment.admits(0, 0, Some(1), now));
    assert!(!alignment.may_go_on(0, 1, now));
    alignment.assigned(1, &[], now);
    assert!(alignment.may_go_on(0, 1, now));
    let alignment = Alignment::new(100, 2, now);
    alignment.assigned(0, &[0], now);
    assert!(alignment.admits(0, 0, Some(1), now + PATIENCE), "patience ends");
}

/// Partitions 0 and 1 of two workers, with ten records each.
fn two_workers(now: Instant) -> Alignment {
    let alignment = Alignment::new(100, 2, now);
    for number in [0, 1] {
        alignment.assigned(number, &[number as i32], now);
        alignment.ends(number as i32, 0, 10);
    }
    alignment
}

#[test]
fn what_another_worker_has_not_committed_may_come_again() {
    let now = Instant::now();
    let alignment = two_workers(now);
    assert!(!alignment.admits(0, 0, Some(1_000), now));
    for (offset, ms) in [(0, 1_000), (1, 1_050), (2, 1_100)] {
        assert!(alignment.admits(1, offset, Some(ms), now));
    }
    assert!(
        alignment.admits(0, 0, Some(1_100), now),
        "as far as 1 is committed"
    );
    assert!(!alignment.is_awaited(1));
    assert!(!alignment.admits(0, 1, Some(1_101), now));
    assert!(alignment.is_awaited(1) && !alignment.is_awaited(0));
    alignment.committed(1);
    assert!(!alignment.is_awaited(1));
    assert!(alignment.may_go_on(0, 1_200, now) && !alignment.may_go_on(0, 1_201, now));
    assert!(!alignment.is_awaited(1), "it has nothing to commit");
}

#[test]
fn what_is_rolled_back_holds_the_others_up_anew() {
    let now = Instant::now();
    let alignment = two(now);
    assert!(!alignment.admits(0, 0, Some(1_000), now));
    for offset in 0..10 {
        assert!(alignment.admits(1, offset, Some(1_000 + 10 * offset), now));
    }
    assert!(alignment.may_go_on(0, 9_000, now), "1 is through");
    alignment.rolled_back(1);
    assert!(!alignment.may_go_on(0, 9_000, now));
    assert!(alignment.may_go_on(0, 1_100, now));
}

/// What is written stays in the order of time, to the skew, whenever workers commit, abort, or are
/// all killed.
#[test]
fn kills_and_aborts_make_no_disorder() {
    let mut waits = 0;
    for seed in 0..2_000 {
        let mut random = Random::new(seed);
        let run = Run::new(&mut random);
        waits += run.to_the_end(&mut random);
    }
    assert!(waits > 10_000, "{waits}");
}

const SKEW_MS: i64 = 100;
const WORKERS: usize = 2;
const PARTITIONS: usize = 5;
const RECORDS: i64 = 40;

/// Workers that write each record as they read it, and whose records count once committed.
struct Run {
    alignment: Alignment,
    now: Instant,
    /// Each partition's times, in order.
    logs: Vec<Vec<i64>>,
    read: [usize; PARTITIONS],
    committed: [usize; PARTITIONS],
    /// Each time that was written, the partition, and whether that is committed.
    written: Vec<(i64, usize, bool)>,
}

impl Run {
    fn new(random: &mut Random) -> Self {
        let mut log = || {
            let mut at = 0;
            let mut next = || {
                at += random.below(60) as i64;
                at
            };
            (0..RECORDS).map(|_| next()).collect()
        };
        let now = Instant::now();
        Self {
            logs: (0..PARTITIONS).map(|_| log()).collect(),
            alignment: Self::started(now),
            now,
            read: [0; PARTITIONS],
            committed: [0; PARTITIONS],
            written: Vec::new(),
        }
    }

    fn started(now: Instant) -> Alignment {
        Alignment::new(SKEW_MS, WORKERS, now)
    }

    fn own(worker: usize) -> impl Iterator<Item = usize> {
        (0..PARTITIONS).filter(move |number| number % WORKERS == worker)
    }

    fn assign(&self, worker: usize) {
        let numbers: Vec<i32> = Self::own(worker).map(|number| number as i32).collect();
        self.alignment.assigned(worker, &numbers, self.now);
    }

    fn commit(&mut self, worker: usize) {
        for number in Self::own(worker) {
            self.committed[number] = self.read[number];
            let own = self.written.iter_mut().filter(|it| it.1 == number);
            own.for_each(|it| it.2 = true);
        }
        self.alignment.committed(worker);
    }

    fn abort(&mut self, worker: usize) {
        for number in Self::own(worker) {
            self.read[number] = self.committed[number];
            self.alignment.rolled_back(number as i32);
        }
        self.written
            .retain(|(_, number, is_committed)| *is_committed || number % WORKERS != worker);
    }

    /// Returns how many times a record had to wait.
    fn to_the_end(mut self, random: &mut Random) -> u64 {
        let mut waits = 0;
        let mut assigned = [false; WORKERS];
        let mut steps = 0;
        while self.committed.iter().any(|at| *at as i64 != RECORDS) {
            steps += 1;
            assert!(steps < 100_000, "it stands still at {:?}", self.committed);
            let worker = random.below(WORKERS);
            if steps < 2_000 && random.one_in(150) {
                (0..WORKERS).for_each(|worker| self.abort(worker));
                self.alignment = Self::started(self.now);
                assigned = [false; WORKERS];
            } else if steps < 2_000 && random.one_in(60) {
                self.abort(worker);
            } else if !std::mem::replace(&mut assigned[worker], true) {
                self.assign(worker);
            } else if self.alignment.is_awaited(worker) || random.one_in(30) {
                self.commit(worker);
            } else {
                let own: Vec<usize> = Self::own(worker).collect();
                waits += self.take(own[random.below(own.len())], 1 + random.below(8));
            }
        }
        self.check();
        waits
    }

    fn take(&mut self, number: usize, count: usize) -> u64 {
        let partition = number as i32;
        self.alignment.ends(partition, self.read[number] as i64, RECORDS);
        for _ in 0..count {
            let at = self.read[number];
            let Some(ms) = self.logs[number].get(at).copied() else {
                return 0;
            };
            if !self.alignment.admits(partition, at as i64, Some(ms), self.now) {
                return 1;
            }
            self.read[number] += 1;
            self.written.push((ms, number, false));
        }
        0
    }

    fn check(&self) {
        assert_eq!(self.written.len(), self.logs.iter().map(Vec::len).sum::<usize>());
        let mut highest_ms = i64::MIN;
        for (ms, number, _) in &self.written {
            assert!(
                *ms >= highest_ms.saturating_sub(SKEW_MS),
                "partition {number} has written {ms} behind {highest_ms}"
            );
            highest_ms = highest_ms.max(*ms);
        }
    }
}
