//! Both stages of aggregation, and the job that rekeys where there is one.

use anyhow::{Context as _, Result};
use millrace_catalog::payments::{AGGREGATE_MERGE, AGGREGATE_PARTIAL, REKEY};
use millrace_domain::codec::AggregateReader;
use millrace_registry::SchemaFetcher;
use millrace_service::registry;
use millrace_settings::Settings;
use millrace_telemetry::Shutdown;

use super::difference::digest;
use super::job::{self, Names, Record};
use super::{Difference, windowed};
use crate::check::wait_for;

/// Repeats the jobs and compares; the detector's is [`super::anomalies`].
///
/// # Errors
/// The brokers or the registry are away, or retention has removed a part of a log, so that it
/// cannot be repeated.
pub(crate) fn compare(settings: &Settings) -> Result<Vec<Difference>> {
    let shutdown = Shutdown::new();
    let (partial, merge) = wait_for(millrace_aggregator::prepare(settings, &shutdown))?;
    // A record is known by all that it has: the input's partitions are mixed in the output, in an
    // order that nothing decides. Whether it lies where its user's records lie the jobs that read
    // it check.
    let rekeyed = match settings.rekeys() {
        false => Vec::new(),
        true => {
            let names = Names {
                outputs: &["rekeyed records"],
                dead_letters: Some("dead letters of rekeying"),
            };
            let rekey = wait_for(millrace_rekey::prepare(settings, &shutdown))?;
            job::compare(settings, &REKEY, &rekey, names, &job::whole)?
        }
    };
    let of_partial = Names {
        outputs: &["contributions and watermarks", "late records"],
        dead_letters: Some("dead letters"),
    };
    let of_merge = Names {
        outputs: &["results"],
        dead_letters: Some("dead letters of contributions"),
    };
    let reader = AggregateReader::new(SchemaFetcher::new(registry::config(&settings.schema_registry)));
    let mut differences = windowed::compare(
        settings,
        (&AGGREGATE_PARTIAL, &partial, of_partial),
        (&AGGREGATE_MERGE, &merge, of_merge),
        &|record| {
            let content = digest((record.key, record.payload));
            Ok((result(&reader, record)?, content))
        },
    )?;
    differences.extend(rekeyed);
    Ok(differences)
}

/// A result is one of a merchant, a currency, a window and a revision.
fn result(reader: &AggregateReader, record: &Record<'_>) -> Result<Vec<u8>> {
    let aggregate = reader.read(record.payload).context("a result")?;
    let (start_ms, end_ms) = (aggregate.window_start_ms, aggregate.window_end_ms);
    let (currency, revision) = (aggregate.currency, aggregate.revision);
    let mut identity = format!("{currency} {start_ms} {end_ms} {revision} ").into_bytes();
    identity.extend_from_slice(aggregate.merchant_id.text().as_bytes());
    Ok(identity)
}
