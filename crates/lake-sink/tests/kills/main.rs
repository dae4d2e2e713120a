//! Processes of the lake's sink are killed at random, and stand still and go on when others have
//! their partitions: afterwards the table's rows are the topic's, each once.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

mod records;
mod store;
mod world;

use rand::{RngExt as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;

use records::{EVENTS, PARTITIONS, Stream, TRANSACTIONS};
use store::End;
use world::World;

const SCHEDULES: u64 = 250;
const KILLS: usize = 1_000;

const ENDS: [End; 5] = [End::Before, End::Half, End::Aside, End::After, End::Still];

/// A folder in memory, where there is such a thing: nothing waits for a disk then.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

/// Kills, files that came too late, and files that were put together.
fn run(stream: &'static Stream, seed: u64) -> [usize; 3] {
    let root = folder();
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut world = World::new(stream, root.path(), Xoshiro256PlusPlus::seed_from_u64(!seed));
    for _ in 0..60 {
        let at = random.random_range(0..2);
        match random.random_range(0..21) {
            0..8 => world.read(at, random.random_range(1..40)),
            8..12 => {
                let end = ENDS[random.random_range(0..ENDS.len())];
                world.plan(at, random.random_range(0..4), end);
            }
            12 | 13 => world.commit(at),
            14 => {
                world.drain(at);
            }
            15 => {
                if world.drain(at) {
                    world.commit(at);
                }
            }
            16 => world.kill(at),
            19 => world.compact(),
            17 | 18 => {
                let is_in_time = random.random_ratio(1, 2);
                world.give_up(random.random_range(0..PARTITIONS), is_in_time);
            }
            _ => world.wake(),
        }
    }
    world.finish();
    world.check();
    [world.kills, world.fenced, world.compacted]
}

#[test]
fn each_record_is_in_one_file_whatever_is_killed_when() {
    run_all(&TRANSACTIONS);
}

/// Of a table whose columns come of the schema.
#[test]
fn each_event_is_in_one_file_whatever_is_killed_when() {
    run_all(&EVENTS);
}

fn run_all(stream: &'static Stream) {
    let first: u64 = std::env::var("MILLRACE_SIMULATION_SEED").map_or(0, |seed| seed.parse().unwrap());
    let schedules =
        std::env::var("MILLRACE_SIMULATION_SCHEDULES").map_or(SCHEDULES, |count| count.parse().unwrap());
    let (mut kills, mut fenced, mut compacted) = (0, 0, 0);
    for seed in first..first + schedules {
        println!("seed {seed}");
        let [killed, late, merged] = run(stream, seed);
        kills += killed;
        fenced += late;
        compacted += merged;
    }
    println!("{schedules} schedules, {kills} kills, {fenced} files too late, {compacted} compacted");
    if schedules >= SCHEDULES {
        assert!(kills >= KILLS, "{kills} kills alone");
        assert!(fenced > 0, "nobody ever came too late");
        assert!(compacted > 0, "nothing was ever compacted");
    }
}
