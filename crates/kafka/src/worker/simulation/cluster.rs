//! What outlives every worker: logs, group offsets, committed outputs, the control topic, the snapshot store.

use std::time::Duration;

use millrace_engine::snapshot::{Expected, Header, SnapshotWriter, container};

use super::task::{Digest, OUTPUTS};
use crate::Task;
use crate::control::{ControlRecord, Directives, policy_at};
use crate::worker::envelope::Envelope;
use crate::worker::restore::Restored;

pub(super) const INPUT: &str = "input";
pub(super) const CONTROL: &str = "control";
const JOB: &str = "simulated";
const LAYOUT: &str = "layout";
/// Snapshots that are kept of a partition.
const KEPT: usize = 3;

/// A record in a transaction.
pub(super) struct Sent {
    pub(super) topic: &'static str,
    pub(super) partition: i32,
    pub(super) payload: Vec<u8>,
}

/// Everything about one partition of the input.
#[derive(Default)]
pub(super) struct Log {
    /// `None` is an offset without a record: a marker of a transaction.
    pub(super) records: Vec<Option<[u8; 8]>>,
    pub(super) committed: Option<i64>,
    pub(super) control: Vec<ControlRecord>,
    pub(super) outputs: Vec<Vec<u8>>,
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

    /// What a restore finds.
    pub(super) fn restore(&self, partition: i32, epoch: u64, policy: &str) -> Restored<Digest> {
        let known = self.committed.and_then(|_| policy_at(&self.control, 0));
        let mut task = Digest::new(partition, known.unwrap_or(policy));
        let (mut start, mut directives_done) = (0, 0);
        let expected = Expected {
            job: JOB,
            partition,
            fingerprint: LAYOUT,
        };
        let read = |bytes: &Vec<u8>| {
            let snapshot = container::read(bytes, &expected).ok()?;
            let (envelope, state) = Envelope::read(snapshot.state).ok()?;
            let mut task = Digest::new(partition, envelope.policy);
            task.restore(state).ok()?;
            let (offset, done) = (snapshot.header.offset, envelope.directives);
            (Some(offset) <= self.committed).then_some((offset, done, task))
        };
        let newest = self.snapshots.iter().filter_map(read);
        if let Some(newest) = newest.max_by_key(|(offset, done, _)| (*offset, *done)) {
            (start, directives_done, task) = newest;
        }
        let replay_until = self.committed.unwrap_or(start);
        let directives = Directives::between(&self.control, start, directives_done, replay_until);
        Restored {
            partition,
            epoch,
            task,
            start,
            committed: self.committed,
            replay_until,
            directives_done,
            directives,
            cost: Duration::ZERO,
        }
    }
}

/// The header of a snapshot.
pub(super) fn container_of(partition: i32, offset: i64, watermark_ms: Option<i64>) -> SnapshotWriter {
    SnapshotWriter::new(&Header {
        job: JOB,
        partition,
        offset,
        watermark_ms,
        fingerprint: LAYOUT,
    })
}

#[derive(Default)]
pub(super) struct Cluster {
    pub(super) logs: Vec<Log>,
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
    pub(super) fn commit(&mut self, sent: Vec<Sent>, offsets: &[(i32, i64)]) {
        for record in sent {
            let log = self.log(record.partition);
            match record.topic {
                OUTPUTS => log.outputs.push(record.payload),
                _ => {
                    let parsed = ControlRecord::parse(&record.payload);
                    log.control
                        .push(parsed.unwrap_or_else(|reason| panic!("{reason}")));
                }
            }
        }
        for (partition, offset) in offsets {
            let log = self.log(*partition);
            assert!(log.committed <= Some(*offset), "a committed offset went back");
            assert!(*offset <= log.end(), "an offset beyond the log was committed");
            log.committed = Some(*offset);
        }
    }
}
