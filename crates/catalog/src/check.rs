//! What must hold of the table, whatever is added to it.

use std::collections::BTreeSet;

use crate::topics::{in_place, read_as};
use crate::{Pipeline, Service, ServiceSpec, StreamSpec, TopicSpec, Writer};

/// What is wrong with the services: names and ports are their own.
pub(crate) fn of_services(services: &[ServiceSpec]) -> Vec<String> {
    let mut problems = Vec::new();
    for (index, spec) in services.iter().enumerate() {
        for other in &services[..index] {
            if spec.name == other.name {
                problems.push(format!("two services are called {}", spec.name));
            }
            if spec.port == other.port {
                problems.push(format!(
                    "{} and {} have port {}",
                    other.name, spec.name, spec.port
                ));
            }
        }
    }
    problems
}

/// What is wrong with the topics that come of the table: each is made once.
pub(crate) fn of_topics(topics: &[TopicSpec]) -> Vec<String> {
    let mut names = BTreeSet::new();
    let twice = topics.iter().filter(|topic| !names.insert(topic.name));
    twice
        .map(|topic| format!("the topic {} is made twice", topic.name))
        .collect()
}

/// What is wrong with the pipelines, in an installation that rekeys, or does not.
pub(crate) fn of_pipelines(pipelines: &[&Pipeline], rekeys: bool) -> Vec<String> {
    let mut problems = of_names(pipelines);
    let readers = readers(pipelines, rekeys);
    for (stream, reader) in &readers {
        if !streams(pipelines, rekeys).any(|spec| spec.name == *stream) {
            problems.push(format!("{reader} reads {stream}, which there is not"));
        }
    }
    for spec in streams(pipelines, rekeys) {
        let name = spec.name;
        let readers: Vec<_> = readers.iter().filter(|(stream, _)| *stream == name).collect();
        if readers.is_empty() && spec.commands.is_empty() {
            problems.push(format!("nobody reads {name}"));
        }
        let mut jobs = pipelines.iter().flat_map(|pipeline| pipeline.jobs);
        let is_written = jobs.any(|job| job.when.holds(rekeys) && job.writes.contains(&name));
        if is_written != (spec.writer == Writer::Jobs) {
            problems.push(format!(
                "{name} is said to be written by {:?}, and a job writes it: {is_written}",
                spec.writer
            ));
        }
        let owners: Vec<_> = spec
            .dead_letters
            .iter()
            .filter(|owner| owner.when.holds(rekeys))
            .collect();
        if owners.len() != usize::from(!readers.is_empty()) {
            problems.push(format!("{name} has {} owners of its dead letters", owners.len()));
        }
        for owner in owners {
            if !readers.iter().any(|(_, reader)| *reader == owner.name) {
                problems.push(format!(
                    "{} owns the dead letters of {name}, and does not read it",
                    owner.name
                ));
            }
        }
    }
    for job in pipelines.iter().flat_map(|pipeline| pipeline.jobs) {
        for written in job.writes.iter().filter(|_| job.when.holds(rekeys)) {
            if !streams(pipelines, rekeys).any(|spec| spec.name == *written) {
                problems.push(format!("{} writes {written}, which there is not", job.name));
            }
        }
    }
    problems
}

fn streams<'a>(pipelines: &'a [&Pipeline], rekeys: bool) -> impl Iterator<Item = &'a StreamSpec> {
    let all = pipelines.iter().flat_map(|pipeline| pipeline.streams);
    all.filter(move |stream| stream.when.holds(rekeys))
}

/// Each stream that is read, with the job or the sink that does.
fn readers(pipelines: &[&Pipeline], rekeys: bool) -> Vec<(&'static str, &'static str)> {
    let jobs = pipelines.iter().flat_map(|pipeline| pipeline.jobs);
    let documents = pipelines.iter().flat_map(|pipeline| pipeline.documents);
    let rows = pipelines.iter().flat_map(|pipeline| pipeline.rows);
    jobs.filter(|job| job.when.holds(rekeys))
        .map(|job| (read_as(pipelines, job, rekeys), job.name))
        .chain(documents.map(|it| (in_place(pipelines, it.stream, rekeys), it.service.name())))
        .chain(rows.map(|it| (it.stream, it.service.name())))
        .collect()
}

/// Pipelines, jobs and services share the names of consumer groups; indices have names of their
/// own.
fn of_names(pipelines: &[&Pipeline]) -> Vec<String> {
    let jobs = || pipelines.iter().flat_map(|pipeline| pipeline.jobs);
    let documents = || pipelines.iter().flat_map(|pipeline| pipeline.documents);
    let rows = pipelines.iter().flat_map(|pipeline| pipeline.rows);
    let sinks = documents().map(|document| document.service);
    let sinks: BTreeSet<Service> = sinks.chain(rows.map(|it| it.service)).collect();
    let mut groups: Vec<_> = jobs().map(|job| job.name).collect();
    groups.extend(sinks.into_iter().map(Service::name));
    let names: Vec<_> = pipelines.iter().map(|pipeline| pipeline.name).collect();
    let indices: Vec<_> = documents().map(|document| document.index).collect();
    let mut problems = Vec::new();
    for index in &indices {
        let months = format!("{index}-");
        for other in indices.iter().filter(|other| other.starts_with(&months)) {
            problems.push(format!("{months}* are the months of {index}, and of {other} too"));
        }
    }
    for (kind, names) in [
        ("pipelines", names),
        ("consumer groups", groups),
        ("indices", indices),
    ] {
        let mut seen = BTreeSet::new();
        for name in names.into_iter().filter(|name| !seen.insert(*name)) {
            problems.push(format!("two {kind} are called {name}"));
        }
    }
    problems
}
