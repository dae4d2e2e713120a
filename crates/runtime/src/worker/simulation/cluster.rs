//! What outlives every worker: logs, group offsets, committed outputs, the control topic, the
//! snapshot store.

use std::time::Duration;

use millrace_engine::snapshot::{Expected, Header, SnapshotWriter, container};
use millrace_kafka::RecordHeaders;

use super::numbered::{Numbered, Speaker};
use crate::control::directives::policy_at;
use crate::control::{ControlRecord, Directives};
use crate::refusals::KnownRefusals;
use crate::worker::envelope::Envelope;
use crate::worker::restore::Restored;
use crate::{Beginning, Controls, InputRecord, Job, OutputRecord, Task as _};

/// Snapshots that are kept of a partition.
const KEPT: usize = 3;

/// A record of a simulated log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedRecord {
    /// The key's bytes.
    pub key: Option<Vec<u8>>,
    /// The value's bytes; `None` for a tombstone.
    pub payload: Option<Vec<u8>>,
    /// The record's time in the log, in milliseconds since 1970.
    pub timestamp_ms: i64,
    /// Whether that is the broker's.
    pub is_append_time: bool,
}

impl LoggedRecord {
    /// As a task gets it.
    pub(super) fn as_input<'a>(&'a self, topic: &'a str, partition: i32, offset: i64) -> InputRecord<'a> {
        InputRecord {
            topic,
            partition,
            offset,
            timestamp_ms: self.timestamp_ms,
            is_append_time: self.is_append_time,
            key: self.key.as_deref(),
            payload: self.payload.as_deref(),
            headers: RecordHeaders::NONE,
        }
    }
}

/// A record that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The partition of the input whose task has sent it.
    pub source: i32,
    /// The topic it was sent to; [`super::DEAD_LETTERS`] for any dead letter.
    pub topic: String,
    /// The partition it was sent to; `None` where murmur2 of the key decides.
    pub partition: Option<i32>,
    /// The key's bytes.
    pub key: Option<Vec<u8>>,
    /// The value's bytes.
    pub payload: Vec<u8>,
    /// Headers that the task has added.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Output {
    pub(super) fn new(source: i32, record: &OutputRecord<'_>) -> Self {
        let header = |(name, value): &(&str, &[u8])| ((*name).to_owned(), value.to_vec());
        Self {
            source,
            topic: record.topic.to_owned(),
            partition: record.partition,
            key: record.key.map(<[u8]>::to_vec),
            payload: record.payload.to_vec(),
            headers: record.headers.iter().map(header).collect(),
        }
    }

    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let (_, value) = self.headers.iter().find(|(found, _)| found == name)?;
        Some(value)
    }
}

/// Everything about one partition of the input.
#[derive(Default)]
pub(super) struct Log {
    /// `None` is an offset without a record: a marker of a transaction.
    pub(super) records: Vec<Option<LoggedRecord>>,
    pub(super) committed: Option<i64>,
    pub(super) control: Vec<ControlRecord>,
    /// How many of those retention has deleted: a restore does not find them.
    pub(super) control_from: usize,
    pub(super) snapshots: Vec<Vec<u8>>,
    /// The worker that the group has given it to, and that worker's generation.
    pub(super) owner: (usize, u64),
}

impl Log {
    pub(super) fn end(&self) -> i64 {
        self.records.len() as i64
    }

    /// Whether no record is at or after `offset`.
    pub(super) fn is_empty_from(&self, offset: i64) -> bool {
        self.records.iter().skip(offset as usize).all(Option::is_none)
    }

    pub(super) fn store(&mut self, snapshot: Vec<u8>) {
        self.snapshots.push(snapshot);
        if self.snapshots.len() > KEPT {
            self.snapshots.remove(0);
        }
    }

    /// The offsets of the snapshots that are whole.
    pub(super) fn snapshot_offsets(&self) -> impl Iterator<Item = i64> {
        let all = self.snapshots.iter();
        all.filter_map(|bytes| container::read_any(bytes).ok().map(|it| it.header.offset))
    }

