//! What a job looks up of its topics before it starts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use millrace_kafka::client::{LogBridge, reader_config};
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::config::JobConfig;
use crate::{Job, WorkerError};

/// How long the cluster may take to answer at the start.
const START: Duration = Duration::from_secs(60);

/// How long one wait for the cluster's id may take: a stop is looked for in between.
const ID_CALL: Duration = Duration::from_secs(5);

/// What the cluster says of the job's topics.
pub(super) struct Layout {
    pub(super) cluster: String,
    pub(super) partitions: usize,
    pub(super) control_partitions: usize,
    /// Who asked, and may ask more.
    pub(super) consumer: BaseConsumer<LogBridge>,
}

impl Layout {
    pub(super) fn look_up<J: Job>(
        job: &J,
        config: &JobConfig,
        shutdown: &AtomicBool,
    ) -> Result<Self, WorkerError> {
        let consumer = follower(config, job.name())?;
        let deadline = Instant::now() + START;
        let partitions = partition_count(&consumer, job.input_topic(), deadline, shutdown)?;
        let control_partitions = match job.control_topic() {
            Some(topic) => partition_count(&consumer, topic, deadline, shutdown)?,
            None => 0,
        };
        if let Some(control) = job.control_topic()
            && control_partitions < partitions
        {
            return Err(WorkerError::Topic(format!(
                "the control topic {control} has {control_partitions} partitions and must have at least the \
                 {partitions} of {}: `millrace init` adds them",
                job.input_topic()
            )));
        }
        let bootstrap = &config.kafka.bootstrap_servers;
        let cluster = cluster_id(bootstrap, Instant::now() + START, shutdown, |wait| {
            consumer.client().fetch_cluster_id(wait)
        })?;
        Ok(Self {
            cluster,
            partitions,
            control_partitions,
            consumer,
        })
    }
}

/// As [`Layout::look_up`] has it, for who runs no job.
pub(crate) fn cluster_of(config: &JobConfig, job: &str) -> Result<String, WorkerError> {
    let consumer = follower(config, job)?;
    let (bootstrap, deadline) = (&config.kafka.bootstrap_servers, Instant::now() + START);
    cluster_id(bootstrap, deadline, &AtomicBool::new(false), |wait| {
        consumer.client().fetch_cluster_id(wait)
    })
}

/// The cluster's id, which is part of whose a snapshot is: under an empty one every snapshot would
/// be another cluster's, and the log would be replayed in their place.
fn cluster_id(
    bootstrap_servers: &str,
    deadline: Instant,
    shutdown: &AtomicBool,
    ask: impl Fn(Duration) -> Option<String>,
) -> Result<String, WorkerError> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if let Some(id) = ask(left.min(ID_CALL)).filter(|id| !id.is_empty()) {
            return Ok(id);
        }
        if Instant::now() >= deadline || shutdown.load(Ordering::Relaxed) {
            return Err(WorkerError::NoClusterId {
                bootstrap_servers: bootstrap_servers.to_owned(),
                limit: START,
            });
        }
        std::thread::park_timeout(Duration::from_millis(200));
    }
}

fn partition_count(
    consumer: &BaseConsumer<LogBridge>,
    topic: &str,
    deadline: Instant,
    shutdown: &AtomicBool,
) -> Result<usize, WorkerError> {
    loop {
        let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(5));
        let count = metadata
            .as_ref()
            .ok()
            .and_then(|all| all.topics().first())
            .map_or(0, |it| it.partitions().len());
        if count > 0 {
            return Ok(count);
        }
        if Instant::now() > deadline || shutdown.load(Ordering::Relaxed) {
            return Err(match metadata {
                Ok(_) => WorkerError::Topic(format!(
                    "the topic {topic} does not exist: `millrace init` creates it"
                )),
                Err(reason) => WorkerError::Kafka {
                    action: format!("looking up the topic {topic}"),
                    reason,
                },
            });
        }
        std::thread::park_timeout(Duration::from_millis(200));
    }
}

pub(super) fn follower(config: &JobConfig, job: &str) -> Result<BaseConsumer<LogBridge>, WorkerError> {
    reader_config(&config.kafka, &config.group(job))?
        .create_with_context(LogBridge)
        .map_err(|reason| WorkerError::no_client("reader", reason))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// What comes of these answers, and how many of them were not asked for; after the last there
    /// is none.
    fn found(answers: &[Option<&str>], limit: Duration, is_stopped: bool) -> (Result<String, String>, usize) {
        let left = RefCell::new(answers.iter());
        let shutdown = AtomicBool::new(is_stopped);
        let id = cluster_id("kafka-1:9092", Instant::now() + limit, &shutdown, |_| {
            left.borrow_mut().next().copied().flatten().map(str::to_owned)
        });
        (id.map_err(|error| error.to_string()), left.into_inner().len())
    }

    #[test]
    fn the_clusters_id_is_waited_for_and_never_taken_for_empty() {
        let minute = Duration::from_secs(60);
        let answers = [None, Some(""), Some("one"), Some("two")];
        assert_eq!(found(&answers, minute, false), (Ok("one".to_owned()), 1));
        for (limit, is_stopped) in [(Duration::ZERO, false), (minute, true)] {
            let (id, left) = found(&[Some(""), Some("one")], limit, is_stopped);
            let said = id.unwrap_err();
            assert!(
                said.contains("kafka-1:9092") && said.contains("cluster id"),
                "{said}"
            );
            assert_eq!(left, 1, "asked once");
        }
    }
}
