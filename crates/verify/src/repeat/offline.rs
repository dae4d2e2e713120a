//! A job over its whole log, without its group.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use anyhow::{Context as _, Result, anyhow, ensure};
use millrace_domain::texts::InFlight;
use millrace_kafka::RecordHeaders;
use millrace_kafka::copies::header;
use millrace_runtime::control::{ControlLog, Directive, Directives};
use millrace_runtime::refusals::KnownRefusals;
use millrace_runtime::{InputRecord, Job, Outbox, OutputRecord, Task};
use millrace_settings::Kafka;
use rdkafka::message::Message as _;

use millrace_kafka::log::TopicLog;

/// What a job's control topic says of its partitions, as a worker that restores takes it: of each
/// one's present history alone.
#[derive(Debug, Clone, Default)]
pub struct Events(BTreeMap<i32, ControlLog>);

impl Events {
    /// The policy of each partition of which anything is said.
    pub fn policies(&self) -> impl Iterator<Item = Option<&str>> {
        self.0.values().map(|log| log.policy_at(i64::MAX))
    }
}

/// Those that a repetition does the same with: watermarks that were told meanwhile are no events.
impl PartialEq for Events {
    fn eq(&self, other: &Self) -> bool {
        let of = |log: &ControlLog| {
            let policy = log.policy_at(0).map(str::to_owned);
            (policy, log.directives(0, 0, i64::MAX), log.refusals())
        };
        let (ours, others) = (self.0.iter(), other.0.iter());
        ours.map(|(partition, log)| (partition, of(log)))
            .eq(others.map(|(partition, log)| (partition, of(log))))
    }
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
        let of_partition = events.0.entry(message.partition()).or_default();
        let added = of_partition.add(message.payload().unwrap_or_default());
        added.map_err(|reason| anyhow!("{control} at {}: {reason}", message.offset()))
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
    let mut partitions = BTreeMap::new();
    log.read_new(|message| {
        let partition = message.partition();
        let of_partition = match partitions.entry(partition) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(Undisturbed::new(job, partition, events.0.get(&partition))?),
        };
        let mut outbox = Collecting::new(partition, collect);
        of_partition.take(
            &InputRecord {
                topic: message.topic(),
                partition,
                offset: message.offset(),
                timestamp_ms: message.timestamp().to_millis().unwrap_or(-1),
                is_append_time: matches!(message.timestamp(), rdkafka::Timestamp::LogAppendTime(_)),
                key: message.key(),
                payload: message.payload(),
                headers: RecordHeaders::of(message),
            },
            &mut outbox,
        )?;
        outbox.end()
    })?;
    for (partition, log) in &events.0 {
        let of_partition = match partitions.entry(*partition) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(Undisturbed::new(job, *partition, Some(log))?),
        };
        let _round = InFlight::begin();
        let mut outbox = Collecting::new(*partition, collect);
        of_partition.repeat_before(i64::MAX, &mut outbox)?;
        outbox.end().with_context(|| format!("{topic}-{partition}"))?;
    }
    Ok(())
}

/// A partition that nothing disturbs.
struct Undisturbed<T> {
    task: T,
    directives: Directives,
    refusals: KnownRefusals,
}

impl<T: Task> Undisturbed<T> {
    /// With the policy that its log begins with.
    fn new(job: &impl Job<Task = T>, partition: i32, log: Option<&ControlLog>) -> Result<Self> {
        let task = match log.and_then(|log| log.policy_at(0)) {
            Some(policy) => job
                .task_under(partition, policy)
                .map_err(|reason| anyhow!("{policy} is no policy of {}: {reason}", job.name()))?,
            None => job.task(partition),
        };
        Ok(Self {
            task,
            directives: log.map(|log| log.directives(0, 0, i64::MAX)).unwrap_or_default(),
            refusals: log.map(ControlLog::refusals).unwrap_or_default(),
        })
    }

    /// Takes the next record, after what happened before it.
    fn take<C: Collect>(&mut self, record: &InputRecord<'_>, outbox: &mut Collecting<'_, C>) -> Result<()> {
        self.repeat_before(record.offset, outbox)?;
        match self.refusals.code(record.offset) {
            Some(code) => outbox.collect.dead_letter(record, code),
            None => self.task.process(record, outbox)?,
        }
        Ok(())
    }

    /// Repeats what happened before the record with `offset`.
    fn repeat_before(&mut self, offset: i64, outbox: &mut dyn Outbox) -> Result<()> {
        while let Some(directive) = self.directives.take_before(offset) {
            match directive {
                Directive::Advance(watermark_ms) => self.task.advance(watermark_ms, outbox)?,
                Directive::Configure(policy) => self.task.configure(&policy, outbox)?,
            }
        }
        Ok(())
    }
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

#[cfg(test)]
mod tests;
