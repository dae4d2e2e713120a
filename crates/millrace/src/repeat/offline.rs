//! A job over its whole log, without its group.

use std::collections::{BTreeMap, VecDeque};

use anyhow::{Context as _, Result, anyhow, ensure};
use millrace_kafka::control::ControlRecord;
use millrace_kafka::copies::header;
use millrace_kafka::{InputRecord, Job, Outbox, OutputRecord, RecordHeaders, Task as _};
use millrace_settings::Kafka;
use rdkafka::message::Message as _;

use crate::verify::log::TopicLog;

/// What a job's partitions met beside their records: advances of idle ones, by the offset they happened before, in order.
pub(crate) type Events = BTreeMap<i32, VecDeque<(i64, i64)>>;

/// Takes what the tasks write.
pub(crate) trait Collect {
    /// A record that the task of `partition` sends.
    fn sent(&mut self, partition: i32, record: &OutputRecord<'_>) -> Result<()>;

    /// An input record that a task refuses.
    fn dead_letter(&mut self, record: &InputRecord<'_>, code: &str);
}

/// Reads the events of a job's control topic.
///
/// # Errors
/// The brokers are away, or a record is none that this release knows.
pub(crate) fn events(kafka: &Kafka, job: &impl Job) -> Result<Events> {
    let mut events = Events::new();
    let Some(control) = job.control_topic() else {
        return Ok(events);
    };
    let mut log = TopicLog::open(kafka, control.to_owned())?;
    log.read_new(|message| {
        let record = ControlRecord::parse(message.payload().unwrap_or_default());
        let record = record.map_err(|reason| anyhow!("{control} at {}: {reason}", message.offset()))?;
        if let ControlRecord::Advance { offset, watermark_ms } = record {
            let of_partition = events.entry(message.partition()).or_default();
            of_partition.push_back((offset, watermark_ms));
        }
        Ok(())
    })?;
    Ok(events)
}

/// Runs a job's tasks over all there is, with `events` merged by offset.
///
/// # Errors
/// The brokers or the registry are away, or the log has lost its beginning.
pub(crate) fn run(kafka: &Kafka, job: &impl Job, events: &Events, collect: &mut impl Collect) -> Result<()> {
    let topic = job.input_topic();
    let mut log = TopicLog::open(kafka, topic.to_owned())?;
    ensure!(
        log.extent()?.truncated.is_empty(),
        "the beginning of {topic} was removed: what was made of it cannot be repeated"
    );
    let mut events = events.clone();
    let mut tasks = BTreeMap::new();
    log.read_new(|message| {
        let partition = message.partition();
        let task = tasks.entry(partition).or_insert_with(|| job.task(partition));
        let mut outbox = Collecting::new(partition, collect);
        let due = events.entry(partition).or_default();
        while let Some((_, watermark_ms)) = due.pop_front_if(|(offset, _)| *offset <= message.offset()) {
            task.advance(watermark_ms, &mut outbox)?;
        }
        let record = InputRecord {
            topic: message.topic(),
            partition,
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis().unwrap_or(-1),
            key: message.key(),
            payload: message.payload(),
            headers: RecordHeaders::of(message),
        };
        task.process(&record, &mut outbox)?;
        outbox.end()
    })?;
    for (partition, left) in events {
        let task = tasks.entry(partition).or_insert_with(|| job.task(partition));
        let mut outbox = Collecting::new(partition, collect);
        for (_, watermark_ms) in left {
            task.advance(watermark_ms, &mut outbox)?;
        }
        outbox.end().with_context(|| format!("{topic}-{partition}"))?;
    }
    Ok(())
}

struct Collecting<'a, C> {
    partition: i32,
    collect: &'a mut C,
    failure: Result<()>,
}

impl<'a, C> Collecting<'a, C> {
    fn new(partition: i32, collect: &'a mut C) -> Self {
        Self {
            partition,
            collect,
            failure: Ok(()),
        }
    }

    fn end(self) -> Result<()> {
        self.failure
    }
}

impl<C: Collect> Outbox for Collecting<'_, C> {
    fn send(&mut self, record: OutputRecord<'_>) {
        if self.failure.is_ok() {
            self.failure = self.collect.sent(self.partition, &record);
        }
    }

    fn copy(&mut self, record: &InputRecord<'_>, topic: &str, headers: &[(&str, &[u8])]) {
        let offset = record.offset.to_string();
        let place: (&str, &[u8]) = (header::SOURCE_OFFSET, offset.as_bytes());
        let headers = [headers, &[place]].concat();
        self.send(OutputRecord {
            topic,
            partition: None,
            key: record.key,
            payload: record.payload.unwrap_or_default(),
            headers: &headers,
        });
    }

    fn dead_letter(&mut self, record: &InputRecord<'_>, code: &'static str, _error: &str) {
        self.collect.dead_letter(record, code);
    }

    fn is_replay(&self) -> bool {
        false
    }
}
