//! Many schedules at once, each by its seed.

use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Seen, Trace};

/// Seeds that are run twice.
const REPEATED: u64 = 20;

fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text:?} must be a whole number"))
    })
}

/// Runs as many schedules on every core, unless the environment says how many and from which seed
/// on, and tells what happened in them.
///
/// # Panics
/// A schedule panics: its seed is told.
pub fn run_schedules(default_count: u64, run: impl Fn(u64) -> Seen + Sync) -> Seen {
    let first = variable("MILLRACE_SIMULATION_SEED", 1);
    let count = variable("MILLRACE_SIMULATION_SCHEDULES", default_count);
    let next = AtomicU64::new(first);
    let worker = || {
        let mut seen = Seen::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first.saturating_add(count) {
                return seen;
            }
            seen.add(&named(seed, &run));
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let seen = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        let mut all = Seen::default();
        for thread in threads {
            all.add(&thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        all
    });
    eprintln!("{count} schedules from {first} on: {seen:?}");
    if count >= 10_000 {
        seen.assert_everything_happened();
    }
    seen
}

/// Runs some seeds twice each: a seed is one schedule, whatever the clock of the machine says.
///
/// # Panics
/// Two runs of a seed are not the same.
pub fn assert_repeats(run: impl Fn(u64) -> Vec<Trace>) {
    for seed in 1..=REPEATED {
        let (once, again) = (run(seed), run(seed));
        assert_eq!(once.len(), again.len());
        for (once, again) in once.iter().zip(&again) {
            once.assert_is(again);
        }
    }
}

fn named(seed: u64, run: &impl Fn(u64) -> Seen) -> Seen {
    catch_unwind(AssertUnwindSafe(|| run(seed))).unwrap_or_else(|panic| {
        eprintln!("failed: MILLRACE_SIMULATION_SEED={seed}");
        resume_unwind(panic)
    })
}
