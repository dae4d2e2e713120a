//! What a job was at an earlier offset: the newest snapshot from before it, and the log from there.

use millrace_kafka::client::reader_config;
use millrace_kafka::reader::Reader;
use rdkafka::error::KafkaError;
use thiserror::Error;

use crate::config::JobConfig;
use crate::control::{ControlError, ControlLog};
use crate::replay::Replay;
use crate::runner::{cluster_of, identity};
use crate::snapshot_store::{PastSnapshot, SnapshotStore};
use crate::worker::{is_of_log, read_state};
use crate::{Job, WorkerError};

/// Why nobody can go back.
#[derive(Debug, Error)]
pub enum PastError {
    /// Settings, or the cluster.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// The cluster does not answer.
    #[error("Kafka does not answer")]
    Kafka(#[from] KafkaError),
    /// The snapshots cannot be asked for.
    #[error("the snapshot store does not answer: {0}")]
    Store(String),
    /// The job has not done anything with the record.
    #[error(
        "the job {job} has not come to offset {offset} of {topic}-{partition}: it has committed {committed}"
    )]
    NotYet {
        /// Which job.
        job: String,
        /// Its input, by the full name.
        topic: String,
        /// The partition.
        partition: i32,
        /// The record's.
        offset: i64,
        /// Up to where it has come, in words.
        committed: String,
    },
    /// What the state was made of is gone.
    #[error(
        "offset {offset} of {topic}-{partition} cannot be gone back to: the log starts at {low} by now, and no \
         snapshot serves of an offset from {low} to {offset}{refused}. snapshots.past_keep and \
         snapshots.past_interval_ms say how many are kept, and how far apart"
    )]
    Gone {
        /// The input, by its full name.
        topic: String,
        /// The partition.
        partition: i32,
        /// The record's.
        offset: i64,
        /// The log's first.
        low: i64,
        /// The snapshots that do not serve, each with the reason.
        refused: String,
    },
    /// Changes from before that are not known any more.
    #[error(
        "{topic}-{partition} has lost its beginning: which settings held, and what was changed, from offset {from} \
         of the input on is not known any more"
    )]
    ControlGone {
        /// The control topic, by its full name.
        topic: String,
        /// The partition.
        partition: i32,
        /// Where the replay would begin.
        from: i64,
    },
    /// A control record of another release.
    #[error("offset {offset} of {topic}-{partition} is not understood: {reason}")]
    Control {
        /// The control topic, by its full name.
        topic: String,
        /// The partition.
        partition: i32,
        /// The control record's.
        offset: i64,
        /// Why.
        reason: String,
    },
}

/// A job as it was. It joins no group and writes nothing.
pub struct Past<'a, J> {
    job: &'a J,
    reader: Reader,
    store: Option<SnapshotStore>,
    fingerprint: String,
}

/// Where a replay begins.
#[derive(Debug)]
pub struct Begun<T> {
    /// The replay, before its first record.
    pub replay: Replay<T>,
    /// When the snapshot was written that it begins with, in milliseconds since 1970; `None` where
    /// it begins with the log.
    pub written_ms: Option<i64>,
}

impl<'a, J: Job> Past<'a, J> {
    /// Of a job with this configuration.
    ///
    /// # Errors
    /// Wrong settings, or the cluster does not answer.
    pub fn open(job: &'a J, config: &JobConfig) -> Result<Self, PastError> {
        let folder = config.snapshot_folder(job.name(), job.input_topic());
        let store = match config.snapshots.enabled {
            true => Some(SnapshotStore::open(&config.snapshots, &folder)?),
            false => None,
        };
        let client = reader_config(&config.kafka, &config.group(job.name())).map_err(WorkerError::from)?;
        let cluster = cluster_of(config, job.name())?;
        Ok(Self {
            fingerprint: format!("{}{}", identity(&cluster, job.input_topic()), job.layout()),
            job,
            reader: Reader::new(&client)?,
            store,
        })
    }

