//! The consumer groups that come of jobs and documents.

use crate::topics::read_as;
use crate::{Installation, PIPELINES, Service};

/// Who reads what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The consumer group, before any prefix.
    pub name: String,
    /// The job, or the service of documents, that it is of.
    pub reader: &'static str,
    /// The topics that it reads, before any prefix.
    pub topics: Vec<&'static str>,
    /// The service that it runs in.
    pub service: Service,
    /// Whether it is a job's, and not of documents.
    pub is_job: bool,
}

/// The consumer groups of an installation: the jobs' in their order, then those of documents.
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
    for document in pipelines().flat_map(|pipeline| pipeline.documents) {
        let topic = crate::topics::in_place(PIPELINES, document.stream, rekeys);
        let of_service = |group: &&mut Group| !group.is_job && group.service == document.service;
        match groups.iter_mut().find(of_service) {
            Some(group) => group.topics.push(topic),
            None => groups.push(Group {
                name: document.service.group(),
                reader: document.service.name(),
                topics: vec![topic],
                service: document.service,
                is_job: false,
            }),
        }
    }
    groups
}
