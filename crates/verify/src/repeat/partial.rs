//! The first stage: contributions and watermarks, late records, dead letters.

use anyhow::{Context as _, Result};
use millrace_aggregator::partial::{NAME, PartialJob};
use millrace_catalog::{dead_letter, payments::topic};
use millrace_domain::codec::PartialReader;
use millrace_kafka::topic_name;
use millrace_registry::SchemaFetcher;
use millrace_runtime::{InputRecord, Job as _, OutputRecord};
use millrace_service::registry;
use millrace_settings::Settings;
use rdkafka::message::Message as _;

use super::copies::{self, content, place};
use super::difference::{Comparison, Difference, digest};
use super::offline::{self, Collect, Events};
use crate::log::TopicLog;

/// How a late record says why it is one.
const LATE_BY: &str = "late.by_ms";
/// How a dead letter does.
pub(super) const CODE: &str = "error.code";

struct Stage {
    late_topic: String,
    partials: Comparison,
    late: Comparison,
    dead_letters: Comparison,
}

impl Collect for Stage {
    fn sent(&mut self, partition: i32, record: &OutputRecord<'_>) -> Result<()> {
        if record.topic != self.late_topic {
            let target = record.partition.context("a contribution names its partition")?;
            let content = digest((record.key, record.payload));
            self.partials
                .expect(source_and_target(partition, target), content);
            return Ok(());
        }
        let header = |name: &str| record.headers.iter().find(|(found, _)| *found == name);
        let header = |name| header(name).map_or(&[][..], |(_, value)| *value);
        let offset = std::str::from_utf8(header("source.offset"))?.parse()?;
        let content = content(record.key, Some(record.payload), header(LATE_BY));
        self.late.expect(place(partition, offset), content);
        Ok(())
    }

    fn dead_letter(&mut self, record: &InputRecord<'_>, code: &str) {
        let content = content(record.key, record.payload, code.as_bytes());
        self.dead_letters
            .expect(place(record.partition, record.offset), content);
    }
}

/// What a source partition sends to a partition of the partials stays in order.
fn source_and_target(source: i32, target: i32) -> Vec<u8> {
    place(source, target.into())
}

/// Repeats the stage and compares.
///
/// # Errors
/// The brokers or the registry are away.
pub(super) fn compare(settings: &Settings, job: &PartialJob, events: &Events) -> Result<Vec<Difference>> {
    let kafka = &settings.kafka;
    let late_topic = topic_name(kafka, topic::LATE);
    let dead_letter_topic = dead_letter(job.input_topic());
    let partials_topic = topic_name(kafka, topic::PARTIALS);
    let mut stage = Stage {
        partials: Comparison::of("contributions and watermarks"),
        late: Comparison::of("late records"),
        dead_letters: Comparison::of("dead letters"),
        late_topic: late_topic.clone(),
    };
    offline::run(kafka, job, events, &mut stage)?;
    let Stage {
        mut partials,
        mut late,
        mut dead_letters,
        ..
    } = stage;
    let reader = PartialReader::new(SchemaFetcher::new(registry::config(&settings.schema_registry)));
    TopicLog::open(kafka, partials_topic)?.read_new(|message| {
        let payload = message.payload().unwrap_or_default();
        let source = reader.read(payload).context("a contribution")?.source_partition;
        let identity = source_and_target(source, message.partition());
        partials.found(&identity, digest((message.key(), payload)));
        Ok(())
    })?;
    copies::compare(kafka, late_topic, LATE_BY, NAME, &mut late)?;
    copies::compare(kafka, dead_letter_topic, CODE, NAME, &mut dead_letters)?;
    Ok(vec![partials.end(), late.end(), dead_letters.end()])
}
