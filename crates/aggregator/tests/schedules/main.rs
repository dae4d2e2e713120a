//! Random schedules over both stages as they run in production: the jobs, the worker's partitions,
//! and changes of every setting that may be changed, with kills, rebalances and aborted
//! transactions between them. What is committed (results, late records, dead letters, the control
//! topics) is, record by record, what an undisturbed run writes that reads the same directives; and
//! no transaction's money is missing or counted twice in the end.
//!
//! The variables are those of [`millrace_kafka::simulation`].

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

mod jobs;
mod money;
mod stream;

use std::sync::atomic::{AtomicU64, Ordering};

use jobs::{MERGE_PARTITIONS, PARTIALS, Stage1, Stage2};
use millrace_kafka::simulation::{LoggedRecord, Output, Random, Simulation, run_schedules};
use money::Outcome;
use stream::Stream;

const SCHEDULES: u64 = 10_000;

#[test]
fn changes_of_settings_kills_and_rebalances_commit_what_an_undisturbed_run_commits() {
    let (stage_1, stage_2) = (Stage1::new(), Stage2::new());
    let [late, dead, late_contributions, refused] = [const { AtomicU64::new(0) }; 4];
    let seen = run_schedules(SCHEDULES, |seed| {
        let mut random = Random::new(seed);
        let stream = Stream::new(&mut random);
        let mut first = Simulation::new(&stage_1, random.next_u64(), stream.logs().to_vec());
        first.run();
        first.verify();
        assert_eq!(first.seen().refused, 0, "stage 1 takes every policy");

        let partials = (0..MERGE_PARTITIONS).map(|partition| log_of(first.outputs(), partition));
        let mut second = Simulation::new(&stage_2, random.next_u64(), partials.collect());
        second.run();
        second.verify();

        let outcome = Outcome::of(first.outputs(), second.outputs());
        outcome.verify(&stream);
        late.fetch_add(outcome.late, Ordering::Relaxed);
        dead.fetch_add(outcome.dead, Ordering::Relaxed);
        late_contributions.fetch_add(outcome.late_contributions, Ordering::Relaxed);
        refused.fetch_add(second.seen().refused, Ordering::Relaxed);
        let mut seen = first.seen();
        seen.add(&second.seen());
        seen
    });
    let besides = [late, dead, late_contributions, refused].map(AtomicU64::into_inner);
    eprintln!("late, dead letters, late contributions, refused policies: {besides:?}");
    let has_all = seen.advances > 0 && besides.iter().all(|count| *count > 0);
    assert!(has_all || seen.commits < 100_000, "{seen:?}");
}

/// A partition of the partials, as stage 1 has committed it.
fn log_of(outputs: &[Output], partition: i32) -> Vec<LoggedRecord> {
    let here = |output: &&Output| output.topic == PARTIALS && output.partition == Some(partition);
    let logged = |output: &Output| LoggedRecord {
        key: output.key.clone(),
        payload: Some(output.payload.clone()),
        timestamp_ms: 0,
        is_append_time: true,
    };
    outputs.iter().filter(here).map(logged).collect()
}
