//! Random schedules over both stages as they run in production: the jobs, the worker's partitions,
//! and changes of every setting that may be changed, with kills, rebalances, aborted transactions
//! and added partitions between them. What is committed (results, late records, dead letters, the
//! control topics) is, record by record, what an undisturbed run writes that reads the same
//! directives; and no transaction's money is missing or counted twice in the end.
//!
//! The variables are those of [`millrace_runtime::simulation`].

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

mod changes;
mod jobs;
mod money;
mod stream;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};

use jobs::{Cluster, Jobs, MERGE_PARTITIONS, Stage1, Stage2};
use millrace_runtime::simulation::{Random, Seen, Trace, assert_repeats, run_schedules};
use money::Outcome;
use stream::Stream;
use world::World;

const SCHEDULES: u64 = 10_000;

/// What happened in schedules besides.
#[derive(Default)]
struct Besides {
    late: AtomicU64,
    dead: AtomicU64,
    late_contributions: AtomicU64,
    refused: AtomicU64,
}

#[test]
fn changes_of_settings_kills_and_rebalances_commit_what_an_undisturbed_run_commits() {
    let (jobs, besides) = (Jobs::new(), Besides::default());
    let seen = run_schedules(SCHEDULES, |seed| run(&jobs, seed, &besides).0);
    let Besides {
        late,
        dead,
        late_contributions,
        refused,
    } = besides;
    let besides = [late, dead, late_contributions, refused].map(AtomicU64::into_inner);
    eprintln!("late, dead letters, late contributions, refused policies: {besides:?}");
    let has_all = seen.advances > 0 && seen.grown > 0 && besides.iter().all(|count| *count > 0);
    // Who looks into one seed runs fewer, and says how many.
    let is_chosen = std::env::var_os("MILLRACE_SIMULATION_SCHEDULES").is_some();
    assert!(has_all || is_chosen, "{seen:?}");
}

#[test]
fn one_seed_is_one_schedule() {
    let (jobs, besides) = (Jobs::new(), Besides::default());
    assert_repeats(|seed| run(&jobs, seed, &besides).1);
}

/// Runs a schedule, and verifies what came of it.
fn run(jobs: &Jobs, seed: u64, besides: &Besides) -> (Seen, Vec<Trace>) {
    let mut random = Random::new(seed);
    let is_unheard = random.one_in(4);
    let stream = Stream::new(&mut random);
    let cluster = &Cluster::new(stream.sources(), is_unheard);
    let stages = (&Stage1 { jobs, cluster }, &Stage2 { jobs, cluster });
    let mut world = World::new(stages, &stream, &mut random);
    world.run();
    let World { first, second, .. } = &mut world;
    first.verify();
    second.verify();
    let (of_first, of_second) = (first.seen(), second.seen());
    assert!(
        of_first.refused == 0 || of_first.grown > 0,
        "stage 1 takes every policy"
    );
    changes::verify_windows(first.outputs());
    (0..MERGE_PARTITIONS).for_each(|number| changes::verify_sources(second.controls(number as usize)));

    let outcome = Outcome::of(first.outputs(), second.outputs());
    outcome.verify(&stream);
    assert!(
        is_unheard || outcome.late_contributions == 0,
        "a source came too late"
    );
    besides.late.fetch_add(outcome.late, Ordering::Relaxed);
    besides.dead.fetch_add(outcome.dead, Ordering::Relaxed);
    (besides.late_contributions).fetch_add(outcome.late_contributions, Ordering::Relaxed);
    besides.refused.fetch_add(of_second.refused, Ordering::Relaxed);
    let mut seen = of_first;
    seen.add(&of_second);
    let traces = vec![world.first.into_trace(), world.second.into_trace()];
    (seen, traces)
}
