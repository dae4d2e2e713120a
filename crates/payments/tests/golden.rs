//! States that earlier versions wrote, read by this one.

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

mod support;

use std::path::PathBuf;

use millrace_domain::Transaction;
use millrace_engine::windowed::{MergePolicy, PartialPolicy, records};
use millrace_engine::{HashSeed, Operator};
use millrace_payments::{MergeAggregate, PartialAggregate};
use support::golden::{Golden, Step};
use support::{Random, Record, stage_1, stage_2, transaction};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// A partition's transactions, with disorder, lateness, duplicates and now and then an advance.
fn transactions(source: u64) -> Vec<Step<Transaction>> {
    let mut random = Random(source);
    let mut sent: Vec<Transaction> = Vec::new();
    let mut now_ms = 1_760_000_000_000;
    (0..600_u64)
        .map(|number| {
            now_ms += random.below(400) as i64;
            if random.one_in(60) {
                now_ms += 15_000;
                return Step::Advance(now_ms - 1_000);
            }
            if random.one_in(12) && !sent.is_empty() {
                return Step::Record(sent[sent.len() - 1 - random.below(sent.len().min(30))]);
            }
            let most_ms = if random.one_in(9) { 40_000 } else { 4_000 };
            let back_ms = random.below(most_ms) as i64;
            let user = format!("u-{source}-{}", random.below(9));
            let (merchant, currency) = (random.next() % 5, random.next() % 3);
            let units = 1 + random.below(9_000_000) as i64;
            let id = source << 32 | number;
            sent.push(transaction(
                id,
                &user,
                merchant,
                currency,
                units,
                now_ms - back_ms,
            ));
            Step::Record(sent[sent.len() - 1])
        })
        .collect()
}

fn fresh_partial() -> PartialAggregate {
    let policy = PartialPolicy::new(10_000, 2_000, 5_000).unwrap();
    stage_1(policy, HashSeed::FIXED)
}

fn partial() -> Golden<PartialAggregate> {
    Golden {
        job: "aggregate-partial",
        folder: folder(),
        fresh: fresh_partial,
        steps: transactions(1),
    }
}

/// What two sources send, in turns.
fn partials() -> Vec<Step<Record>> {
    let mut sources = [fresh_partial(), fresh_partial()];
    let streams = transactions(1).into_iter().zip(transactions(2));
    let mut steps = Vec::new();
    for (first, second) in streams {
        for (source, (operator, step)) in sources.iter_mut().zip([first, second]).enumerate() {
            let mut outputs = Vec::new();
            match &step {
                Step::Record(record) => _ = operator.process(record, &mut outputs),
                Step::Advance(to_ms) => operator.advance(*to_ms, &mut outputs),
            }
            // Each by itself, as when the files were made.
            let alone = outputs.chunks(1);
            let told = alone.flat_map(|output| records(source as i32, output));
            steps.extend(told.map(Step::Record));
        }
    }
    steps
}

fn merge() -> Golden<MergeAggregate> {
    Golden {
        job: "aggregate-merge",
        folder: folder(),
        fresh: || stage_2(MergePolicy::new(2, 2_000).unwrap(), HashSeed::FIXED),
        steps: partials(),
    }
}

#[test]
fn the_present_layouts_have_their_files() {
    partial().check_present();
    merge().check_present();
}

#[test]
fn every_version_is_gone_on_from() {
    partial().check_every_version();
    merge().check_every_version();
}

#[test]
fn an_unknown_version_is_refused_by_name() {
    assert_eq!(
        partial().refusal_of_version(15),
        "the state of aggregate-partial has version 15, and this release reads versions up to 3"
    );
    assert_eq!(
        merge().refusal_of_version(15),
        "the state of aggregate-merge has version 15, and this release reads versions up to 3"
    );
}
