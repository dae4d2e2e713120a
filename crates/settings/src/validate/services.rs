//! The producer, the aggregator, the detector, the clickstream, the sensors, the shop, incidents
//! and the snapshots.

use millrace_catalog::Service;
use millrace_commerce::funnel;
use millrace_engine::keyed::SessionPolicy;
use millrace_engine::keyed::sessions::policy::GAP_MS;
use millrace_engine::policy::DAY_MS;
use millrace_engine::windowed::policy::ALLOWED_LATENESS_MS;
use millrace_fraud::ranges::DEDUP_HORIZON_MS;

use super::Check;
use crate::sections::{EventTime, MisplacedRecords, Settings, StreamJobs, Worker};

/// More threads than this is a slip of the keyboard.
const MAX_THREADS: usize = 1_024;
/// The brokers' default `transaction.max.timeout.ms`.
const MAX_TRANSACTION_TIMEOUT_MS: u64 = 900_000;
/// The brokers' defaults of `group.min.session.timeout.ms` and `group.max.session.timeout.ms`.
const SESSION_TIMEOUT_MS: (u64, u64) = (6_000, 1_800_000);
/// What one thread makes.
const MAX_PER_S: u64 = 100_000;

pub(super) fn check(check: &mut Check, settings: &Settings) {
    ports(check, settings);
    producer(check, settings);
    let aggregator = &settings.aggregator;
    windows(
        check,
        "aggregator",
        (aggregator.window_ms, aggregator.allowed_lateness_ms),
    );
    if let Some(every_ms) = aggregator.emit.every_ms()
        && (every_ms < 1_000 || every_ms > aggregator.window_ms)
    {
        check.refuse(
            "aggregator.emit",
            format!(
                "is {:?}: an interval must be at least 1 s and at most aggregator.window_ms, which is {}",
                aggregator.emit.to_string(),
                aggregator.window_ms
            ),
        );
    }
    event_time(check, "aggregator.event_time", &aggregator.event_time);
    worker(check, "aggregator.worker", &aggregator.worker);
    let detector = &settings.detector;
    check.detector(&DEDUP_HORIZON_MS, detector.dedup_horizon_ms);
    event_time(check, "detector.event_time", &detector.event_time);
    worker(check, "detector.worker", &detector.worker);
    rekey(check, settings);
    clickstream(check, settings);
    iot(check, settings);
    commerce(check, settings);
    incidents(check, settings);
    let snapshots = &settings.snapshots;
    check.not_empty("snapshots.url", &snapshots.url.to_string_lossy());
    check.range("snapshots.interval_ms", snapshots.interval_ms, 100, 3_600_000);
    check.range("snapshots.keep", snapshots.keep, 1, 100);
    check.range("snapshots.past_keep", snapshots.past_keep, 0, 1_000);
    check.range(
        "snapshots.past_interval_ms",
        snapshots.past_interval_ms,
        1_000,
        7 * 86_400_000,
    );
}

/// The size and the lateness of a job's windows.
fn windows(check: &mut Check, section: &str, (window_ms, lateness_ms): (i64, i64)) {
    if window_ms < 1_000 || DAY_MS % window_ms != 0 {
        check.refuse(
            &format!("{section}.window_ms"),
            format!(
                "is {window_ms}: must be at least 1000 and divide a day ({DAY_MS}) without a remainder, as 60000 does"
            ),
        );
    }
    let (least, most) = ALLOWED_LATENESS_MS;
    check.range(
        &format!("{section}.allowed_lateness_ms"),
        lateness_ms,
        least,
        most,
    );
}

/// What is set of the jobs of any stream.
fn stream(check: &mut Check, section: &str, jobs: &StreamJobs<'_>) {
    windows(check, section, (jobs.window_ms, jobs.allowed_lateness_ms));
    event_time(check, &format!("{section}.event_time"), jobs.event_time);
    if jobs.misplaced_records == MisplacedRecords::Rekey {
        check.refuse(
            &format!("{section}.misplaced_records"),
            "is rekey, which is for transactions: must be count or dead_letter",
        );
    }
    worker(check, &format!("{section}.worker"), jobs.worker);
}

