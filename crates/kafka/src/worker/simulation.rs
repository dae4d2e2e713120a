//! A deterministic simulation of workers without Kafka. It drives the partitions that the worker loop drives, on an
//! in-memory log, group offsets, transactions that commit, abort or end unknown, snapshots that get lost or torn, crashes,
//! rebalances with and without a last commit, begins and sends that fail, and batches cut by errors. Whatever the
//! schedule, the committed outputs must be those of one task that never stopped and has had the same directives.
//!
//! `MILLRACE_SIMULATION_SCHEDULES` sets the number of schedules, `MILLRACE_SIMULATION_SEED` the first one's seed; a
//! failure names its seed.

mod cluster;
mod process;
mod random;
mod task;
mod world;

use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use world::{Seen, World};

const DEFAULT_SCHEDULES: u64 = 100_000;

fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text:?} must be a whole number"))
    })
}

/// Runs one schedule, and names it if it fails.
fn run(seed: u64) -> Seen {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(seed);
        world.run();
        world.verify();
        world.seen
    }));
    outcome.unwrap_or_else(|panic| {
        eprintln!("failed: MILLRACE_SIMULATION_SEED={seed}");
        resume_unwind(panic)
    })
}

#[test]
fn random_schedules_commit_what_an_undisturbed_run_commits() {
    let first = variable("MILLRACE_SIMULATION_SEED", 1);
    let count = variable("MILLRACE_SIMULATION_SCHEDULES", DEFAULT_SCHEDULES);
    let next = AtomicU64::new(first);
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let seen = std::thread::scope(|scope| {
        let worker = || {
            let mut seen = Seen::default();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= first.saturating_add(count) {
                    return seen;
                }
                seen.add(&run(seed));
            }
        };
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        let mut all = Seen::default();
        for thread in threads {
            all.add(&thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        all
    });
    eprintln!("{count} schedules from {first} on: {seen:?}");
    if count >= 1_000 {
        seen.assert_everything_happened();
    }
}
