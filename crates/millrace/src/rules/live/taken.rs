//! Which partitions of the detector judge by which change, as its control topic says.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use millrace_catalog::payments::DETECT;
use millrace_detector::follow::{PATIENCE, patiently, patiently_until};
use millrace_kafka::client::reader_config;
use millrace_kafka::reader::Reader;
use millrace_kafka::topic_name;
use millrace_runtime::control::ControlRecord;
use millrace_settings::Settings;
use rdkafka::message::Message as _;
use serde::{Deserialize, Serialize};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(300);

/// A partition, and what it judges by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Taken {
    partition: i32,
    /// The number of the change; 0 of the configuration's files, `None` where the partition was
    /// never worked on.
    pub(super) change: Option<u64>,
    /// The first record that is judged by it.
    offset: Option<i64>,
}

/// What of a policy is looked at.
#[derive(Deserialize)]
struct OfPolicy {
    #[serde(default)]
    rule_change: u64,
}

/// Looks at every partition. Blocks.
///
/// # Errors
/// Kafka does not answer, or `init` has not run.
pub(super) fn look(settings: &Settings) -> anyhow::Result<Vec<Taken>> {
    look_until(settings, Instant::now() + PATIENCE)
}

fn look_until(settings: &Settings, deadline: Instant) -> anyhow::Result<Vec<Taken>> {
    patiently_until(deadline, || each_partition(settings, of_partition))
}

/// Looks at each partition of the control topic.
fn each_partition<T>(
    settings: &Settings,
    look: impl Fn(&Reader, &str, i32) -> anyhow::Result<T>,
) -> anyhow::Result<Vec<T>> {
    let control = topic_name(&settings.kafka, DETECT.control(settings.rekeys()));
    let group = format!("{}millrace-rules", settings.kafka.topic_prefix);
    let reader = Reader::new(&reader_config(&settings.kafka, &group)?)?;
    let partitions = reader.partitions(&control).with_context(|| control.clone())?;
    (0..partitions)
        .map(|partition| look(&reader, &control, partition).with_context(|| control.clone()))
        .collect()
}

fn of_partition(reader: &Reader, control: &str, partition: i32) -> anyhow::Result<Taken> {
    let mut taken = Taken {
        partition,
        change: None,
        offset: None,
    };
    each_policy(reader, control, partition, |offset, policy| {
        if let Ok(policy) = serde_json::from_str::<OfPolicy>(policy)
            && taken.change != Some(policy.rule_change)
        {
            taken.change = Some(policy.rule_change);
            taken.offset = Some(offset);
        }
    })?;
    Ok(taken)
}

/// The policy that each partition of the detector has by now, as text; `None` of one that was never
/// worked on. Blocks.
///
/// # Errors
/// Kafka does not answer, or `init` has not run.
pub(crate) fn policies(settings: &Settings) -> anyhow::Result<Vec<Option<String>>> {
    patiently(|| {
        each_partition(settings, |reader, control, partition| {
            let mut last = None;
            each_policy(reader, control, partition, |_, policy| {
                last = Some(policy.to_owned());
            })?;
            Ok(last)
        })
    })
}

fn each_policy(
    reader: &Reader,
    control: &str,
    partition: i32,
    mut see: impl FnMut(i64, &str),
) -> anyhow::Result<()> {
    let (low, _) = reader.bounds(control, partition)?;
    reader.read(control, partition, low, |message| {
        if let Ok(record) = ControlRecord::parse(message.payload().unwrap_or_default())
            && let Some((policy, _)) = record.policy()
        {
            see(record.offset(), policy);
        }
        true
    })?;
    Ok(())
}

/// Waits until every partition judges by a change, or by a later one; whether all do within the
/// limit.
///
/// # Errors
/// As of [`look`].
pub(super) async fn wait(settings: &Settings, change: u64, limit: Duration) -> anyhow::Result<bool> {
    let deadline = Instant::now() + limit;
    loop {
        let asked = settings.clone();
        // Whoever waits for longer than brokers usually take to answer lets them take as long.
        let until = deadline.max(Instant::now() + PATIENCE);
        let taken = tokio::task::spawn_blocking(move || look_until(&asked, until)).await??;
        if taken.iter().all(|taken| taken.change >= Some(change)) {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        tokio::time::sleep(PAUSE).await;
    }
}
