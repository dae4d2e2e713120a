//! A deterministic simulation of the whole pipeline without Kafka: a simulated log, transactions that commit outputs,
//! offsets and idle advances together, snapshots that get torn or lost, workers that crash, abort and rebalance at any
//! step. Whatever the schedule, the committed output must be that of a run in which nothing ever went wrong.
//!
//! `MILLRACE_SIMULATION_SCHEDULES` sets the number of schedules, `MILLRACE_SIMULATION_SEED` the first one's seed; a
//! failure names its seed.

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

mod simulated;
mod support;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use simulated::world::{Emit, World};

const DEFAULT_SCHEDULES: u64 = 3_000;

fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text:?} must be a whole number"))
    })
}

/// Runs one schedule, and names it if it fails.
fn run(seed: u64, emit: Emit, crash_at: Option<usize>) -> World {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(seed, emit);
        world.run(crash_at);
        world.verify();
        world
    }));
    outcome.unwrap_or_else(|panic| {
        eprintln!("failed: MILLRACE_SIMULATION_SEED={seed}, {emit:?}, crash at step {crash_at:?}");
        resume_unwind(panic)
    })
}

#[test]
fn random_schedules_commit_what_an_undisturbed_run_commits() {
    let first = variable("MILLRACE_SIMULATION_SEED", 1);
    let schedules = variable("MILLRACE_SIMULATION_SCHEDULES", DEFAULT_SCHEDULES);
    let (mut steps, mut early) = (0, 0);
    for seed in first..first.saturating_add(schedules) {
        let (on_close, with_early) = (run(seed, Emit::OnClose, None), run(seed, Emit::Early, None));
        assert_eq!(on_close.finals(), with_early.finals(), "seed {seed}");
        assert_eq!(on_close.early(), 0);
        steps += on_close.steps() + with_early.steps();
        early += with_early.early();
    }
    assert!(early > 0);
    eprintln!(
        "{schedules} schedules from seed {first}, each with and without early results, {steps} steps, {early} early results"
    );
}

#[test]
fn a_crash_of_all_workers_at_any_step_changes_nothing() {
    for seed in 1..=5 {
        for emit in [Emit::OnClose, Emit::Early] {
            let steps = run(seed, emit, None).steps();
            for step in 0..steps {
                run(seed, emit, Some(step));
            }
        }
    }
}
