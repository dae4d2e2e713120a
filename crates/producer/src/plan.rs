//! From settings and options to the sources of a run.

use std::sync::Arc;
use std::thread::available_parallelism;

use anyhow::{Context, bail};
use millrace_catalog::{payments::topic, value_subject};
use millrace_domain::schema;
use millrace_kafka::topic_name;
use millrace_publisher::{Pacer, RunTag, Topic};
use millrace_registry::Registry;
use millrace_settings::{Format, Producer, Settings};
use tracing::warn;

use crate::encode::Encoder;
use crate::generator::{Generator, Skew};
use crate::options::{GenerateOptions, Options};
use crate::replay::{Bounds, Order, Replay, ReplayCounts};
use crate::seen;
use crate::source::TransactionSource;
use crate::stream::{EventClock, Stream, StreamConfig};
use crate::world::{World, WorldConfig};

/// Transactions a minute of an average user above which the velocity rule finds honest users.
const PLAUSIBLE_PER_MINUTE: f64 = 2.0;

/// Full names of the topics.
#[derive(Debug, Clone)]
pub(crate) struct Topics {
    /// Where records go.
    pub(crate) transactions: String,
    /// Where labels go.
    pub(crate) labels: String,
}

impl From<&Topics> for millrace_publisher::Topics {
    fn from(topics: &Topics) -> Self {
        let topic = |name: &str, item| Topic {
            name: name.to_owned(),
            item,
        };
        Self {
            records: vec![topic(&topics.transactions, "transaction")],
            asides: Some(topic(&topics.labels, "label")),
        }
    }
}

/// The topics of these settings.
pub(crate) fn topics(settings: &Settings) -> Topics {
    Topics {
        transactions: topic_name(&settings.kafka, topic::TRANSACTIONS),
        labels: topic_name(&settings.kafka, topic::FRAUD_LABELS),
    }
}

/// Registers the schemas that this run writes, which gives their ids.
pub(crate) async fn encoder(
    settings: &Settings,
    options: &Options,
    topics: &Topics,
) -> anyhow::Result<Encoder> {
    let format = settings.producer.format;
    let with_labels = matches!(options, Options::Generate(_)) && settings.producer.fraud_share > 0.0;
    let mut encoder = Encoder {
        format,
        transaction_schema_id: 0,
        label_schema_id: 0,
    };
    if format == Format::Json && !with_labels {
        return Ok(encoder);
    }
    let registry = Registry::new(millrace_service::registry::config(&settings.schema_registry))?;
    if format == Format::Avro {
        let subject = value_subject(&topics.transactions);
        encoder.transaction_schema_id = registry.register(&subject, schema::TRANSACTION).await?;
    }
    if with_labels {
        let subject = value_subject(&topics.labels);
        encoder.label_schema_id = registry.register(&subject, schema::FRAUD_LABEL).await?;
    }
    Ok(encoder)
}

/// The run in the transaction ids, where it is in them: a file has ids of its own, and a repeatable
/// stream the same in each run.
pub(crate) fn run_in_ids(settings: &Settings, options: &Options, run: RunTag) -> Option<RunTag> {
    match options {
        Options::Generate(_) => (!settings.producer.repeatable).then_some(run),
        Options::Replay(_) => None,
    }
}

/// What each thread sends. A replay first looks at the order of its rows, until `stop` says to give
/// up.
pub(crate) fn sources(
    settings: &Settings,
    options: &Options,
    encoder: Encoder,
    run: Option<RunTag>,
    counts: &Arc<ReplayCounts>,
    stop: &dyn Fn() -> bool,
) -> anyhow::Result<Vec<TransactionSource>> {
    match options {
        Options::Generate(options) => generators(&settings.producer, options, encoder, run),
        // One thread keeps the file's order within each partition.
        Options::Replay(options) => {
            let order = Order::new(Bounds::from(settings), seen::look(settings)?);
            let replay = Replay::open(options, encoder, Arc::clone(counts), order, stop)?;
            Ok(vec![Box::new(replay)])
        }
    }
}

