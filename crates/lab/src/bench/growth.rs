//! Whether a record costs the same among few and among many: users, merchants, partitions of a
//! thread.

use anyhow::Result;
use millrace_settings::Settings;

use super::command::Options;
use super::engine::{Run, aggregation, detection};
use super::figure::{Figure, Measure, Target};

const USERS: [u32; 4] = [10_000, 100_000, 1_000_000, 10_000_000];
const MERCHANTS: [u32; 3] = [100, 5_000, 1_000_000];
const PARTITIONS: [usize; 3] = [1, 5, 50];
/// What a record may cost at most, as a multiple of the cheapest.
const RATIO: f64 = 1.3;

pub(super) fn measure(settings: &Settings, options: &Options) -> Result<Vec<Figure>> {
    let records = options.records.min(3_000_000);
    let (users, merchants) = (options.users, options.merchants);
    let by_users = USERS.map(|users| detection(settings, (users, merchants), 1, records));
    let by_merchants = MERCHANTS.map(|merchants| aggregation(settings, (users, merchants), 1, records));
    let detections = PARTITIONS.map(|count| detection(settings, (users, merchants), count, records));
    let aggregations = PARTITIONS.map(|count| aggregation(settings, (users, merchants), count, records));
    let named = [
        ("detection, users", Vec::from(by_users)),
        ("aggregation, merchants", Vec::from(by_merchants)),
        ("detection, partitions", Vec::from(detections)),
        ("aggregation, partitions", Vec::from(aggregations)),
    ];
    let figures = named.into_iter().map(|(what, runs)| {
        let runs = runs.into_iter().collect::<Result<Vec<_>>>()?;
        Ok(figure(what, &runs))
    });
    figures.collect()
}

fn figure(what: &str, runs: &[Run]) -> Figure {
    let mut figure = Figure {
        what: format!("growth of {what}: no Kafka, one thread"),
        records: runs.iter().map(|run| run.records).sum(),
        wall_s: runs.iter().map(|run| run.took.as_secs_f64()).sum(),
        ..Figure::default()
    };
    for run in runs {
        let Run {
            users,
            merchants,
            partitions,
            ..
        } = run;
        let name = format!("{users} users, {merchants} merchants, {partitions} partitions");
        figure = figure.with(Measure::new(name, run.ns_per_record(), "ns"));
    }
    let costs = || runs.iter().map(Run::ns_per_record);
    let ratio = costs().fold(0.0, f64::max) / costs().fold(f64::MAX, f64::min);
    figure.with(Measure::new("dearest by cheapest", ratio, "").to_be(Target::AtMost(RATIO)))
}
