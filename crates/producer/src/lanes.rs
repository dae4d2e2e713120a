//! The sending threads of a run, each with a client of its own.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, anyhow};
use millrace_kafka_batch::BatchProducer;
use prometheus::Histogram;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, Producer};

use crate::plan::Topics;
use crate::sender::{Counters, Deliveries, DeliveryContext, Sender, Stop};
use crate::source::Source;

/// Records that one thread may have in flight.
const IN_FLIGHT_PER_THREAD: usize = 100_000;
/// How long the brokers have to answer at the start.
const METADATA_TIMEOUT: Duration = Duration::from_secs(15);

/// The sending threads and what they share with the supervisor.
pub(crate) struct Lanes {
    pub(crate) threads: Vec<JoinHandle<anyhow::Result<()>>>,
    pub(crate) deliveries: Vec<Arc<Deliveries>>,
    pub(crate) counters: Vec<Arc<Counters>>,
    pub(crate) stop: Arc<Stop>,
}

/// Makes each thread's client, and checks that the brokers and the topic are there.
pub(crate) fn prepare(
    config: &ClientConfig,
    sources: Vec<Box<dyn Source>>,
    topics: &Topics,
    durations: &Histogram,
    window_ms: i64,
) -> anyhow::Result<(Vec<Sender>, Lanes)> {
    let mut lanes = Lanes {
        threads: Vec::new(),
        deliveries: Vec::new(),
        counters: Vec::new(),
        stop: Arc::new(Stop::default()),
    };
    let (mut senders, mut partitions) = (Vec::new(), 0);
    for source in sources {
        let deliveries = Arc::new(Deliveries::new(
            IN_FLIGHT_PER_THREAD,
            window_ms,
            durations.clone(),
        ));
        let counters = Arc::new(Counters::default());
        let producer: BaseProducer<DeliveryContext> =
            config.create_with_context(DeliveryContext(Arc::clone(&deliveries)))?;
        let mut producer = BatchProducer::new(producer)?;
        if senders.is_empty() {
            partitions = count_partitions(producer.producer(), &topics.transactions)?;
        }
        lanes.deliveries.push(Arc::clone(&deliveries));
        lanes.counters.push(Arc::clone(&counters));
        senders.push(Sender {
            transactions: producer.add_topic(&topics.transactions, partitions)?,
            producer,
            labels: topics.labels.clone(),
            source,
            deliveries,
            counters,
            stop: Arc::clone(&lanes.stop),
        });
    }
    Ok((senders, lanes))
}

impl Lanes {
    /// Starts the threads.
    pub(crate) fn start(&mut self, senders: Vec<Sender>) -> anyhow::Result<()> {
        for (number, sender) in senders.into_iter().enumerate() {
            let thread = std::thread::Builder::new()
                .name(format!("sender-{number}"))
                .spawn(move || sender.run())
                .context("a sending thread could not be started")?;
            self.threads.push(thread);
        }
        Ok(())
    }
}

/// How many partitions the topic has. That never changes: keys would go elsewhere than their
/// history.
fn count_partitions(producer: &BaseProducer<DeliveryContext>, topic: &str) -> anyhow::Result<usize> {
    let metadata = producer
        .client()
        .fetch_metadata(Some(topic), METADATA_TIMEOUT)
        .context("no Kafka broker answers; is kafka.bootstrap_servers right, and the cluster up?")?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    match found {
        Some(found) if found.error().is_none() && !found.partitions().is_empty() => {
            Ok(found.partitions().len())
        }
        _ => Err(anyhow!("there is no topic {topic}: `millrace init` creates it")),
    }
}

/// The first error of threads that have ended.
pub(crate) fn first_failure(threads: Vec<JoinHandle<anyhow::Result<()>>>) -> Option<anyhow::Error> {
    threads
        .into_iter()
        .filter_map(|thread| match thread.join() {
            Ok(result) => result.err(),
            Err(_) => Some(anyhow!("a sending thread panicked; its log line says where")),
        })
        .next()
}
