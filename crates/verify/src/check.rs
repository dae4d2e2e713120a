//! What `verify` compares: each pipeline brings its own [`Check`], by its line in [`ALL`], and one
//! loop runs them all.

use std::time::Duration;

use anyhow::Error;
use millrace_catalog::Pipeline;
use millrace_settings::Settings;
use tokio::runtime::Handle;

use crate::elastic::Index;
use crate::repeat::Difference;
use crate::report::{Counts, Row};
use crate::{clickstream, commerce, incidents, iot, payments};

/// The verification of each pipeline.
pub(crate) const ALL: &[Verification] = &[
    payments::VERIFICATION,
    clickstream::VERIFICATION,
    iot::VERIFICATION,
    commerce::VERIFICATION,
    incidents::VERIFICATION,
];

/// How a pipeline is verified.
pub(crate) struct Verification {
    /// Which pipeline.
    pub(crate) pipeline: &'static Pipeline,
    /// Opens the topics that are compared. Blocks.
    pub(crate) open: fn(&Settings) -> anyhow::Result<Box<dyn Check>>,
    /// Repeats the jobs' logs, and compares all they wrote with that, record by record. Blocks, in
    /// a thread of the runtime for that.
    pub(crate) repeat: fn(&Settings) -> anyhow::Result<Vec<Difference>>,
}

/// What of a pipeline must come out by what went in.
pub(crate) trait Check: Send {
    /// What could not be read where [`Check::look`] fails.
    fn reads(&self) -> &'static str;

    /// What the comparison waits for.
    fn waits_for(&self) -> Waits;

    /// Looks at everything once more, and compares. Elasticsearch is looked at before the topics
    /// that it is fed from, and results before what they are made of, so that neither ever seems
    /// ahead. Blocks, in a thread of the runtime for that.
    ///
    /// # Errors
    /// A topic or a ledger cannot be read.
    fn look(&mut self, index: Option<&Index>) -> anyhow::Result<Look>;

    /// How long the next look may take beyond reading what is new.
    fn cost(&self) -> Duration {
        Duration::ZERO
    }
}

/// What a comparison waits for: while one of these is behind, what is missing is not lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waits {
    /// The jobs, by name.
    pub(crate) jobs: Vec<&'static str>,
    /// The streams whose documents are compared, before any prefix.
    pub(crate) documents: Vec<&'static str>,
}

/// What one look has come to.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// The rows.
    pub(crate) rows: Vec<Row>,
    /// What was lost and doubled of transactions.
    pub(crate) counts: Counts,
    /// Whether a run goes on, so that jobs are always a little behind.
    pub(crate) is_running: bool,
    /// Why Elasticsearch cannot be read: the rows are without it then.
    pub(crate) unindexed: Option<Error>,
}

/// The verifications of the pipelines that there are by the settings.
pub(crate) fn of(settings: &Settings) -> impl Iterator<Item = &'static Verification> {
    let installation = settings.installation();
    ALL.iter().filter(move |it| installation.has(it.pipeline))
}

/// Waits for an answer, in a thread of the runtime that may block.
pub(crate) fn wait_for<T>(answer: impl Future<Output = T>) -> T {
    Handle::current().block_on(answer)
}

#[cfg(test)]
mod tests {
    use millrace_catalog::PIPELINES;

    use super::*;

    #[test]
    fn every_pipeline_is_verified() {
        let names = |pipelines: &mut dyn Iterator<Item = &Pipeline>| -> Vec<_> {
            pipelines.map(|pipeline| pipeline.name).collect()
        };
        let verified = names(&mut ALL.iter().map(|it| it.pipeline));
        assert_eq!(verified, names(&mut PIPELINES.iter().copied()));
    }
}
