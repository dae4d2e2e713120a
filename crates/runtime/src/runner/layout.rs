//! What a job looks up of its topics before it starts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use millrace_kafka::client::{LogBridge, reader_config};
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::config::JobConfig;
use crate::{Job, WorkerError};

/// How long the cluster may take to answer at the start.
const START: Duration = Duration::from_secs(60);

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
        let cluster = consumer
            .client()
            .fetch_cluster_id(Duration::from_secs(10))
            .unwrap_or_default();
        Ok(Self {
            cluster,
            partitions,
            control_partitions,
            consumer,
        })
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
