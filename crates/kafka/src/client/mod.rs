//! Configurations of every Kafka client: what exactly-once needs is fixed, what is a matter of
//! taste has a default that the settings' extra properties override.

mod guard;
mod leave;
mod log_bridge;
mod login;
#[cfg(test)]
mod tests;
mod timeouts;

use std::collections::BTreeMap;

use millrace_contract::topic::MAX_COPY_BYTES;
use millrace_settings::{Kafka, Worker};
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

pub use guard::ConfigError;
pub use leave::leave_group;
pub(crate) use log_bridge::LastError;
pub use log_bridge::LogBridge;
pub use log_bridge::{bridge_error, bridge_log};
pub use timeouts::Timeouts;

use guard::{CONSUMER, Fixed, PRODUCER, TRANSACTIONAL, WORKER_CONSUMER, check};
use login::{log_in_by_what_is_built, refused};

/// Extra librdkafka properties.
pub type Properties = BTreeMap<String, String>;

/// What every client has: brokers, quick reconnects, no statistics.
fn base(kafka: &Kafka) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &kafka.bootstrap_servers)
        .set("client.id", "millrace")
        .set("statistics.interval.ms", "0")
        .set("allow.auto.create.topics", "false")
        .set("reconnect.backoff.max.ms", "2000")
        .set_log_level(RDKafkaLogLevel::Info);
    config
}

/// Lets the extra properties override the defaults, and then fixes what the guarantees rest on.
fn finish(
    mut config: ClientConfig,
    extras: &[(&str, &Properties)],
    fixed: &[&[Fixed]],
) -> Result<ClientConfig, ConfigError> {
    for (section, properties) in extras {
        for (name, value) in *properties {
            check(section, name, value, fixed)?;
            config.set(name, value);
        }
    }
    for rule in fixed.iter().flat_map(|rules| rules.iter()) {
        if let Some(value) = rule.value() {
            config.set(rule.name(), value);
        }
    }
    log_in_by_what_is_built(&mut config)?;
    if let Err(error) = config.create_native_config() {
        return Err(refused(error, extras));
    }
    Ok(config)
}

/// A client for topic administration and look-ups.
///
/// # Errors
/// A property that contradicts the settings.
pub fn admin_config(kafka: &Kafka) -> Result<ClientConfig, ConfigError> {
    finish(
        base(kafka),
        &[("kafka.properties", &kafka.properties)],
        &[&guard::ANY],
    )
}

/// A member of `group` that reads committed records and commits offsets itself: for a sink.
///
/// # Errors
/// A property that would break the guarantees.
pub fn consumer_config(
    kafka: &Kafka,
    group: &str,
    properties: &Properties,
) -> Result<ClientConfig, ConfigError> {
    let mut config = base(kafka);
    consumer_defaults(&mut config);
    config.set("partition.assignment.strategy", "cooperative-sticky");
    let extras = [
        ("kafka.properties", &kafka.properties),
        ("consumer_properties", properties),
    ];
    let mut config = finish(config, &extras, &[&guard::ANY, &CONSUMER])?;
    config.set("group.id", group);
    Ok(config)
}

/// A reader of partitions it assigns itself, which joins no group. `group` is where committed
/// offsets are looked up.
///
/// # Errors
/// A property that would break the guarantees.
pub fn reader_config(kafka: &Kafka, group: &str) -> Result<ClientConfig, ConfigError> {
    let mut config = base(kafka);
    consumer_defaults(&mut config);
    config.set("auto.offset.reset", "earliest");
    let extras = [("kafka.properties", &kafka.properties)];
    let mut config = finish(config, &extras, &[&guard::ANY, &CONSUMER])?;
    config.set("group.id", group).set("enable.partition.eof", "true");
    Ok(config)
}

