//! The sending threads of a run, each with a client of its own.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, anyhow};
use millrace_kafka_batch::BatchProducer;
use prometheus::Histogram;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, Producer};

use crate::sender::{Counters, Deliveries, DeliveryContext, Sender, Stop};
use crate::{Entry, Source};

/// Records that one thread may have in flight.
const IN_FLIGHT_PER_THREAD: usize = 100_000;
/// How long the brokers have to answer at the start.
const METADATA_TIMEOUT: Duration = Duration::from_secs(15);

/// A topic that is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Its full name.
    pub name: String,
    /// What each of its records is, as `transaction`: for people.
    pub item: &'static str,
}

/// The topics that are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topics {
    /// Those of records: a record names one by its place here.
    pub records: Vec<Topic>,
    /// That of asides, where sources have any.
    pub asides: Option<Topic>,
}

/// How records are sent.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The settings of each thread's client, which has to be idempotent and to wait for every
    /// in-sync replica.
    pub client: ClientConfig,
    /// The topics that are written.
    pub topics: Topics,
    /// Takes the time between sending and acknowledgement in seconds, of one record in 64.
    pub durations: Histogram,
    /// Size of the windows of the ledger's sums.
    pub window_ms: i64,
}

/// A thread that can be started.
type Run = Box<dyn FnOnce() -> anyhow::Result<()> + Send>;

/// The sending threads and what they share with the supervisor.
pub struct Lanes<E: Entry> {
    prepared: Vec<Run>,
    pub(crate) threads: Vec<JoinHandle<anyhow::Result<()>>>,
    pub(crate) deliveries: Vec<Arc<Deliveries<E>>>,
    pub(crate) counters: Vec<Arc<Counters>>,
    pub(crate) stop: Arc<Stop>,
}

impl<E: Entry> Lanes<E> {
    /// Makes the client of each source's thread, and checks that the brokers and the topics of
    /// records are there. Blocks.
    ///
    /// # Errors
    /// A topic or the brokers are not there, or the client refuses its settings.
    pub fn prepare<S: Source<Entry = E>>(spec: &Spec, sources: Vec<S>) -> anyhow::Result<Self> {
        let mut lanes = Self {
            prepared: Vec::new(),
            threads: Vec::new(),
            deliveries: Vec::new(),
            counters: Vec::new(),
            stop: Arc::new(Stop::default()),
        };
        let mut partitions = Vec::new();
        for source in sources {
            let deliveries = Arc::new(Deliveries::new(
                IN_FLIGHT_PER_THREAD,
                spec.window_ms,
                spec.durations.clone(),
            ));
            let counters = Arc::new(Counters::default());
            let context = DeliveryContext(Arc::clone(&deliveries));
            let mut producer = BatchProducer::new(spec.client.create_with_context(context)?)?;
            let mut topics = Vec::new();
            for (at, topic) in spec.topics.records.iter().enumerate() {
                if partitions.len() <= at {
                    partitions.push(count_partitions(producer.producer(), &topic.name)?);
                }
                topics.push((producer.add_topic(&topic.name, partitions[at])?, topic.clone()));
            }
            lanes.deliveries.push(Arc::clone(&deliveries));
            lanes.counters.push(Arc::clone(&counters));
            let sender = Sender {
                producer,
                topics,
                asides: spec.topics.asides.clone(),
                source,
                deliveries,
                counters,
                stop: Arc::clone(&lanes.stop),
            };
            lanes.prepared.push(Box::new(move || sender.run()));
        }
        Ok(lanes)
    }

    /// Starts the threads.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(&mut self) -> anyhow::Result<()> {
        for run in self.prepared.drain(..) {
            let thread = std::thread::Builder::new()
                .name(format!("sender-{}", self.threads.len()))
                .spawn(run)
                .context("a sending thread could not be started")?;
            self.threads.push(thread);
        }
        Ok(())
    }

    /// How many threads there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.deliveries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.deliveries.is_empty()
    }
}

/// How many partitions the topic has. That never changes: keys would go elsewhere than their
/// history.
fn count_partitions<E: Entry>(
    producer: &BaseProducer<DeliveryContext<E>>,
    topic: &str,
) -> anyhow::Result<usize> {
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
