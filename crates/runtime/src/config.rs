//! What a job is run with.

use millrace_settings::{Kafka, Snapshots, Worker};

/// What a job is run with, beside the job itself.
#[derive(Debug, Clone)]
pub struct JobConfig {
    /// The cluster.
    pub kafka: Kafka,
    /// The worker loop.
    pub worker: Worker,
    /// Snapshots of the tasks' state.
    pub snapshots: Snapshots,
    /// Names this process among all that run the job, and stays the same over its restarts (a
    /// host's name with the service's port, a StatefulSet's pod): with the thread's number it makes
    /// the transactional id, so that a restart ends the transaction its predecessor left open, and
    /// the member's `group.instance.id`, so that a restart gets its partitions back at once. Two
    /// processes with one name fence each other.
    pub instance: String,
    /// The key that sets it, for messages.
    pub instance_key: &'static str,
    /// How far a partition's watermark stays behind its highest event time; an idle partition keeps
    /// that distance.
    pub max_disorder_ms: i64,
    /// The full name of the topic that may stand in the place of a job's input, rekeyed: its
    /// offsets are of another log, so that what is made of it has snapshots of its own.
    pub rekeyed_topic: String,
}

impl JobConfig {
    /// The consumer group of `job`.
    #[must_use]
    pub fn group(&self, job: &str) -> String {
        format!("{}millrace-{job}", self.kafka.topic_prefix)
    }

    /// The transactional id of thread `thread` of `job`.
    #[must_use]
    pub fn transactional_id(&self, job: &str, thread: usize) -> String {
        format!("{}-{}-{thread}", self.group(job), self.instance)
    }

    /// The static member that thread `thread` is in its job's group.
    #[must_use]
    pub fn member(&self, thread: usize) -> String {
        format!("{}-{thread}", self.instance)
    }

    /// The static members that the threads of this process are.
    pub(crate) fn members(&self, threads: usize) -> Vec<String> {
        (0..threads).map(|thread| self.member(thread)).collect()
    }

    /// The folder of the snapshots of `job`, which reads `input`. What it has of rekeyed
    /// transactions is of another log, whose offsets begin anew.
    #[must_use]
    pub fn snapshot_folder(&self, job: &str, input: &str) -> String {
        let prefix = &self.kafka.topic_prefix;
        match input == self.rekeyed_topic {
            true => format!("{prefix}{job}.keyed"),
            false => format!("{prefix}{job}"),
        }
    }
}