/// A worker's consumer: member `member` of `group`.
///
/// The protocol is the classic one with the `cooperative-sticky` assignor and static membership:
/// * Cooperative, because state follows its partition: a rebalance takes only the partitions that
///   move, and the others keep their state and go on.
/// * Classic, not the newer `consumer` protocol: with that, the session timeout is the brokers' and
///   cannot be checked against the transaction and drain timeouts here, and the member's epoch
///   changes with heartbeats between reading the group metadata and sending it, which aborts
///   transactions for nothing.
/// * Static, for two reasons. A restarted process gets its partitions back at once, in place of
///   waiting until the dead member's session has ended. And a broker checks the member of a
///   transactional offset commit only if it names one: a member that was thrown out while it hung
///   has an empty id and generation -1 until it joins again, and its commit would be let through.
///   With an instance id it is checked always, so a zombie is always fenced.
///
/// # Errors
/// A property that would break the guarantees.
pub fn worker_consumer_config(
    kafka: &Kafka,
    worker: &Worker,
    group: &str,
    member: &str,
) -> Result<ClientConfig, ConfigError> {
    let timeouts = Timeouts::of(worker)?;
    let mut config = base(kafka);
    consumer_defaults(&mut config);
    let max_poll_interval_ms = timeouts.max_poll_interval().as_millis();
    config.set("max.poll.interval.ms", max_poll_interval_ms.to_string());
    // A fetched record takes 400 bytes and more beside its own, and each partition has a queue.
    config.set("queued.min.messages", "20000");
    // The others hear of a rebalance by their next heartbeat.
    let heartbeat_ms = (timeouts.session_ms / 10).clamp(100, 1_000);
    config.set("heartbeat.interval.ms", heartbeat_ms.to_string());
    let extras = [
        ("kafka.properties", &kafka.properties),
        ("worker.consumer_properties", &worker.consumer_properties),
    ];
    let mut config = finish(config, &extras, &[&guard::ANY, &CONSUMER, &WORKER_CONSUMER])?;
    config
        .set("group.id", group)
        .set("group.instance.id", member)
        .set("session.timeout.ms", timeouts.session_ms.to_string());
    Ok(config)
}

/// A client that is asked for partitions' ends with the records of open transactions counted in:
/// their high watermarks. It reads no record.
///
/// # Errors
/// A property that contradicts the settings.
pub fn high_watermark_config(kafka: &Kafka, group: &str) -> Result<ClientConfig, ConfigError> {
    let extras = [("kafka.properties", &kafka.properties)];
    let mut config = finish(base(kafka), &extras, &[&guard::ANY])?;
    // librdkafka asks for ends by it: read_committed is answered with the last stable offset.
    config
        .set("group.id", group)
        .set("isolation.level", "read_uncommitted");
    Ok(config)
}

fn consumer_defaults(config: &mut ClientConfig) {
    config
        // librdkafka does not look by itself: bytes that a disk or a line has changed would be an
        // amount like any other.
        .set("check.crcs", "true")
        // The default of 1 s stalls a partition each time its queue is full.
        .set("fetch.queue.backoff.ms", "20")
        .set("fetch.error.backoff.ms", "100")
        .set("queued.min.messages", "100000")
        .set("queued.max.messages.kbytes", "32768")
        .set("fetch.wait.max.ms", "100");
}

/// A transactional producer.
///
/// # Errors
/// A property that would break the guarantees, or timeouts that contradict each other.
pub fn transactional_producer_config(
    kafka: &Kafka,
    worker: &Worker,
    transactional_id: &str,
) -> Result<ClientConfig, ConfigError> {
    let timeouts = Timeouts::of(worker)?;
    let mut config = base(kafka);
    producer_defaults(&mut config);
    config.set("connections.max.idle.ms", timeouts.max_idle_ms().to_string());
    let extras = [
        ("kafka.properties", &kafka.properties),
        ("worker.producer_properties", &worker.producer_properties),
    ];
    let mut config = finish(config, &extras, &[&guard::ANY, &PRODUCER, &TRANSACTIONAL])?;
    config.remove("delivery.timeout.ms");
    config
        .set("transactional.id", transactional_id)
        .set("transaction.timeout.ms", timeouts.transaction_ms.to_string())
        .set("message.timeout.ms", timeouts.message_ms.to_string())
        // A success needs no event: the commit is the acknowledgement. Failures are reported and
        // abort.
        .set("delivery.report.only.error", "true");
    Ok(config)
}

/// An idempotent producer that waits for every in-sync replica: for the source of the pipeline.
///
/// # Errors
/// A property that would break the guarantees.
pub fn idempotent_producer_config(
    kafka: &Kafka,
    properties: &Properties,
) -> Result<ClientConfig, ConfigError> {
    let mut config = base(kafka);
    producer_defaults(&mut config);
    let extras = [
        ("kafka.properties", &kafka.properties),
        ("producer.properties", properties),
    ];
    finish(config, &extras, &[&guard::ANY, &PRODUCER])
}

fn producer_defaults(config: &mut ClientConfig) {
    config
        .set("compression.type", "lz4")
        .set("linger.ms", "5")
        .set("batch.size", "1000000")
        // Dead letters are as large as the largest record that a topic of Kafka's own default
        // takes, and their headers.
        .set("message.max.bytes", MAX_COPY_BYTES.to_string())
        .set("queue.buffering.max.messages", "500000")
        .set("queue.buffering.max.kbytes", "131072");
}
