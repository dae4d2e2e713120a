//! A deterministic simulation of the whole pipeline without Kafka: a simulated log, transactions
//! that commit outputs, offsets and idle advances together, snapshots that get torn or lost,
//! workers that crash, abort and rebalance at any step. Whatever the schedule, the committed output
//! must be that of a run in which nothing ever went wrong.
//!
//! `MILLRACE_SIMULATION_SCHEDULES` sets the number of schedules, `MILLRACE_SIMULATION_SEED` the
//! first one's seed; a failure names its seed.

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

mod simulated;
mod support;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use simulated::world::{Emit, World};
use support::schedules::{each_seed, variable};

/// Seeds, each with and without early results: with the crash at every step below, and the
/// detector's own, more than 100,000 schedules with crashes.
const DEFAULT_SCHEDULES: u64 = 50_000;

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
    let (steps, early) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let schedules = variable("MILLRACE_SIMULATION_SCHEDULES", DEFAULT_SCHEDULES);
    each_seed(schedules, |seed| {
        let (on_close, with_early) = (run(seed, Emit::OnClose, None), run(seed, Emit::Early, None));
        assert_eq!(on_close.finals(), with_early.finals(), "seed {seed}");
        assert_eq!(on_close.early(), 0);
        steps.fetch_add(on_close.steps() + with_early.steps(), Ordering::Relaxed);
        early.fetch_add(with_early.early(), Ordering::Relaxed);
    });
    assert!(early.load(Ordering::Relaxed) > 0);
    eprintln!("each with and without early results: {steps:?} steps, {early:?} early results");
}

#[test]
fn golden_streams_commit_the_same_whole_and_restarted_at_every_commit_by_two_to_five_workers() {
    for seed in 1..=40 {
        for emit in [Emit::OnClose, Emit::Early] {
            let mut whole = World::with_logs(seed, emit, 1);
            whole.run_whole();
            whole.verify();
            for workers in 2..=5 {
                let mut restarted = World::with_logs(seed, emit, workers);
                restarted.run_restarted();
                restarted.verify();
                assert_eq!(
                    restarted.of_sources(),
                    whole.of_sources(),
                    "seed {seed}, {workers} workers"
                );
                assert_eq!(
                    restarted.finals(),
                    whole.finals(),
                    "seed {seed}, {workers} workers"
                );
            }
        }
    }
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
