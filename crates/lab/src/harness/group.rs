//! The consumer groups of a pipeline, by its settings.

use millrace_catalog::{PIPELINES, Pipeline, Service, is_between_jobs, payments};
use millrace_settings::Settings;

/// A consumer group of the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// The aggregator's first stage.
    Partial,
    /// The aggregator's second stage.
    Merge,
    /// The detector.
    Detect,
    /// The sink.
    Sink,
    /// The job that rekeys, where transactions are rekeyed.
    Rekey,
    /// A job, by name, of a stream beside the transactions.
    Job(&'static str),
}

impl Group {
    /// Those that there are by the settings, but for that of rekeying.
    #[must_use]
    pub fn all(settings: &Settings) -> Vec<Self> {
        let mut groups = Self::jobs(settings);
        groups.push(Self::Sink);
        groups
    }

    /// Those of jobs among them, which must never wait for Elasticsearch.
    #[must_use]
    pub fn jobs(settings: &Settings) -> Vec<Self> {
        let beside = streams_beside(settings).flat_map(|pipeline| pipeline.jobs);
        let beside = beside.map(|job| Self::Job(job.name));
        [Self::Partial, Self::Merge, Self::Detect]
            .into_iter()
            .chain(beside)
            .collect()
    }

    /// Those of a service of jobs among them.
    #[must_use]
    pub fn of(service: Service, settings: &Settings) -> Vec<Self> {
        let jobs = PIPELINES.iter().flat_map(|pipeline| pipeline.jobs);
        let own: Vec<_> = jobs.filter(|job| job.service == service).collect();
        let mut groups = Self::jobs(settings);
        groups.retain(|group| own.iter().any(|job| job.name == group.reader()));
        groups
    }

    /// All that are looked at.
    pub(super) fn watched(settings: &Settings) -> Vec<Self> {
        let mut groups = Self::all(settings);
        groups.extend(settings.rekeys().then_some(Self::Rekey));
        groups
    }

    /// Whether its input comes in bursts, as windows close: its lag says nothing.
    pub(super) fn is_second_stage(self) -> bool {
        let jobs = PIPELINES.iter().flat_map(|pipeline| pipeline.jobs);
        let mut own = jobs.filter(|job| job.name == self.reader());
        own.any(|job| is_between_jobs(job.input))
    }

    /// The job, or the service of documents, that it is of.
    #[must_use]
    pub const fn reader(self) -> &'static str {
        match self {
            Self::Partial => payments::AGGREGATE_PARTIAL.name,
            Self::Merge => payments::AGGREGATE_MERGE.name,
            Self::Detect => payments::DETECT.name,
            Self::Sink => Service::ElasticSink.name(),
            Self::Rekey => payments::REKEY.name,
            Self::Job(name) => name,
        }
    }
}

/// The pipelines beside the transactions that there are by the settings.
pub fn streams_beside(settings: &Settings) -> impl Iterator<Item = &'static Pipeline> + use<> {
    let installation = settings.installation();
    let pipelines = PIPELINES.iter().copied();
    pipelines.filter(move |it| it.enabled_by.is_some() && installation.has(it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_jobs_of_a_stream_that_is_enabled_are_watched() {
        let mut settings = Settings::default();
        assert_eq!(Group::all(&settings).len(), 4);
        settings.clickstream.enabled = true;
        let pages = ["page-views-partial", "page-views-merge", "sessions"].map(Group::Job);
        assert_eq!(Group::of(Service::Clickstream, &settings), pages);
        assert!(
            pages
                .iter()
                .all(|group| Group::watched(&settings).contains(group))
        );
        assert!(pages[1].is_second_stage() && !pages[2].is_second_stage());
        assert!(Group::Merge.is_second_stage() && !Group::Partial.is_second_stage());
        assert!(!Group::Sink.is_second_stage());
    }
}
