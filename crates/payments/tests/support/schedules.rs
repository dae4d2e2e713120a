//! Many schedules at once, each by its seed.

use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};

/// A whole number from the environment.
pub(crate) fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text:?} must be a whole number"))
    })
}

/// Runs as many seeds, from `MILLRACE_SIMULATION_SEED` on, on every core.
pub(crate) fn each_seed(count: u64, run: impl Fn(u64) + Sync) {
    let first = variable("MILLRACE_SIMULATION_SEED", 1);
    let next = AtomicU64::new(first);
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first.saturating_add(count) {
                        break;
                    }
                    run(seed);
                }
            });
        }
    });
    eprintln!("{count} seeds from {first} on");
}