fn clickstream(check: &mut Check, settings: &Settings) {
    let clickstream = &settings.clickstream;
    stream(check, "clickstream", &clickstream.jobs());
    let (lateness_ms, gap_ms) = (clickstream.allowed_lateness_ms, clickstream.session_gap_ms);
    let gap = "clickstream.session_gap_ms";
    check.range(gap, gap_ms, GAP_MS.0, GAP_MS.1);
    let disorder_ms = clickstream.event_time.max_disorder_ms;
    let is_policy = |gap_ms| SessionPolicy::new(gap_ms, lateness_ms, disorder_ms).is_ok();
    if is_policy(GAP_MS.1) && gap_ms >= GAP_MS.0 && !is_policy(gap_ms) {
        check.refuse(
            gap,
            format!(
                "is {gap_ms}: must be more for {} ms of lateness and disorder together, in which a user could have more \
                 sessions open than are kept",
                lateness_ms + disorder_ms
            ),
        );
    }
}

fn commerce(check: &mut Check, settings: &Settings) {
    let commerce = &settings.commerce;
    stream(check, "commerce", &commerce.jobs());
    let (least_ms, most_ms) = funnel::GAP_MS;
    let gap = "commerce.session_gap_ms";
    check.range(gap, commerce.session_gap_ms, least_ms, most_ms);
}

fn iot(check: &mut Check, settings: &Settings) {
    let iot = &settings.iot;
    stream(check, "iot", &iot.jobs());
    let alerts = iot.alerts.limits().and_then(|limits| limits.check());
    if let Err(error) = alerts {
        // Measures are checked in 1/1000 of what the settings have.
        let is_measure = !error.setting.ends_with("_readings") && !error.setting.ends_with("_ms");
        let shown = |value: i64| match is_measure {
            true => value as f64 / 1_000.0,
            false => value as f64,
        };
        check.refuse(
            &format!("iot.alerts.{}", error.setting),
            format!("must be from {} to {}", shown(error.least), shown(error.most)),
        );
    }
}

fn incidents(check: &mut Check, settings: &Settings) {
    let incidents = &settings.incidents;
    if let Some(file) = &incidents.typologies {
        check.not_empty("incidents.typologies", file);
    }
    worker(check, "incidents.worker", &incidents.worker);
}

/// Ports of services on one machine differ; 0 is any free one.
fn ports(check: &mut Check, settings: &Settings) {
    // A service that does not run takes no port.
    let port = |service: Service| {
        let key = format!("{}.metrics_port", service.section());
        (key, settings.metrics_port(service))
    };
    let ports: Vec<_> = settings.services().map(port).collect();
    for (index, (key, port)) in ports.iter().enumerate() {
        if let Some((other, _)) = ports[..index]
            .iter()
            .find(|(_, other)| *port != 0 && other == port)
        {
            check.refuse(
                key,
                format!("is {port}, which {other} has too: each service needs its own"),
            );
        }
    }
}

fn rekey(check: &mut Check, settings: &Settings) {
    let (aggregator, detector) = (
        settings.aggregator.misplaced_records,
        settings.detector.misplaced_records,
    );
    let is_rekey = |value| value == MisplacedRecords::Rekey;
    if is_rekey(aggregator) != is_rekey(detector) {
        let (key, other) = match is_rekey(aggregator) {
            true => ("detector.misplaced_records", "aggregator.misplaced_records"),
            false => ("aggregator.misplaced_records", "detector.misplaced_records"),
        };
        check.refuse(
            key,
            format!(
                "must be rekey, as {other} is: both jobs read financial_transactions.keyed then, or neither"
            ),
        );
    }
    skew(check, settings);
    worker(check, "rekey.worker", &settings.rekey.worker);
}

/// What rekeying adds to the disorder of its topic is within the disorder that its readers allow.
fn skew(check: &mut Check, settings: &Settings) {
    let (key, skew_ms) = ("rekey.max_skew_ms", settings.rekey.max_skew_ms);
    check.range(key, skew_ms, 0, DAY_MS);
    if !settings.rekeys() {
        return;
    }
    for (job, event_time) in [
        ("aggregator", &settings.aggregator.event_time),
        ("detector", &settings.detector.event_time),
    ] {
        if skew_ms > event_time.max_disorder_ms {
            check.refuse(
                key,
                format!(
                    "is {skew_ms}: must be at most {job}.event_time.max_disorder_ms, which is {}; \
                     what is further ahead than that makes others late",
                    event_time.max_disorder_ms
                ),
            );
            return;
        }
    }
}