    /// Whether the job has done what it does with the record at `offset`.
    ///
    /// # Errors
    /// It has not, or the cluster does not answer.
    pub fn check(&self, partition: i32, offset: i64) -> Result<(), PastError> {
        let topic = self.job.input_topic();
        let committed = self.reader.committed(topic, partition)?;
        if committed.is_some_and(|committed| offset < committed) {
            return Ok(());
        }
        Err(PastError::NotYet {
            job: self.job.name().to_owned(),
            topic: topic.to_owned(),
            partition,
            offset,
            committed: committed.map_or_else(|| "nothing".to_owned(), |at| at.to_string()),
        })
    }

    /// The newest state from before the record at `offset`, to be replayed from there.
    ///
    /// # Errors
    /// What is needed is gone, or the cluster or the store do not answer.
    pub fn begin(&self, partition: i32, offset: i64) -> Result<Begun<J::Task>, PastError> {
        let topic = self.job.input_topic();
        let (low, _) = self.reader.bounds(topic, partition)?;
        let mut refused = Vec::new();
        for snapshot in self.snapshots(partition, low, offset)? {
            match self.state(partition, low, &snapshot)? {
                Ok((task, done)) => {
                    let log = self.control(partition, snapshot.offset)?;
                    return Ok(Begun {
                        replay: Replay::new(task, &log, snapshot.offset, done),
                        written_ms: Some(snapshot.written_ms),
                    });
                }
                Err(reason) => refused.push(format!("that of offset {}, as {reason}", snapshot.offset)),
            }
        }
        if low > 0 {
            return Err(PastError::Gone {
                topic: topic.to_owned(),
                partition,
                offset,
                low,
                refused: match refused.as_slice() {
                    [] => String::new(),
                    refused => format!(" (refused is {})", refused.join("; ")),
                },
            });
        }
        let log = self.control(partition, 0)?;
        let task = match log.policy_at(0) {
            None => self.job.task(partition),
            Some(policy) => self.job.task_under(partition, policy).map_err(|reason| {
                WorkerError::Topic(format!(
                    "the policy that partition {partition} of {topic} began with is none of this job: {reason}"
                ))
            })?,
        };
        Ok(Begun {
            replay: Replay::new(task, &log, 0, 0),
            written_ms: None,
        })
    }

    /// Those that the log goes on from, up to `offset`, the newest first.
    fn snapshots(&self, partition: i32, low: i64, offset: i64) -> Result<Vec<PastSnapshot>, PastError> {
        let Some(store) = &self.store else {
            return Ok(Vec::new());
        };
        let mut found = store
            .list_all(partition)
            .map_err(|error| PastError::Store(error.to_string()))?;
        found.retain(|snapshot| (low..=offset).contains(&snapshot.offset));
        Ok(found)
    }

    /// The state of a snapshot, or why it does not serve.
    #[allow(clippy::type_complexity, reason = "one that fails, or does not serve")]
    fn state(
        &self,
        partition: i32,
        low: i64,
        snapshot: &PastSnapshot,
    ) -> Result<Result<(J::Task, u32), String>, PastError> {
        let Some(store) = &self.store else {
            return Ok(Err("there is no store".to_owned()));
        };
        let at = (self.job.input_topic(), partition);
        let dated = (snapshot.offset, snapshot.written_ms);
        if !is_of_log(&self.reader, at, low, dated)? {
            return Ok(Err("the topic was made anew since".to_owned()));
        }
        let bytes = match store.read_past(partition, snapshot) {
            Ok(bytes) => bytes,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let read = read_state(self.job, &self.fingerprint, &bytes, (partition, snapshot.offset));
        Ok(read.map_err(|(_, reason)| reason))
    }

    /// What happened beside the records from `from` on.
    fn control(&self, partition: i32, from: i64) -> Result<ControlLog, PastError> {
        let Some(topic) = self.job.control_topic() else {
            return Ok(ControlLog::default());
        };
        let log = ControlLog::read(&self.reader, topic, partition, from).map_err(|error| match error {
            ControlError::Kafka(error) => PastError::Kafka(error),
            ControlError::Broken { offset, reason } => PastError::Control {
                topic: topic.to_owned(),
                partition,
                offset,
                reason,
            },
        })?;
        let (low, _) = self.reader.bounds(topic, partition)?;
        let reaches_back = log.records.first().is_some_and(|first| first.offset() <= from);
        if low > 0 && !reaches_back {
            return Err(PastError::ControlGone {
                topic: topic.to_owned(),
                partition,
                from,
            });
        }
        Ok(log)
    }
}