    /// What a restore by a worker of `job` finds; `None` if it has to wait.
    pub(super) fn restore<J: Job>(
        &self,
        (partition, epoch): (i32, u64),
        job: &J,
        speaker: &Speaker,
        controls: &mut Controls<'_>,
    ) -> Option<Restored<Numbered<J::Task>>> {
        let begins_at_ms = match self.committed {
            None => begins_at_ms(job, partition, controls)?,
            Some(_) => None,
        };
        let control = &self.control[self.control_from..];
        let layout = job.layout();
        let expected = Expected {
            job: job.name(),
            partition,
            fingerprint: &layout,
        };
        let usable = self.snapshots.iter().filter_map(|bytes| {
            let snapshot = container::read(bytes, &expected).ok()?;
            let (envelope, state) = Envelope::read(snapshot.state).ok()?;
            (Some(snapshot.header.offset) <= self.committed).then_some((snapshot.header, envelope, state))
        });
        let newest = usable.max_by_key(|(header, envelope, _)| (header.offset, envelope.directives));
        let (start, directives_done, task) = match newest {
            Some((header, envelope, state)) => {
                let task = task_of_state(job, partition, envelope.policy, state);
                assert_eq!(task.watermark_ms(), header.watermark_ms);
                (header.offset, envelope.directives, task)
            }
            None => {
                let known = self.committed.and_then(|_| policy_at(control, 0));
                (0, 0, fresh(job, partition, known))
            }
        };
        let replay_until = self.committed.unwrap_or(start);
        Some(Restored {
            partition,
            epoch,
            task: Numbered::new(partition, speaker, task),
            start,
            committed: self.committed,
            replay_until,
            directives_done,
            directives: Directives::between(control, start, directives_done, replay_until),
            begins_at_ms,
            refusals: KnownRefusals::of(control, Some(0)),
            cost: Duration::ZERO,
        })
    }
}

/// The watermark that a partition begins with, if any; `None` if it has to wait.
fn begins_at_ms(job: &impl Job, partition: i32, controls: &mut Controls<'_>) -> Option<Option<i64>> {
    match job.beginning(partition, controls) {
        Ok(Beginning::Anywhere) => Some(None),
        Ok(Beginning::At(watermark_ms)) => Some(Some(watermark_ms)),
        Ok(Beginning::NotYet(_)) => None,
        Err(reason) => panic!("{reason}"),
    }
}

/// A task with the state of a snapshot, which has the same bytes again: nothing is forgotten.
fn task_of_state<J: Job>(job: &J, partition: i32, policy: &str, state: &[u8]) -> J::Task {
    let mut task = task_under(job, partition, policy);
    let restored = task.restore(state);
    restored.unwrap_or_else(|reason| panic!("a whole snapshot is refused: {reason}"));
    assert_eq!(task.policy(), policy);
    let mut again = Vec::with_capacity(state.len());
    task.freeze().write(&mut again);
    assert!(
        again == state,
        "partition {partition} is restored to another state"
    );
    task
}

/// A task without a state, with the policy that the log begins with, or with the job's.
fn fresh<J: Job>(job: &J, partition: i32, known: Option<&str>) -> J::Task {
    if let Some(policy) = known {
        return task_under(job, partition, policy);
    }
    let task = job.task(partition);
    assert_eq!(task.policy(), job.policy(), "a fresh task has another policy");
    task
}

/// A fresh task with a policy that the job has written.
pub(super) fn task_under<J: Job>(job: &J, partition: i32, policy: &str) -> J::Task {
    let task = job.task_under(partition, policy);
    let task = task.unwrap_or_else(|reason| panic!("{policy} is no policy: {reason}"));
    assert_eq!(task.policy(), policy, "a fresh task has another policy");
    task
}

/// The header of a snapshot.
pub(super) fn container_of(
    job: &impl Job,
    partition: i32,
    offset: i64,
    watermark_ms: Option<i64>,
) -> SnapshotWriter {
    SnapshotWriter::new(&Header {
        job: job.name(),
        partition,
        offset,
        watermark_ms,
        fingerprint: &job.layout(),
    })
}

/// The job's input and outputs.
#[derive(Default)]
pub(super) struct Cluster {
    pub(super) logs: Vec<Log>,
    /// Outputs in the order of their commits.
    pub(super) outputs: Vec<Output>,
}

impl Cluster {
    pub(super) fn log(&mut self, partition: i32) -> &mut Log {
        &mut self.logs[partition as usize]
    }

    /// Whether the group still takes these offsets of a worker.
    pub(super) fn accepts(&self, worker: usize, generation: u64, offsets: &[(i32, i64)]) -> bool {
        let is_owned =
            |(partition, _): &(i32, i64)| self.logs[*partition as usize].owner == (worker, generation);
        offsets.iter().all(is_owned)
    }

    /// Makes a transaction durable.
    pub(super) fn commit(
        &mut self,
        control: Option<&str>,
        sent: Vec<Output>,
        normalize: impl Fn(&mut Output),
        offsets: &[(i32, i64)],
    ) {
        for mut output in sent {
            if Some(output.topic.as_str()) != control {
                normalize(&mut output);
                self.outputs.push(output);
                continue;
            }
            let partition = output.partition.unwrap_or(-1);
            let record = ControlRecord::parse(&output.payload);
            let record = record.unwrap_or_else(|reason| panic!("{reason}"));
            self.log(partition).control.push(record);
        }
        for (partition, offset) in offsets {
            let log = self.log(*partition);
            assert!(log.committed <= Some(*offset), "a committed offset went back");
            assert!(*offset <= log.end(), "an offset beyond the log was committed");
            log.committed = Some(*offset);
        }
    }
}