fn producer(check: &mut Check, settings: &Settings) {
    let producer = &settings.producer;
    check.range("producer.threads", producer.threads, 0, MAX_THREADS);
    check.range("producer.clicks_per_s", producer.clicks_per_s, 0, MAX_PER_S);
    check.range("producer.iot_per_s", producer.iot_per_s, 0, MAX_PER_S);
    check.range("producer.commerce_per_s", producer.commerce_per_s, 0, MAX_PER_S);
    check.range("producer.devices", producer.devices, 1, 1_000_000);
    check.range("producer.users", producer.users, 1, 100_000_000);
    check.range("producer.merchants", producer.merchants, 1, 10_000_000);
    check.range("producer.zipf_exponent", producer.zipf_exponent, 0.0, 10.0);
    check.share("producer.refund_share", producer.refund_share);
    check.share("producer.disorder_share", producer.disorder_share);
    check.share("producer.duplicate_share", producer.duplicate_share);
    check.share("producer.malformed_share", producer.malformed_share);
    check.share("producer.fraud_share", producer.fraud_share);
    check.range("producer.max_disorder_ms", producer.max_disorder_ms, 0, DAY_MS);
    check.not_empty("producer.ledger_dir", &producer.ledger_dir.to_string_lossy());
    check.range("producer.linger_ms", producer.linger_ms, 0, 900_000);
    check.properties("producer.properties", &producer.properties);
}

fn event_time(check: &mut Check, key: &str, event_time: &EventTime) {
    check.range(
        &format!("{key}.max_disorder_ms"),
        event_time.max_disorder_ms,
        0,
        DAY_MS,
    );
    check.range(
        &format!("{key}.max_future_ms"),
        event_time.max_future_ms,
        0,
        DAY_MS,
    );
}

fn worker(check: &mut Check, key: &str, worker: &Worker) {
    let of = |name: &str| format!("{key}.{name}");
    let session = (of("session_timeout_ms"), worker.session_timeout_ms);
    let transaction = (of("transaction_timeout_ms"), worker.transaction_timeout_ms);
    instance(check, &of("instance"), worker.instance.as_deref());
    check.range(&of("threads"), worker.threads, 0, MAX_THREADS);
    check.range(&of("commit_interval_ms"), worker.commit_interval_ms, 1, 60_000);
    check.range(&of("max_batch_records"), worker.max_batch_records, 1, 10_000_000);
    check.range(&transaction.0, transaction.1, 1_000, MAX_TRANSACTION_TIMEOUT_MS);
    check.range(&session.0, session.1, SESSION_TIMEOUT_MS.0, SESSION_TIMEOUT_MS.1);
    check.range(
        &of("drain_timeout_ms"),
        worker.drain_timeout_ms,
        1,
        SESSION_TIMEOUT_MS.1,
    );
    check.range(&of("idle_timeout_ms"), worker.idle_timeout_ms, 1, 86_400_000);
    // A dead worker's transaction ends before its partitions move on, and a live one drains before
    // it is thought dead.
    check.below((&transaction.0, transaction.1), (&session.0, session.1));
    check.below(
        (&of("drain_timeout_ms"), worker.drain_timeout_ms),
        (&session.0, session.1),
    );
    check.below(
        (&of("commit_interval_ms"), worker.commit_interval_ms),
        (&transaction.0, transaction.1),
    );
    check.properties(&of("consumer_properties"), &worker.consumer_properties);
    check.properties(&of("producer_properties"), &worker.producer_properties);
}

/// Kafka's names of static members, with room for a thread's number and a prefix.
pub(super) fn instance(check: &mut Check, key: &str, instance: Option<&str>) {
    let is_name = |name: &str| {
        let mut letters = name.chars();
        (1..=200).contains(&name.len())
            && letters.all(|letter| letter.is_ascii_alphanumeric() || "._-".contains(letter))
    };
    if let Some(name) = instance.filter(|name| !is_name(name)) {
        check.refuse(
            key,
            format!(
                "is {name:?}: must be 1 to 200 letters, digits, points, dashes and underscores, as pod-0"
            ),
        );
    }
}
