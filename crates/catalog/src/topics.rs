//! The topics that come of streams and jobs.

use std::sync::LazyLock;

use millrace_contract::topic::ControlTopic;

use crate::{
    Installation, JobSpec, PIPELINES, Pipeline, Retention, StreamSpec, TopicSpec, When, Writer, dead_letter,
};

/// A topic that there can be, with the pipeline that it is of, and whether it is of rekeying.
type Possible = (&'static Pipeline, bool, TopicSpec);

/// All topics that there can be: those of rekeying after the others.
static POSSIBLE: LazyLock<Vec<Possible>> = LazyLock::new(|| {
    let of = |of_rekeying| {
        PIPELINES.iter().flat_map(move |pipeline| {
            let topics = made(pipeline, of_rekeying).into_iter();
            topics.map(move |topic| (*pipeline, of_rekeying, topic))
        })
    };
    of(false).chain(of(true)).collect()
});

/// Every topic of an installation. One that rekeys has those of rekeying beside the others.
#[must_use]
pub fn topics(installation: Installation) -> Vec<TopicSpec> {
    let is_there = |(pipeline, of_rekeying, _): &&Possible| {
        installation.has(pipeline) && (installation.rekeys() || !of_rekeying)
    };
    POSSIBLE
        .iter()
        .filter(is_there)
        .map(|(_, _, topic)| *topic)
        .collect()
}

/// What the topic of this name is made with.
#[must_use]
pub fn topic_spec(name: &str) -> Option<&'static TopicSpec> {
    POSSIBLE
        .iter()
        .map(|(_, _, topic)| topic)
        .find(|spec| spec.name == name)
}

/// The control topics of an installation, with what their jobs read.
#[must_use]
pub fn controls(installation: Installation) -> Vec<ControlTopic> {
    let of = |of_rekeying| {
        let pipelines = PIPELINES.iter().filter(move |it| installation.has(it));
        pipelines.flat_map(move |it| controls_of(it, of_rekeying))
    };
    of(false)
        .chain(of(true).filter(|_| installation.rekeys()))
        .collect()
}

/// The topic that readers of `stream` read in an installation that rekeys, or does not.
#[must_use]
pub fn stream(stream: &str, rekeys: bool) -> &str {
    in_place(PIPELINES, stream, rekeys)
}

/// Whether a stream is between two jobs of a pipeline: its records are of one order with those
/// around them.
#[must_use]
pub fn is_between_jobs(stream: &str) -> bool {
    let is_in_place = |it: &StreamSpec| it.name == stream && it.in_place_of.is_some();
    PIPELINES.iter().any(|pipeline| {
        pipeline.jobs.iter().any(|job| job.writes.contains(&stream))
            && pipeline.jobs.iter().any(|job| job.input == stream)
            && !pipeline.streams.iter().any(is_in_place)
    })
}

pub(crate) fn in_place<'a>(pipelines: &[&Pipeline], stream: &'a str, rekeys: bool) -> &'a str {
    let mut streams = pipelines.iter().flat_map(|pipeline| pipeline.streams);
    let stands_in = |it: &&StreamSpec| it.in_place_of == Some(stream) && it.when.holds(rekeys);
    streams.find(stands_in).map_or(stream, |it| it.name)
}

/// What `job` reads: of two streams in each other's place, the job that makes one of the other
/// reads the other.
pub(crate) fn read_as(pipelines: &[&Pipeline], job: &JobSpec, rekeys: bool) -> &'static str {
    let read = in_place(pipelines, job.input, rekeys);
    match job.writes.contains(&read) {
        true => job.input,
        false => read,
    }
}

/// Whether `job` keeps the dead letters of what it reads. Another reader of it does where it does
/// not.
#[must_use]
pub fn owns_dead_letters(job: &JobSpec, rekeys: bool) -> bool {
    let read = read_as(PIPELINES, job, rekeys);
    let mut streams = PIPELINES.iter().flat_map(|pipeline| pipeline.streams);
    let owners = streams
        .find(|it| it.name == read)
        .map_or(&[][..], |it| it.dead_letters);
    owners
        .iter()
        .any(|owner| owner.when.holds(rekeys) && owner.name == job.name)
}

/// Those that are there in every installation, or those that are only where transactions are
/// rekeyed: what jobs read and make, the jobs' control topics, the other streams, dead letters.
fn made(pipeline: &Pipeline, of_rekeying: bool) -> Vec<TopicSpec> {
    let streams: Vec<_> = pipeline
        .streams
        .iter()
        .filter(|stream| (stream.when == When::Rekeyed) == of_rekeying)
        .collect();
    let is_of_jobs = |stream: &StreamSpec| {
        let mut jobs = pipeline.jobs.iter();
        let is_named = |job: &JobSpec| job.input == stream.name || job.writes.contains(&stream.name);
        !stream.takes_copies && jobs.any(is_named)
    };
    let (of_jobs, others): (Vec<_>, Vec<_>) = streams.iter().partition(|stream| is_of_jobs(stream));
    let mut topics: Vec<_> = of_jobs.into_iter().map(spec).collect();
    topics.extend(controls_of(pipeline, of_rekeying).into_iter().map(|control| {
        // It may be another pipeline's.
        let mut all = PIPELINES.iter().flat_map(|pipeline| pipeline.streams);
        let input = all.find(|stream| stream.name == control.input);
        plain(control.topic, input.map_or(1, |input| input.partitions))
    }));
    topics.extend(others.into_iter().map(spec));
    let with_letters = streams.iter().filter(|stream| !stream.dead_letters.is_empty());
    topics.extend(with_letters.map(|stream| TopicSpec {
        takes_copies: true,
        // Once in a process.
        ..plain(String::leak(dead_letter(stream.name)), 1)
    }));
    topics
}

fn controls_of(pipeline: &Pipeline, of_rekeying: bool) -> Vec<ControlTopic> {
    let control = |job: &JobSpec| {
        let input = read_as(&[pipeline], job, of_rekeying);
        match (job.control_in_place, of_rekeying) {
            (Some(topic), true) => Some(ControlTopic { topic, input }),
            (_, of_rekeying) => ((job.when == When::Rekeyed) == of_rekeying).then_some(ControlTopic {
                topic: job.control,
                input,
            }),
        }
    };
    pipeline.jobs.iter().filter_map(control).collect()
}

fn spec(stream: &StreamSpec) -> TopicSpec {
    TopicSpec {
        compacted: stream.retention == Retention::Compacted,
        log_append_time: stream.log_append_time,
        takes_copies: stream.takes_copies,
        value_schema: stream.value_schema,
        is_written_by_others: stream.writer == Writer::Others,
        ..plain(stream.name, stream.partitions)
    }
}

const fn plain(name: &'static str, partitions: i32) -> TopicSpec {
    TopicSpec {
        name,
        partitions,
        compacted: false,
        log_append_time: false,
        takes_copies: false,
        value_schema: None,
        is_written_by_others: false,
    }
}
