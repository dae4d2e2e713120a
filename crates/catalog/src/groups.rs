//! The consumer groups that come of jobs, documents and rows.

use crate::topics::{in_place, read_as};
use crate::{Installation, PIPELINES, Service};

/// Who reads what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The consumer group, before any prefix.
    pub name: String,
    /// The job, or the sink, that it is of.
    pub reader: &'static str,
    /// The topics that it reads, before any prefix.
    pub topics: Vec<&'static str>,
    /// The service that it runs in.
    pub service: Service,
    /// Whether it is a job's, and not a sink's.
    pub is_job: bool,
}

/// The consumer groups of an installation: the jobs' in their order, then the sinks',
/// each with what it reads in the order of the pipelines.
#[must_use]
pub fn groups(installation: Installation) -> Vec<Group> {
    let rekeys = installation.rekeys();
    let pipelines = || PIPELINES.iter().filter(|it| installation.has(it));
    let jobs = pipelines().flat_map(|pipeline| pipeline.jobs);
    let mut groups: Vec<Group> = jobs
        .filter(|job| job.when.holds(rekeys))
        .map(|job| Group {
            name: job.group(),
            reader: job.name,
            topics: vec![read_as(PIPELINES, job, rekeys)],
            service: job.service,
            is_job: true,
        })
        .collect();
    let documents = pipelines().flat_map(|pipeline| pipeline.documents);
    let documents = documents.map(|it| (it.service, in_place(PIPELINES, it.stream, rekeys)));
    let rows = pipelines().flat_map(|pipeline| pipeline.rows);
    let rows = rows.filter(|it| installation.enables(it.service));
    for (service, topic) in documents.chain(rows.map(|it| (it.service, it.stream))) {
        let of_service = |group: &&mut Group| !group.is_job && group.service == service;
        match groups.iter_mut().find(of_service) {
            Some(group) => group.topics.push(topic),
            None => groups.push(Group {
                name: service.group(),
                reader: service.name(),
                topics: vec![topic],
                service,
                is_job: false,
            }),
        }
    }
    groups
}

/// The streams that a service writes rows of, in the order of the pipelines that are there.
pub fn rows_of(service: Service, installation: Installation) -> impl Iterator<Item = &'static str> {
    let pipelines = PIPELINES.iter().filter(move |it| installation.has(it));
    let rows = pipelines.flat_map(|pipeline| pipeline.rows);
    rows.filter(move |it| it.service == service).map(|it| it.stream)
}
