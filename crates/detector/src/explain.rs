//! What the detector decided about records of the log, and why: it is gone back to by snapshot and
//! replay, beside the running detector, and nothing is written.

use std::collections::BTreeSet;

use anyhow::{Context as _, anyhow, ensure};
use millrace_catalog::payments::topic;
use millrace_contract::ReadError;
use millrace_domain::Transaction;
use millrace_domain::codec::Ahead;
use millrace_fraud::Explanation;
use millrace_kafka::log::TopicLog;
use millrace_kafka::{Misplaced, topic_name};
use millrace_rules::Version;
use millrace_runtime::past::Past;
use millrace_runtime::processor::Processor as _;
use millrace_runtime::{InputRecord, Job as _, JobConfig};
use millrace_settings::Settings;

use crate::job::{DetectJob, DetectTask};

/// What the detector decided about a record.
#[derive(Debug)]
pub enum Decision {
    /// It was left out.
    Refused {
        /// The reason's bounded name.
        code: String,
        /// The reason in words.
        why: String,
    },
    /// It was judged.
    Judged(Box<Explanation>),
}

/// A record that was gone back to.
#[derive(Debug)]
pub struct Explained<'a> {
    /// Where it lies, and when it was appended.
    pub record: InputRecord<'a>,
    /// What it says; `None` where it cannot be read.
    pub transaction: Option<Transaction>,
    /// What was decided.
    pub decision: Decision,
    /// The rule set that judged it; `None` of none.
    pub version: Option<&'a Version>,
    /// How it was gone back to.
    pub way: Way,
}

/// How a record was gone back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// The offset that the replay began with.
    pub from: i64,
    /// When the snapshot there was written, in milliseconds since 1970; `None` where there is none,
    /// as it is the log's beginning.
    pub snapshot_ms: Option<i64>,
    /// Records that were replayed.
    pub replayed: u64,
}

/// Goes back to records of one partition, by the offsets of those that are wanted, and hands each
/// over with its decision, in their order. Texts of long ids are there for as long as `take` has
/// it.
///
/// # Errors
/// Kafka, the registry or the snapshot store do not answer, the detector has not come to a record,
/// nothing is left to go back by, there is no such record, or `take` fails.
pub fn explain(
    settings: &Settings,
    job: &DetectJob,
    partition: i32,
    wanted: &BTreeSet<i64>,
    mut take: impl FnMut(Explained<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (Some(&first), Some(&last)) = (wanted.first(), wanted.last()) else {
        return Ok(());
    };
    let log = TopicLog::open(&settings.kafka, job.input_topic().to_owned())?;
    let past = Past::open(job, &config(settings))?;
    past.check(partition, last)?;
    let begun = past.begin(partition, first)?;
    let mut replay = begun.replay;
    let mut way = Way {
        from: replay.next(),
        snapshot_ms: begun.written_ms,
        replayed: 0,
    };
    let (mut left, mut intake) = (wanted.iter().copied().peekable(), job.intake());
    log.read_partition(partition, replay.next(), |message| {
        let record = InputRecord::of_message(message);
        ensure!(
            left.peek().is_none_or(|wanted| *wanted >= record.offset),
            "there is no record at offset {} of {}-{partition}: it is a marker, or of an aborted transaction",
            left.peek().copied().unwrap_or_default(),
            job.input_topic()
        );
        if left.next_if_eq(&record.offset).is_some() {
            let refused = replay.go_to(record.offset)?.map(str::to_owned);
            let task = replay.task();
            let (transaction, decision) = match refused {
                Some(code) => {
                    let why = "the schema registry did not know, or refused, its schema".to_owned();
                    (None, Decision::Refused { code, why })
                }
                None => decision(job, task, &record, &mut intake)?,
            };
            let evaluator = task.operator().evaluator();
            take(Explained {
                record,
                transaction,
                decision,
                version: evaluator.map(millrace_rules::Evaluator::version),
                way,
            })?;
        }
        if left.peek().is_none() {
            return Ok(false);
        }
        replay.take(&record)?;
        way.replayed += 1;
        anyhow::Ok(true)
    })?;
    match left.next() {
        None => Ok(()),
        Some(offset) => Err(anyhow!(
            "there is no record at offset {offset} of {}-{partition}: the log has nothing committed there",
            job.input_topic()
        )),
    }
}

/// What the task decides about the next record, as [`DetectTask`] does, with nothing done.
fn decision(
    job: &DetectJob,
    task: &DetectTask,
    record: &InputRecord<'_>,
    intake: &mut Ahead,
) -> anyhow::Result<(Option<Transaction>, Decision)> {
    let transaction = match intake.read(record.offset, record.payload.unwrap_or_default()) {
        Ok(transaction) => *transaction,
        Err(ReadError::Invalid(error)) => {
            let refused = Decision::Refused {
                code: error.code().to_owned(),
                why: error.to_string(),
            };
            return Ok((None, refused));
        }
        Err(ReadError::Registry(error)) => return Err(error).context("the schema registry"),
    };
    let operator = task.operator();
    let bounds = millrace_engine::Operator::policy(operator).bounds;
    if let Err(refused) = DetectJob::check(operator, &transaction, record.append_time_ms(), &bounds) {
        let refused = Decision::Refused {
            code: refused.code.to_owned(),
            why: refused.why,
        };
        return Ok((Some(transaction), refused));
    }
    let partitions = bounds.partitions.unwrap_or(job.partitions().at_start());
    let user = transaction.user_id.text();
    let misplaced = Misplaced::of(user.as_bytes(), record.key, record.partition, partitions);
    if let (true, Some(misplaced)) = (bounds.refuses_misplaced, misplaced) {
        let refused = Decision::Refused {
            code: Misplaced::CODE.to_owned(),
            why: misplaced.to_string(),
        };
        return Ok((Some(transaction), refused));
    }
    let explanation = operator.explain(&transaction);
    Ok((Some(transaction), Decision::Judged(Box::new(explanation))))
}

/// As far as looking back needs it: it runs nothing, so it takes no name.
fn config(settings: &Settings) -> JobConfig {
    JobConfig {
        kafka: settings.kafka.clone(),
        worker: settings.detector.worker.clone(),
        snapshots: settings.snapshots.clone(),
        instance: String::new(),
        instance_key: "",
        max_disorder_ms: settings.detector.event_time.max_disorder_ms,
        rekeyed_topic: topic_name(&settings.kafka, topic::KEYED),
    }
}
