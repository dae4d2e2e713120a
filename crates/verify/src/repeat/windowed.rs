//! Aggregates in two stages: contributions and watermarks, late records, results, dead letters.

use anyhow::{Context as _, Result};
use millrace_catalog::JobSpec;
use millrace_contract::Reader;
use millrace_registry::SchemaFetcher;
use millrace_runtime::windowed::{MergeJob, PartialJob, TwoStage};
use millrace_service::registry;
use millrace_settings::Settings;

use super::Difference;
use super::copies::place;
use super::difference::digest;
use super::job::{self, Identify, Names, Record};

/// A stage with its spec, and what its records are called.
pub(crate) type Stage<'a, J> = (&'a JobSpec, &'a J, Names<'a>);

/// Repeats both stages over what is there, and compares. What a source partition sends to a
/// partition of the second stage stays in order; `result` identifies a result.
///
/// # Errors
/// The brokers or the registry are away.
pub(crate) fn compare<W: TwoStage>(
    settings: &Settings,
    (partial_spec, partial, partial_names): Stage<'_, PartialJob<W>>,
    (merge_spec, merge, merge_names): Stage<'_, MergeJob<W>>,
    result: &Identify<'_>,
) -> Result<Vec<Difference>> {
    let fetcher = SchemaFetcher::new(registry::config(&settings.schema_registry));
    let reader = Reader::<W::Partial>::new(fetcher);
    let contribution = |record: &Record<'_>| {
        let partial = reader.read(record.payload).context("a contribution")?;
        let source = W::record_of(partial).source_partition;
        let target = record.partition.context("a contribution names its partition")?;
        Ok((place(source, target.into()), digest((record.key, record.payload))))
    };
    job::while_still(settings, partial, || {
        let mut differences = job::compare(settings, partial_spec, partial, partial_names, &contribution)?;
        differences.extend(job::compare(settings, merge_spec, merge, merge_names, result)?);
        Ok(differences)
    })
}
