//! All that a job has written, as the catalog has its outputs, against an undisturbed run.

use std::collections::HashMap;
use std::time::Instant;

use anyhow::{Context as _, Result};
use millrace_catalog::{JobSpec, dead_letter, owns_dead_letters, topic_spec};
use millrace_kafka::copies::header;
use millrace_kafka::log::TopicLog;
use millrace_kafka::topic_name;
use millrace_runtime::{InputRecord, Job, OutputRecord};
use millrace_settings::Settings;
use rdkafka::message::{Headers as _, Message as _};

use super::copies::{self, content, place};
use super::difference::{Comparison, Difference, digest};
use super::offline::{self, Collect};
use super::{PAUSE, SETTLING};

/// A record that is no copy of an input record.
pub(crate) struct Record<'a> {
    /// Its partition, where the job chooses it.
    pub(crate) partition: Option<i32>,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) payload: &'a [u8],
    pub(crate) headers: Vec<(&'a str, &'a [u8])>,
}

/// What identifies a record, and a digest of what must be the same: those of one identity are
/// compared in their order.
pub(crate) type Identify<'a> = dyn Fn(&Record<'_>) -> Result<(Vec<u8>, u64)> + 'a;

/// A record is known by all that it has, in whatever order: what is there twice is counted.
pub(crate) fn whole(record: &Record<'_>) -> Result<(Vec<u8>, u64)> {
    let digest = digest((record.payload, &record.headers)).to_le_bytes();
    Ok(([&digest, record.key.unwrap_or_default()].concat(), 0))
}

/// What the records of a job are called in what is told of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names<'a> {
    /// Those of each output, in the order of the job's spec; by the topic where there is none.
    pub(crate) outputs: &'a [&'a str],
    /// Its dead letters; by the job where there is none.
    pub(crate) dead_letters: Option<&'a str>,
}

/// By topics and jobs.
pub(crate) const BY_TOPIC: Names<'_> = Names {
    outputs: &[],
    dead_letters: None,
};

/// One of the job's outputs.
struct Output {
    topic: String,
    takes_copies: bool,
    /// Of a compacted topic: a digest of the newest record of each key, as others may be gone.
    newest: Option<Newest>,
    comparison: Comparison,
}

/// Digests of the newest records, by key.
type Newest = HashMap<Vec<u8>, u64>;

struct Stage<'a> {
    outputs: Vec<Output>,
    /// Where the job owns those of its input.
    dead_letters: Option<Comparison>,
    identify: &'a Identify<'a>,
}

impl<'a> Stage<'a> {
    fn of(settings: &Settings, spec: &JobSpec, names: Names<'_>, identify: &'a Identify<'a>) -> Self {
        let output = |(index, topic): (usize, &&'static str)| {
            let topic_spec = topic_spec(topic);
            let name = names.outputs.get(index).map(|name| (*name).to_owned());
            Output {
                topic: topic_name(&settings.kafka, topic),
                takes_copies: topic_spec.is_some_and(|spec| spec.takes_copies),
                newest: topic_spec.is_some_and(|spec| spec.compacted).then(Newest::new),
                comparison: Comparison::of(name.unwrap_or_else(|| format!("records of {topic}"))),
            }
        };
        let letters = names.dead_letters.map(str::to_owned);
        let letters = letters.unwrap_or_else(|| format!("dead letters of {}", spec.name));
        Self {
            outputs: spec.writes.iter().enumerate().map(output).collect(),
            dead_letters: owns_dead_letters(spec, settings.rekeys()).then(|| Comparison::of(letters)),
            identify,
        }
    }
}

impl Collect for Stage<'_> {
    fn sent(&mut self, partition: i32, record: &OutputRecord<'_>) -> Result<()> {
        let output = self.outputs.iter_mut().find(|it| it.topic == record.topic);
        let output = output.with_context(|| format!("the job writes to {}", record.topic))?;
        if let Some(newest) = &mut output.newest {
            newest.insert(record.key.unwrap_or_default().to_vec(), digest(record.payload));
            return Ok(());
        }
        if !output.takes_copies {
            let (identity, content) = (self.identify)(&Record {
                partition: record.partition,
                key: record.key,
                payload: record.payload,
                headers: record.headers.to_vec(),
            })?;
            output.comparison.expect(identity, content);
            return Ok(());
        }
        let header = |name: &str| record.headers.iter().find(|(found, _)| *found == name);
        let header = |name| header(name).map_or(&[][..], |(_, value)| *value);
        let offset = std::str::from_utf8(header(header::SOURCE_OFFSET))?.parse()?;
        let content = content(record.key, Some(record.payload), header(header::LATE_BY_MS));
        output.comparison.expect(place(partition, offset), content);
        Ok(())
    }

    fn dead_letter(&mut self, record: &InputRecord<'_>, code: &str) {
        if let Some(dead_letters) = &mut self.dead_letters {
            let content = content(record.key, record.payload, code.as_bytes());
            dead_letters.expect(place(record.partition, record.offset), content);
        }
    }
}

