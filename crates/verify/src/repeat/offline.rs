//! A job over its whole log, without its group.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};

use anyhow::{Context as _, Result, anyhow, ensure};
use millrace_domain::texts::InFlight;
use millrace_kafka::RecordHeaders;
use millrace_kafka::copies::header;
use millrace_runtime::control::ControlRecord;
use millrace_runtime::refusals::RefusedRun;
use millrace_runtime::{InputRecord, Job, Outbox, OutputRecord, Task};
use millrace_settings::Kafka;
use rdkafka::message::Message as _;

use millrace_kafka::log::TopicLog;

/// What a job's partitions met beside their records, by the offset it happened before, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Events {
    by_partition: BTreeMap<i32, VecDeque<(i64, Event)>>,
    /// Records that were refused by word of the registry, whatever it says by now.
    refused: BTreeMap<i32, VecDeque<RefusedRun>>,
}

impl Events {
    /// The events of each partition that had any, with their offsets, in order.
    pub fn of_partitions(&self) -> impl Iterator<Item = &VecDeque<(i64, Event)>> {
        self.by_partition.values()
    }

    /// Why the record at an offset was refused; asked for in the order of the log.
    fn refusal(&mut self, partition: i32, offset: i64) -> Option<String> {
        let runs = self.refused.get_mut(&partition)?;
        while runs.pop_front_if(|run| run.last < offset).is_some() {}
        let run = runs.front().filter(|run| run.first <= offset)?;
        Some(run.code.clone())
    }
}

/// An event beside the records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The watermark of an idle partition was advanced to this time, in milliseconds since 1970.
    Advance(i64),
    /// The settings were changed from one policy to the other; from none where nothing was done
    /// before.
    Configure {
        /// The policy until then.
        before: Option<String>,
        /// The policy from then on.
        policy: String,
    },
}

/// Takes what the tasks write.
pub trait Collect {
    /// A record that the task of `partition` sends.
    fn sent(&mut self, partition: i32, record: &OutputRecord<'_>) -> Result<()>;

    /// An input record that a task refuses.
    fn dead_letter(&mut self, record: &InputRecord<'_>, code: &str);
}

/// Reads the events of a job's control topic.
///
/// # Errors
/// The brokers are away, or a record is none that this release knows.
pub fn events(kafka: &Kafka, job: &impl Job) -> Result<Events> {
    let mut events = Events::default();
    let Some(control) = job.control_topic() else {
        return Ok(events);
    };
    let mut log = TopicLog::open(kafka, control.to_owned())?;
    log.read_new(|message| {
        let record = ControlRecord::parse(message.payload().unwrap_or_default());
        let record = record.map_err(|reason| anyhow!("{control} at {}: {reason}", message.offset()))?;
        let offset = record.offset();
        let event = match record {
            ControlRecord::Advance { watermark_ms, .. } => Event::Advance(watermark_ms),
            ControlRecord::Configure { before, policy, .. } => Event::Configure { before, policy },
            ControlRecord::Refused { runs, .. } => {
                events
                    .refused
                    .entry(message.partition())
                    .or_default()
                    .extend(runs);
                return anyhow::Ok(());
            }
            ControlRecord::Policy { .. } | ControlRecord::Watermark { .. } => return anyhow::Ok(()),
        };
        let of_partition = events.by_partition.entry(message.partition()).or_default();
        of_partition.push_back((offset, event));
        Ok(())
    })?;
    Ok(events)
}

/// Runs a job's tasks over all there is, with `events` merged by offset.
///
/// # Errors
/// The brokers or the registry are away, or the log has lost its beginning.
pub fn run(kafka: &Kafka, job: &impl Job, events: &Events, collect: &mut impl Collect) -> Result<()> {
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
        let refusal = events.refusal(partition, message.offset());
        let due = events.by_partition.entry(partition).or_default();
        let task = match tasks.entry(partition) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(begin(job, partition, due)?),
        };
        let mut outbox = Collecting::new(partition, collect);
        while let Some((_, event)) = due.pop_front_if(|(offset, _)| *offset <= message.offset()) {
            repeat(task, &event, &mut outbox)?;
        }
        let record = InputRecord {
            topic: message.topic(),
            partition,
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis().unwrap_or(-1),
            is_append_time: matches!(message.timestamp(), rdkafka::Timestamp::LogAppendTime(_)),
            key: message.key(),
            payload: message.payload(),
            headers: RecordHeaders::of(message),
        };
        match refusal {
            Some(code) => outbox.collect.dead_letter(&record, &code),
            None => task.process(&record, &mut outbox)?,
        }
        outbox.end()
    })?;
    for (partition, left) in events.by_partition {
        let task = match tasks.entry(partition) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(begin(job, partition, &left)?),
        };
        let _round = InFlight::begin();
        let mut outbox = Collecting::new(partition, collect);
        for (_, event) in left {
            repeat(task, &event, &mut outbox)?;
        }
        outbox.end().with_context(|| format!("{topic}-{partition}"))?;
    }
    Ok(())
}

/// A task with the policy that its log begins with.
fn begin<J: Job>(job: &J, partition: i32, events: &VecDeque<(i64, Event)>) -> Result<J::Task> {
    let first = events.iter().find_map(|(_, event)| match event {
        Event::Advance(_) => None,
        Event::Configure { before, policy } => Some(before.as_ref().unwrap_or(policy)),
    });
    match first {
        Some(policy) => {
            let task = job.task_under(partition, policy);
            task.map_err(|reason| anyhow!("{policy} is no policy of {}: {reason}", job.name()))
        }
        None => Ok(job.task(partition)),
    }
}

fn repeat(task: &mut impl Task, event: &Event, outbox: &mut dyn Outbox) -> Result<()> {
    match event {
        Event::Advance(watermark_ms) => task.advance(*watermark_ms, outbox)?,
        Event::Configure { policy, .. } => task.configure(policy, outbox)?,
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
