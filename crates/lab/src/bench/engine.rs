//! The operators, without Kafka, on one core.

use std::time::Duration;

use anyhow::{Result, anyhow};
use millrace_domain::Transaction;
use millrace_engine::windowed::PartialPolicy;
use millrace_engine::{HashSeed, Operator, near};
use millrace_fraud::DetectOperator;
use millrace_kafka::partition_for;
use millrace_payments::{PartialAggregate, PerMerchant};
use millrace_settings::Settings;

use super::command::Options;
use super::figure::{Figure, Measure, Target};
use super::stream::{Transactions, event_rate_per_s};
use super::usage::time;

/// Records that are made, then processed.
const BATCH: usize = 100_000;
/// Targets, in records a second.
const AGGREGATION: f64 = 5e6;
const DETECTION: f64 = 3e6;

pub(super) fn measure(settings: &Settings, options: &Options) -> Result<Vec<Figure>> {
    let (users, merchants) = (options.users, options.merchants);
    Ok(vec![
        figure(
            "aggregation",
            AGGREGATION,
            &aggregation(settings, (users, merchants), 1, options.records)?,
        ),
        figure(
            "detection",
            DETECTION,
            &detection(settings, (users, merchants), 1, options.records)?,
        ),
    ])
}

/// What one operator took.
pub(super) struct Run {
    pub(super) users: u32,
    pub(super) merchants: u32,
    /// Partitions that one thread has, each with an operator of its own.
    pub(super) partitions: usize,
    pub(super) records: u64,
    pub(super) took: Duration,
}

impl Run {
    pub(super) fn ns_per_record(&self) -> f64 {
        self.took.as_secs_f64() * 1e9 / self.records as f64
    }
}

fn figure(what: &str, target: f64, run: &Run) -> Figure {
    let rate = run.records as f64 / run.took.as_secs_f64();
    let figure = Figure {
        what: format!(
            "{what}: no Kafka, {} users, {} merchants, one thread",
            run.users, run.merchants
        ),
        records: run.records,
        wall_s: run.took.as_secs_f64(),
        ..Figure::default()
    };
    figure
        .with(Measure::new("records a second", rate, "1/s").to_be(Target::AtLeast(target)))
        .with(Measure::new("each", run.ns_per_record(), "ns"))
}

/// The aggregator's first stage, past its second window, where every table has its size.
pub(super) fn aggregation(
    settings: &Settings,
    (users, merchants): (u32, u32),
    partitions: usize,
    records: u64,
) -> Result<Run> {
    let aggregator = &settings.aggregator;
    let policy = PartialPolicy::new(
        aggregator.window_ms,
        aggregator.allowed_lateness_ms,
        aggregator.event_time.max_disorder_ms,
    )?;
    let two_windows_s = u64::try_from(aggregator.window_ms * 2 / 1_000).unwrap_or(0) + 10;
    let warm_up = (event_rate_per_s(users) * two_windows_s).min(20_000_000);
    let operator = PartialAggregate::new(PerMerchant, policy, HashSeed::FIXED);
    let mut operators = vec![operator; partitions];
    run(settings, (users, merchants), (warm_up, records), &mut operators)
}

/// The detector with all rules, when nearly every user has a profile and a horizon of ids is known.
pub(super) fn detection(
    settings: &Settings,
    (users, merchants): (u32, u32),
    partitions: usize,
    records: u64,
) -> Result<Run> {
    let rules = millrace_detector::rules::settings(&settings.detector)?;
    let operator = DetectOperator::new(&rules, HashSeed::FIXED).map_err(|error| anyhow!("{error}"))?;
    let mut operators = vec![operator; partitions];
    let horizon_s = u64::try_from(settings.detector.dedup_horizon_ms / 1_000).unwrap_or(0) + 10;
    // Drawn at random, 95 % of the users have come after three times their number.
    let warm_up = (event_rate_per_s(users) * horizon_s).max(u64::from(users) * 3);
    run(settings, (users, merchants), (warm_up, records), &mut operators)
}

fn run<O: Operator<Record = Transaction>>(
    settings: &Settings,
    (users, merchants): (u32, u32),
    (warm_up, records): (u64, u64),
    operators: &mut [O],
) -> Result<Run> {
    let mut transactions = Transactions::new(settings, users, merchants)?;
    let mut batch = Vec::new();
    let mut batches = vec![Vec::new(); operators.len()];
    let partitions = i32::try_from(operators.len())?;
    let (mut done, mut took) = (0, Duration::ZERO);
    while done < warm_up + records {
        transactions.fill(&mut batch, BATCH);
        batches.iter_mut().for_each(Vec::clear);
        for transaction in &batch {
            let partition = partition_for(transaction.user_id.text().as_bytes(), partitions);
            batches[usize::try_from(partition)?].push(*transaction);
        }
        let ((), batch_took) = time(|| operators.iter_mut().zip(&batches).for_each(process));
        if done >= warm_up {
            took += batch_took;
        }
        done += BATCH as u64;
    }
    let measured = done - warm_up.next_multiple_of(BATCH as u64);
    Ok(Run {
        users,
        merchants,
        partitions: operators.len(),
        records: measured,
        took,
    })
}

/// In groups, as the worker does.
fn process<O: Operator<Record = Transaction>>((operator, batch): (&mut O, &Vec<Transaction>)) {
    let mut outputs = Vec::new();
    for group in batch.chunks(near::GROUP) {
        operator.prepare(group);
        for transaction in group {
            operator.process(transaction, &mut outputs);
            outputs.clear();
        }
    }
}
