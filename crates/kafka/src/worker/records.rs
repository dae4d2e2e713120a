//! What fetched records do to their partitions.

use std::sync::Arc;
use std::time::Instant;

use millrace_engine::near;
use millrace_kafka_batch::{Record, Report};

use super::core::{Core, finish_replay, task_failure};
use super::partition::{Active, active_of};
use crate::metrics::JobMetrics;
use crate::outbox::{LiveOutbox, ReplayOutbox};
use crate::transaction::Failure;
use crate::{InputRecord, Job, Task, TaskError};

impl<J: Job> Core<J> {
    /// Processes a batch, a group after the other. Where it fails half way, partitions with something in the rest are to be
    /// rolled back too: it will not be fetched again otherwise.
    pub(super) fn batch<'b>(
        &mut self,
        items: impl Iterator<Item = Result<Record<'b>, Report>>,
    ) -> Result<(), Failure> {
        let job = Arc::clone(&self.job);
        let topic = job.input_topic();
        let mut items = items.map(|item| item.map(|record| InputRecord::of_batch(topic, &record)));
        let mut group = Vec::with_capacity(near::GROUP);
        loop {
            let report = next_group(&mut items, &mut group);
            if group.is_empty() && report.is_none() {
                // What is sent meanwhile need not be waited for at the commit.
                return self.producer.hand_over(&self.metrics);
            }
            self.prepare(&group);
            // Once for all of them: a look at the clock costs as much as a good part of a record.
            let now = Instant::now();
            let mut runs = runs(&group);
            while let Some(run) = runs.next() {
                if let Err(failure) = self.run(run, now) {
                    runs.for_each(|run| self.leave_out(run[0].partition));
                    self.leave_all_out(report.map(Err).into_iter().chain(items))?;
                    return Err(failure);
                }
            }
            if let Some(report) = report {
                let reason = format!("reading partition {}: {}", report.partition, report.error);
                self.leave_all_out([Err(report)].into_iter().chain(items))?;
                return Err(Failure::Abort(reason));
            }
        }
    }

    /// Tells each task which of its records come next.
    fn prepare(&mut self, group: &[InputRecord<'_>]) {
        for run in runs(group) {
            if let Some((active, _)) = active_of(&mut self.partitions, run[0].partition) {
                active.task.prepare(run);
            }
        }
    }

    /// Sees to what is left of a batch that failed. An error in place of a record needs a seek of its partition, whatever it is,
    /// and so a roll-back; so does a record that will not come again.
    fn leave_all_out<'b>(
        &mut self,
        items: impl Iterator<Item = Result<InputRecord<'b>, Report>>,
    ) -> Result<(), Failure> {
        for item in items {
            match item {
                Ok(record) => self.leave_out(record.partition),
                Err(report) => {
                    self.consumer_error(&report.error)?;
                    self.leave_out(report.partition);
                }
            }
        }
        Ok(())
    }

    fn leave_out(&mut self, number: i32) {
        if let Some((active, _)) = active_of(&mut self.partitions, number) {
            active.dirty = true;
        }
    }

    /// Processes records of one partition that were fetched just before `now`: as new, or as part of a replay.
    pub(super) fn run(&mut self, run: &[InputRecord<'_>], now: Instant) -> Result<(), Failure> {
        let Some(&InputRecord {
            topic,
            partition: number,
            ..
        }) = run.first()
        else {
            return Ok(());
        };
        let stopped = |reason| task_failure(topic, number, reason);
        let Some((active, since)) = active_of(&mut self.partitions, number) else {
            // Fetched before the partition was paused: it comes again after the seek.
            return Ok(());
        };
        let live = replay(active, run, &self.metrics, since).map_err(stopped)?;
        if live.is_empty() {
            return Ok(());
        }
        // Whatever fails from here on, these records do not come again without a roll-back.
        active.dirty = true;
        active.changed = true;
        self.producer.begin()?;
        let mut outbox = LiveOutbox {
            producer: &mut self.producer,
            state: &mut self.outbox,
            metrics: &self.metrics,
        };
        for record in live {
            if record.offset < active.next {
                continue;
            }
            active.task.process(record, &mut outbox).map_err(stopped)?;
            if let Some(failure) = outbox.state.take_failure() {
                return Err(failure);
            }
            active.next = record.offset + 1;
            self.newest_append_ms = record.timestamp_ms;
            self.batch_records += 1;
            self.batch_bytes += bytes_of(record);
        }
        active.last_record = now;
        self.batch_started.get_or_insert(now);
        Ok(())
    }
}

/// Takes the next records in place of a group, up to the first report: that one, if there is any.
fn next_group<'b>(
    items: &mut impl Iterator<Item = Result<InputRecord<'b>, Report>>,
    group: &mut Vec<InputRecord<'b>>,
) -> Option<Report> {
    group.clear();
    for item in items.take(near::GROUP) {
        match item {
            Ok(record) => group.push(record),
            Err(report) => return Some(report),
        }
    }
    None
}

/// Records one after the other of the same partition.
fn runs<'g, 'b>(group: &'g [InputRecord<'b>]) -> impl Iterator<Item = &'g [InputRecord<'b>]> {
    group.chunk_by(|one, next| one.partition == next.partition)
}

/// Repeats what was done before with the records of a run, and the advances before them; gives those that are new. What is
/// behind the partition's position is passed over.
fn replay<'r, 'b, T: Task>(
    active: &mut Active<T>,
    run: &'r [InputRecord<'b>],
    metrics: &JobMetrics,
    since: Instant,
) -> Result<&'r [InputRecord<'b>], TaskError> {
    let mut rest = run;
    while let [record, after @ ..] = rest {
        if record.offset < active.next {
            rest = after;
            continue;
        }
        let Some(replay) = &mut active.replay else {
            break;
        };
        let until = replay.until;
        if record.offset < until {
            while let Some(watermark_ms) = replay.advances.take_before(record.offset) {
                active.task.advance(watermark_ms, &mut ReplayOutbox)?;
            }
            active.task.process(record, &mut ReplayOutbox)?;
            active.next = record.offset + 1;
            active.changed = true;
            replay.records += 1;
            rest = after;
        }
        if record.offset + 1 >= until {
            finish_replay(active, metrics, record.partition, since)?;
        }
    }
    Ok(rest)
}

/// Bytes of key and value.
fn bytes_of(record: &InputRecord<'_>) -> u64 {
    let len = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
    (len(record.payload) + len(record.key)) as u64
}