/// Repeats a job over its whole log, and compares all it has written: its outputs in the order of
/// its spec, and its dead letters.
///
/// # Errors
/// The brokers or the registry are away.
pub(crate) fn compare(
    settings: &Settings,
    spec: &JobSpec,
    job: &impl Job,
    names: Names<'_>,
    identify: &Identify<'_>,
) -> Result<Vec<Difference>> {
    let kafka = &settings.kafka;
    let mut stage = Stage::of(settings, spec, names, identify);
    let events = offline::events(kafka, job)?;
    offline::run(kafka, job, &events, &mut stage)?;
    let mut differences = Vec::new();
    for mut output in stage.outputs {
        let comparison = &mut output.comparison;
        if output.takes_copies {
            copies::compare(kafka, output.topic, header::LATE_BY_MS, spec.name, comparison)?;
        } else if let Some(newest) = output.newest {
            let mut found = Newest::new();
            TopicLog::open(kafka, output.topic)?.read_new(|message| {
                let payload = message.payload().unwrap_or_default();
                found.insert(message.key().unwrap_or_default().to_vec(), digest(payload));
                anyhow::Ok(())
            })?;
            let expect = |(key, content)| comparison.expect(key, content);
            newest.into_iter().for_each(expect);
            found
                .iter()
                .for_each(|(key, content)| comparison.found(key, *content));
        } else {
            TopicLog::open(kafka, output.topic)?.read_new(|message| {
                let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
                let (identity, content) = identify(&Record {
                    partition: Some(message.partition()),
                    key: message.key(),
                    payload: message.payload().unwrap_or_default(),
                    headers: headers
                        .map(|header| (header.key, header.value.unwrap_or_default()))
                        .collect(),
                })?;
                comparison.found(&identity, content);
                anyhow::Ok(())
            })?;
        }
        differences.push(output.comparison.end());
    }
    if let Some(mut letters) = stage.dead_letters {
        let topic = dead_letter(job.input_topic());
        copies::compare(kafka, topic, header::ERROR_CODE, spec.name, &mut letters)?;
        differences.push(letters.end());
    }
    Ok(differences)
}

/// Compares until no partition of a job was advanced meanwhile: one that was has outputs that were
/// not expected.
///
/// # Errors
/// As of `compare`, or the brokers are away.
pub(crate) fn while_still(
    settings: &Settings,
    job: &impl Job,
    compare: impl Fn() -> Result<Vec<Difference>>,
) -> Result<Vec<Difference>> {
    let start = Instant::now();
    loop {
        let before = offline::events(&settings.kafka, job)?;
        let differences = compare()?;
        let is_still = offline::events(&settings.kafka, job)? == before;
        if is_still || start.elapsed() > SETTLING {
            return Ok(differences);
        }
        std::thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_known_by_all_that_it_has() {
        let identity = |key: &[u8], payload: &[u8], headers: &[(&str, &[u8])]| {
            let record = Record {
                partition: None,
                key: Some(key),
                payload,
                headers: headers.to_vec(),
            };
            whole(&record).map(|(identity, _)| identity)
        };
        let one = || identity(b"alice", b"value", &[("trace", b"1")]).unwrap();
        let others = [
            identity(b"bob", b"value", &[("trace", b"1")]).unwrap(),
            identity(b"alice", b"other", &[("trace", b"1")]).unwrap(),
            identity(b"alice", b"value", &[("trace", b"2")]).unwrap(),
            identity(b"alice", b"value", &[]).unwrap(),
        ];
        assert!(others.iter().all(|other| *other != one()));
        let mut records = Comparison::of("rekeyed records");
        (0..2).for_each(|_| records.expect(one(), 0));
        (0..3).for_each(|_| records.found(&one(), 0));
        let difference = records.end();
        assert_eq!(
            (difference.undisturbed, difference.doubled),
            (2, 1),
            "{difference}"
        );
    }
}
