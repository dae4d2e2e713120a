//! Whether a record costs the same among few and among many.

use anyhow::Result;
use millrace_settings::Settings;

use super::command::Options;
use super::engine::{Run, aggregation, detection};
use super::figure::{Figure, Measure, Target};

const USERS: [u32; 4] = [10_000, 100_000, 1_000_000, 10_000_000];
const MERCHANTS: [u32; 3] = [100, 5_000, 1_000_000];
/// What a record may cost at most, as a multiple of the cheapest.
const RATIO: f64 = 1.3;

pub(super) fn measure(settings: &Settings, options: &Options) -> Result<Vec<Figure>> {
    let records = options.records.min(3_000_000);
    let detections = USERS.map(|users| detection(settings, users, options.merchants, records));
    let aggregations = MERCHANTS.map(|merchants| aggregation(settings, options.users, merchants, records));
    Ok(vec![
        figure("detection", &detections.into_iter().collect::<Result<Vec<_>>>()?),
        figure(
            "aggregation",
            &aggregations.into_iter().collect::<Result<Vec<_>>>()?,
        ),
    ])
}

fn figure(what: &str, runs: &[Run]) -> Figure {
    let mut figure = Figure {
        what: format!("growth of {what}: no Kafka, one thread"),
        records: runs.iter().map(|run| run.records).sum(),
        wall_s: runs.iter().map(|run| run.took.as_secs_f64()).sum(),
        ..Figure::default()
    };
    for run in runs {
        let name = format!("{} users, {} merchants", run.users, run.merchants);
        figure = figure.with(Measure::new(name, run.ns_per_record(), "ns"));
    }
    let costs = || runs.iter().map(Run::ns_per_record);
    let ratio = costs().fold(0.0, f64::max) / costs().fold(f64::MAX, f64::min);
    figure.with(Measure::new("dearest by cheapest", ratio, "").to_be(Target::AtMost(RATIO)))
}
