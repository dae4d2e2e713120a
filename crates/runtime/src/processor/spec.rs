//! What a job is, beside its operator.

use std::sync::Arc;

use millrace_kafka::{InputRecord, SourcePartitions};
use millrace_telemetry::metrics::{MetricError, counters};
use prometheus::IntCounterVec;

use crate::{JobMetrics, Outbox, Upstream};

/// A job's name, its topics by their full names, and the policies of the stream that it reads.
#[derive(Debug, Clone)]
pub struct JobSpec {
    /// As [`crate::Job::name`].
    pub name: &'static str,
    /// As [`crate::Job::input_topic`].
    pub input: String,
    /// As [`crate::Job::control_topic`].
    pub control: String,
    /// As [`crate::Job::layout`].
    pub layout: &'static str,
    /// As [`crate::Job::advances_idle`].
    pub advances_idle: bool,
    /// As [`crate::Job::tells_outputs`].
    pub tells_outputs: bool,
    /// As [`crate::Job::upstream`].
    pub upstream: Option<Upstream>,
    /// The partitions of the input, where the times and places of its records are others' word: a
    /// record without the broker's time is counted and told of then, one that lies elsewhere is
    /// judged ([`super::Processor::place`]), and the job ends in good order once partitions were
    /// added.
    pub source: Option<Arc<SourcePartitions>>,
    /// What becomes of records that are left out.
    pub refusal: Refusal,
    /// What becomes of records that are late.
    pub late: LateRecords,
    /// What is counted of the records.
    pub metrics: JobMetrics,
}

/// What becomes of a record that is left out. Of the jobs that read a stream, one keeps its bad
/// records: the owner of its dead letters.
#[derive(Debug, Clone)]
pub enum Refusal {
    /// The job is the owner.
    DeadLetter,
    /// Another is: it is counted.
    Skip(SkippedRecords),
}

/// What becomes of a late record.
#[derive(Debug, Clone)]
pub enum LateRecords {
    /// It is counted, and copied to this topic (its full name), with how late it was.
    Copy(String),
    /// It is counted.
    Count,
    /// None should be: it is left out, under this code, and the log says so once.
    Refuse {
        /// The reason's bounded name.
        code: &'static str,
        /// The records' name, for messages.
        what: &'static str,
    },
}

/// Counts the records that a job leaves to the owner of the dead letters.
#[derive(Debug, Clone)]
pub struct SkippedRecords {
    job: &'static str,
    skipped: IntCounterVec,
}

impl SkippedRecords {
    /// Those of one job.
    ///
    /// # Errors
    /// The name is taken by another metric.
    pub fn of(job: &'static str) -> Result<Self, MetricError> {
        let skipped = counters(
            "millrace_skipped_records_total",
            "Bad input records passed over, by reason; the job that owns the dead-letter topic keeps them.",
            &["operator", "code"],
        )?;
        Ok(Self { job, skipped })
    }

    /// Codes are few.
    fn count(&self, code: &'static str) {
        self.skipped.with_label_values(&[self.job, code]).inc();
    }
}

impl JobSpec {
    /// Leaves a record out.
    #[cold]
    pub(super) fn refuse(
        &self,
        input: &InputRecord<'_>,
        code: &'static str,
        why: &str,
        outbox: &mut dyn Outbox,
    ) {
        match &self.refusal {
            Refusal::DeadLetter => outbox.dead_letter(input, code, why),
            Refusal::Skip(skipped) if !outbox.is_replay() => skipped.count(code),
            Refusal::Skip(_) => {}
        }
    }
}
