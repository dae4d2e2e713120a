//! The job that rekeys: every record once, in one form, by its user's key, and its dead letters.

use anyhow::{Context as _, Result};
use millrace_catalog::{dead_letter, payments::topic};
use millrace_kafka::topic_name;
use millrace_rekey::job::{NAME, RekeyJob};
use millrace_runtime::{InputRecord, OutputRecord};
use millrace_settings::Settings;
use rdkafka::message::{Headers as _, Message as _};

use super::copies::{self, content, place};
use super::difference::{Comparison, Difference, digest};
use super::offline::{self, Collect};
use super::partial::CODE;
use crate::log::TopicLog;

struct Stage {
    records: Comparison,
    dead_letters: Comparison,
}

impl Collect for Stage {
    fn sent(&mut self, _partition: i32, record: &OutputRecord<'_>) -> Result<()> {
        let key = record.key.context("what is rekeyed has a key")?;
        let headers = record.headers.iter().copied();
        self.records.expect(identity(key, record.payload, headers), 0);
        Ok(())
    }

    fn dead_letter(&mut self, record: &InputRecord<'_>, code: &str) {
        let content = content(record.key, record.payload, code.as_bytes());
        self.dead_letters
            .expect(place(record.partition, record.offset), content);
    }
}

/// A record is known by all that it has: the input's partitions are mixed in the output, in an
/// order that nothing decides. Equal ones are counted. Whether it lies where its user's records lie
/// the jobs that read it check.
fn identity<'a>(key: &[u8], payload: &[u8], headers: impl Iterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    let headers: Vec<_> = headers.collect();
    [&digest((payload, headers)).to_le_bytes(), key].concat()
}

/// Repeats the job and compares.
///
/// # Errors
/// The brokers or the registry are away.
pub(super) fn compare(settings: &Settings, job: &RekeyJob) -> Result<Vec<Difference>> {
    let kafka = &settings.kafka;
    let mut stage = Stage {
        records: Comparison::of("rekeyed records"),
        dead_letters: Comparison::of("dead letters of rekeying"),
    };
    let events = offline::events(kafka, job)?;
    offline::run(kafka, job, &events, &mut stage)?;
    let Stage {
        mut records,
        mut dead_letters,
    } = stage;
    TopicLog::open(kafka, topic_name(kafka, topic::KEYED))?.read_new(|message| {
        let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
        let headers = headers.map(|header| (header.key, header.value.unwrap_or_default()));
        let key = message.key().unwrap_or_default();
        let payload = message.payload().unwrap_or_default();
        records.found(&identity(key, payload, headers), 0);
        Ok(())
    })?;
    let topic = topic_name(kafka, &dead_letter(topic::TRANSACTIONS));
    copies::compare(kafka, topic, CODE, NAME, &mut dead_letters)?;
    Ok(vec![records.end(), dead_letters.end()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_known_by_all_that_it_has() {
        let header: (&str, &[u8]) = ("trace", b"1");
        let one = || identity(b"alice", b"value", [header].into_iter());
        let others = [
            identity(b"bob", b"value", [header].into_iter()),
            identity(b"alice", b"other", [header].into_iter()),
            identity(b"alice", b"value", [("trace", &b"2"[..])].into_iter()),
            identity(b"alice", b"value", std::iter::empty()),
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