/// Event time of the first record and records a second of event time, where time is simulated.
fn simulated_time(settings: &Producer, options: &GenerateOptions) -> anyhow::Result<Option<(i64, u64)>> {
    let Some(start_ms) = options.start_time_ms else {
        if options.event_rate_per_s.is_some() {
            bail!("--event-rate says how fast simulated time passes: give --start-time too");
        }
        return Ok(None);
    };
    match options.event_rate_per_s.unwrap_or(settings.rate_per_s) {
        0 => bail!(
            "with --start-time, time advances by 1 / rate with each transaction: with --rate 0 give --event-rate, the \
             transactions a second of event time"
        ),
        rate => Ok(Some((start_ms, rate))),
    }
}

fn generators(
    settings: &Producer,
    options: &GenerateOptions,
    encoder: Encoder,
    run: Option<RunTag>,
) -> anyhow::Result<Vec<TransactionSource>> {
    let simulated = simulated_time(settings, options)?;
    let per_minute = simulated.map_or(settings.rate_per_s, |(_, rate)| rate) as f64 * 60.0
        / f64::from(settings.users.max(1));
    if per_minute > PLAUSIBLE_PER_MINUTE {
        warn!(
            users = settings.users,
            "an average user makes {per_minute:.1} transactions a minute, which looks like fraud to the velocity rule: \
             more users (--users) make it believable"
        );
    }
    if run.is_none() {
        warn!(
            seed = settings.seed,
            "the stream is repeatable: consumers drop as copies what another run of this seed has sent"
        );
    }
    let threads = threads(settings, simulated.is_some())?;
    let world = Arc::new(World::new(&WorldConfig::from(settings))?);
    let pacer = Arc::new(Pacer::new(settings.rate_per_s));
    let mut skews: Vec<Option<Skew>> = match simulated {
        Some((start_ms, _)) if threads > 1 => Skew::of(threads as usize, start_ms)
            .into_iter()
            .map(Some)
            .collect(),
        _ => (0..threads).map(|_| None).collect(),
    };
    let sources = (0..threads).zip(skews.drain(..)).map(|(thread, skew)| {
        let config = StreamConfig {
            run,
            ..StreamConfig::of(settings, thread, threads)
        };
        let clock = simulated.map_or_else(EventClock::wall, |(start_ms, rate)| {
            EventClock::simulated(start_ms, rate, thread, threads)
        });
        let share = |count: u64| {
            let (each, rest) = (count / u64::from(threads), count % u64::from(threads));
            each + u64::from(u64::from(thread) < rest)
        };
        let stream = Stream::new(Arc::clone(&world), &config);
        let count = options.count.map(share);
        let pacer = Arc::clone(&pacer);
        Box::new(Generator::new(stream, encoder, clock, pacer, count, skew)) as TransactionSource
    });
    Ok(sources.collect())
}

/// Transactions a second that one thread makes and sends without being busy all the time
/// (docs/lab/kafka.md).
const RATE_PER_THREAD: u64 = 400_000;

/// As many as the rate needs if not set, and no more than there are cores: each thread has a client
/// of its own, and brokers pay by the request. One alone in simulated time, where several would
/// wait for each other. Never more than there are users, as each thread has its own.
fn threads(settings: &Producer, simulated: bool) -> anyhow::Result<u32> {
    let cores = || available_parallelism().map_or(1, usize::from);
    let wanted = match (settings.threads, settings.rate_per_s) {
        (0, _) if simulated => 1,
        (0, 0) => cores(),
        (0, rate) => usize::try_from(rate.div_ceil(RATE_PER_THREAD))?.min(cores()),
        (threads, _) => threads,
    };
    let threads = u32::try_from(wanted).with_context(|| format!("producer.threads is {wanted}"))?;
    Ok(threads.min(settings.users.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_follow_the_rate_up_to_the_cores() {
        let cores = available_parallelism().map_or(1, |cores| cores.get() as u32);
        let with = |threads, rate_per_s, users, simulated| {
            let settings = Producer {
                threads,
                rate_per_s,
                users,
                ..Producer::default()
            };
            super::threads(&settings, simulated).unwrap()
        };
        assert_eq!(with(0, 1, 100, false), 1);
        assert_eq!(with(0, 400_000, 100, false), 1);
        assert_eq!(with(0, 400_001, 100, false), cores.min(2));
        assert_eq!(with(0, 0, 100, false), cores.min(100));
        assert_eq!(with(0, 0, 100, true), 1);
        assert_eq!(with(7, 1, 100, true), 7);
        assert_eq!(with(7, 1, 3, false), 3);
    }
}
