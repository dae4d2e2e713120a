//! The second stage: results, final and early, and what it refuses.

use anyhow::{Context as _, Result};
use millrace_aggregator::merge::{MergeJob, NAME};
use millrace_catalog::{dead_letter, payments::topic};
use millrace_domain::codec::AggregateReader;
use millrace_kafka::topic_name;
use millrace_registry::SchemaFetcher;
use millrace_runtime::{InputRecord, OutputRecord};
use millrace_service::registry;
use millrace_settings::Settings;
use rdkafka::message::Message as _;

use super::copies::{self, content, place};
use super::difference::{Comparison, Difference, digest};
use super::offline::{self, Collect};
use super::partial::CODE;
use crate::log::TopicLog;

struct Stage<'a> {
    reader: &'a AggregateReader,
    aggregates: Comparison,
    dead_letters: Comparison,
}

impl Collect for Stage<'_> {
    fn sent(&mut self, _partition: i32, record: &OutputRecord<'_>) -> Result<()> {
        let content = digest((record.key, record.payload));
        self.aggregates
            .expect(identity(self.reader, record.payload)?, content);
        Ok(())
    }

    fn dead_letter(&mut self, record: &InputRecord<'_>, code: &str) {
        let content = content(record.key, record.payload, code.as_bytes());
        self.dead_letters
            .expect(place(record.partition, record.offset), content);
    }
}

/// A result is one of a merchant, a currency, a window and a revision.
fn identity(reader: &AggregateReader, payload: &[u8]) -> Result<Vec<u8>> {
    let aggregate = reader.read(payload).context("a result")?;
    let (start_ms, end_ms) = (aggregate.window_start_ms, aggregate.window_end_ms);
    let (currency, revision) = (aggregate.currency, aggregate.revision);
    let mut identity = format!("{currency} {start_ms} {end_ms} {revision} ").into_bytes();
    identity.extend_from_slice(aggregate.merchant_id.text().as_bytes());
    Ok(identity)
}

/// Repeats the stage over the contributions that are there, and compares.
///
/// # Errors
/// The brokers or the registry are away.
pub(super) fn compare(settings: &Settings, job: &MergeJob) -> Result<Vec<Difference>> {
    let kafka = &settings.kafka;
    let reader = AggregateReader::new(SchemaFetcher::new(registry::config(&settings.schema_registry)));
    let mut stage = Stage {
        reader: &reader,
        aggregates: Comparison::of("results"),
        dead_letters: Comparison::of("dead letters of contributions"),
    };
    let events = offline::events(kafka, job)?;
    offline::run(kafka, job, &events, &mut stage)?;
    let Stage {
        mut aggregates,
        mut dead_letters,
        ..
    } = stage;
    TopicLog::open(kafka, topic_name(kafka, topic::AGGREGATES))?.read_new(|message| {
        let payload = message.payload().unwrap_or_default();
        aggregates.found(&identity(&reader, payload)?, digest((message.key(), payload)));
        Ok(())
    })?;
    let topic = topic_name(kafka, &dead_letter(topic::PARTIALS));
    copies::compare(kafka, topic, CODE, NAME, &mut dead_letters)?;
    Ok(vec![aggregates.end(), dead_letters.end()])
}
