//! Settings that are changed over existing state, under a running stream and with kills before and
//! after each change. What comes out is what one undisturbed run writes that reads the same changes
//! at the same places of the log.

use anyhow::{Context, Result, ensure};
use millrace_catalog::payments::topic;
use millrace_domain::codec::DecodedAnomaly;
use millrace_settings::{Emit, Settings};
use millrace_tests::checks::check_undisturbed;
use millrace_tests::pipeline::{self, LIMIT, metrics_text};
use millrace_tests::service::Service;
use millrace_tests::spans::check_spans;
use millrace_tests::{TestContext, groups, sample, send, topics, wait_until};

/// Records that are sent between a change and the kill after it, and from there to the next change.
const BETWEEN: i64 = 2_500;

/// Aggregator and detector, which are killed as a crash would.
pub(super) struct Jobs(Vec<Service>);

impl Jobs {
    pub(super) async fn start(context: &TestContext) -> Result<Self> {
        let mut jobs = Self::launch(context)?;
        let settings = &context.settings;
        let ports = [settings.aggregator.metrics_port, settings.detector.metrics_port];
        for (service, port) in jobs.0.iter_mut().zip(ports) {
            service.ready(port).await?;
        }
        Ok(jobs)
    }

    /// Does not wait until they are ready.
    fn launch(context: &TestContext) -> Result<Self> {
        let start = |name| Service::start(context, name, &["service", name]);
        Ok(Self(vec![start("aggregator")?, start("detector")?]))
    }

    pub(super) fn kill(self) -> Result<()> {
        self.0.into_iter().try_for_each(Service::kill)
    }

    pub(super) async fn stop(self) -> Result<()> {
        for service in self.0 {
            service.stop().await?;
        }
        Ok(())
    }

    /// What the aggregator has written to its log, before crashes too.
    pub(super) fn aggregator_output(&self) -> String {
        self.0[0].output()
    }
}

/// A change's name, and what it sets.
type Change = (&'static str, fn(&mut Settings));

/// What is changed, one after the other: each setting of the event time both ways, early results on
/// and off, and rules, their thresholds and horizon, both ways too.
const CHANGES: [Change; 6] = [
    ("lateness up, max_count down, amounts judged sooner", |settings| {
        settings.aggregator.allowed_lateness_ms = 3_000;
        settings.detector.rules.velocity.max_count = 4;
        let outlier = &mut settings.detector.rules.amount_outlier;
        (outlier.max_z_score, outlier.min_transactions) = (2.0, 3);
        (outlier.smoothing, outlier.min_deviation) = (0.3, 0.1);
    }),
    ("disorder down, span and sums down, bounds nearer", |settings| {
        set_event_time(settings, (200, 20_000, "2020-01-01"));
        settings.detector.rules.velocity.span_ms = 20_000;
        settings.detector.rules.velocity.max_sum_ratio = 5.0;
    }),
    ("window down, early results, a rule off", |settings| {
        settings.aggregator.window_ms = 2_000;
        settings.aggregator.emit = Emit::Every { seconds: 1 };
        settings.detector.rules.impossible_travel.enabled = false;
    }),
    ("lateness down, horizon down, amounts judged later", |settings| {
        settings.aggregator.allowed_lateness_ms = 0;
        settings.detector.dedup_horizon_ms = 30_000;
        let outlier = &mut settings.detector.rules.amount_outlier;
        (outlier.max_z_score, outlier.min_transactions) = (6.0, 12);
        (outlier.smoothing, outlier.min_deviation) = (0.05, 0.5);
    }),
    (
        "disorder up, the rule on again for more, bounds farther",
        |settings| {
            set_event_time(settings, (3_000, 120_000, "1990-01-01"));
            let travel = &mut settings.detector.rules.impossible_travel;
            travel.enabled = true;
            (travel.max_speed_km_per_h, travel.min_distance_km) = (300.0, 50.0);
        },
    ),
    (
        "window up, on close again, max_count, span and horizon up, travel for less",
        |settings| {
            settings.aggregator.window_ms = 10_000;
            settings.aggregator.emit = Emit::OnClose;
            let rules = &mut settings.detector.rules;
            (rules.velocity.max_count, rules.velocity.span_ms) = (8, 120_000);
            rules.velocity.max_sum_ratio = 50.0;
            let travel = &mut rules.impossible_travel;
            (travel.max_speed_km_per_h, travel.min_distance_km) = (2_000.0, 1_000.0);
            settings.detector.dedup_horizon_ms = 180_000;
        },
    ),
];

/// Of both jobs: how much disorder, how far ahead, and from when on.
fn set_event_time(settings: &mut Settings, (disorder_ms, future_ms, earliest): (i64, i64, &str)) {
    for event_time in [
        &mut settings.aggregator.event_time,
        &mut settings.detector.event_time,
    ] {
        event_time.max_disorder_ms = disorder_ms;
        event_time.max_future_ms = future_ms;
        event_time.earliest_time = earliest.parse().expect("a date");
    }
}

pub(super) fn hasten(settings: &mut Settings) {
    let producer = &mut settings.producer;
    producer.rate_per_s = 500;
    producer.users = 2_000;
    producer.merchants = 50;
    producer.duplicate_share = 0.01;
    producer.disorder_share = 0.1;
    producer.max_disorder_ms = 3_000;
    producer.fraud_share = 0.01;
    let aggregator = &mut settings.aggregator;
    aggregator.window_ms = 5_000;
    aggregator.event_time.max_disorder_ms = 3_000;
    settings.detector.event_time.max_disorder_ms = 3_000;
    settings.snapshots.interval_ms = 1_000;
    for worker in [&mut settings.aggregator.worker, &mut settings.detector.worker] {
        worker.threads = 1;
        worker.commit_interval_ms = 400;
        worker.idle_timeout_ms = 2_000;
    }
}

/// Each change is made between two kills: the jobs are killed, started with it, and killed again,
/// right at their start or in the midst of their work. No transaction is lost or counted twice, and
/// all that was written is what an undisturbed run writes.
pub(super) async fn hold_from_where_they_say(mut context: TestContext) -> Result<()> {
    hasten(&mut context.settings);
    pipeline::init(&context).await?;
    let mut jobs = Jobs::start(&context).await?;
    let mut producer = Service::start(&context, "producer", &["service", "producer"])?;
    for (number, (what, change)) in CHANGES.iter().enumerate() {
        sent_since(&context, BETWEEN).await?;
        worked_off(&context).await?;
        eprintln!("changes: {what}");
        jobs.kill()?;
        change(&mut context.settings);
        if number % 2 == 0 {
            // Wherever it is by then.
            let started = Jobs::launch(&context)?;
            sent_since(&context, BETWEEN / 5).await?;
            started.kill()?;
        } else {
            let started = Jobs::start(&context).await?;
            sent_since(&context, BETWEEN / 2).await?;
            started.kill()?;
        }
        jobs = Jobs::start(&context).await?;
    }
    sent_since(&context, BETWEEN).await?;
    ensure!(producer.is_running()?, "the stream has run all the time");
    producer.stop().await?;
    verify(&context).await?;

    let found = check_spans(&context).await?;
    eprintln!("changes: {found:?}");
    ensure!(
        found.sizes_ms.is_superset(&[2_000, 5_000, 10_000].into()),
        "windows of each size: {:?}",
        found.sizes_ms
    );
    ensure!(found.late > 0, "with less disorder than there is, some are late");
    check_undisturbed(&context).await?;
    for control in [topic::AGGREGATES_CONTROL, topic::ANOMALIES_CONTROL] {
        let changes = policies_set(&context, control).await?;
        ensure!(
            changes >= 5 * (1 + CHANGES.len()),
            "each partition of {control} has had each change: {changes}"
        );
    }
    jobs.stop().await
}

/// Waits until the jobs have committed what is in the log by now: so each change has records of its
/// own, however far behind a busy machine's jobs are.
async fn worked_off(context: &TestContext) -> Result<()> {
    for group in ["millrace-aggregate-partial", "millrace-detect"] {
        groups::wait_until_read(&context.settings, group, topic::TRANSACTIONS).await?;
    }
    Ok(())
}

/// `millrace verify` of all but Elasticsearch.
pub(super) async fn verify(context: &TestContext) -> Result<()> {
    let arguments = ["verify", "--without-elasticsearch", "--timeout", "180s"];
    let mut verify = Service::start(context, "verify", &arguments)?;
    verify.succeed(LIMIT).await
}

/// Waits until so many more transactions are in the log. It is not read: that has no end while the
/// stream goes on.
pub(super) async fn sent_since(context: &TestContext, count: i64) -> Result<()> {
    let before = sent(context).await?;
    wait_until(&format!("{count} more transactions"), LIMIT, || async {
        Ok((sent(context).await? >= before + count).then_some(()))
    })
    .await
}

/// How many transactions are in the log.
async fn sent(context: &TestContext) -> Result<i64> {
    let ends = groups::ends(&context.settings, topic::TRANSACTIONS).await?;
    Ok(ends.iter().sum())
}

/// How many changes of policy a control topic has.
pub(super) async fn policies_set(context: &TestContext, control: &str) -> Result<usize> {
    let records = topics::read(&context.settings, control).await?;
    let is_change = |payload: &[u8]| String::from_utf8_lossy(payload).contains("\"kind\":\"configure\"");
    Ok(records.iter().filter(|record| is_change(&record.payload)).count())
}

/// A threshold is changed where retention has deleted the log's beginning: the detector starts with
/// it, and knows what came before, as its snapshot serves.
pub(super) async fn thresholds_hold_after_retention(mut context: TestContext) -> Result<()> {
    hasten(&mut context.settings);
    pipeline::init(&context).await?;
    let port = context.settings.detector.metrics_port;
    let producer = send::producer(&context.settings.kafka, &[])?;
    let time_ms = now_ms()?;
    // Of one user, within one span: fewer than fire.
    let purchase = |number: u32| sample::transaction(7 + 1_000 * number, time_ms + i64::from(number));
    let kafka = context.settings.kafka.clone();
    send::send(&producer, &kafka, (0..4).map(purchase), None, None)?;
    send::flush(&producer)?;
    let start = || Service::start(&context, "detector", &["service", "detector"]);
    let mut detector = start()?;
    detector.ready(port).await?;
    wait_until("four records in the detector", LIMIT, || async {
        let consumed = millrace_telemetry::exposition::sum(
            &metrics_text(port).await?,
            "millrace_records_consumed_total",
        );
        // After an abort they are counted once more.
        Ok((consumed >= Some(4.0)).then_some(()))
    })
    .await?;
    detector.stop().await?;
    let partition = topics::read(&context.settings, topic::TRANSACTIONS).await?[0].partition;
    topics::delete_before(&context.settings, topic::TRANSACTIONS, [(partition, 3)]).await?;

    context.settings.detector.rules.velocity.max_count = 4;
    let start = || Service::start(&context, "detector", &["service", "detector"]);
    let mut detector = start()?;
    detector.ready(port).await?;
    send::send(&producer, &kafka, [purchase(4)], None, None)?;
    send::flush(&producer)?;
    topics::wait_for_records(&context.settings, topic::ANOMALIES, 1).await?;
    let lost =
        millrace_telemetry::exposition::sum(&metrics_text(port).await?, "millrace_lost_positions_total");
    ensure!(lost == Some(0.0), "nothing is lost: {lost:?}");
    detector.kill()?;
    let mut detector = start()?;
    detector.ready(port).await?;
    detector.stop().await?;

    let anomalies: Vec<DecodedAnomaly> = topics::values(&context, topic::ANOMALIES).await?;
    let [only] = &anomalies[..] else {
        anyhow::bail!("one anomaly, not {anomalies:?}")
    };
    ensure!(only.rule == "velocity", "{only:?}");
    let last = only.transaction_ids.last().context("it names its transactions")?;
    ensure!(
        only.transaction_ids.len() == 5 && *last == purchase(4).transaction_id,
        "those of before are among its transactions: {only:?}"
    );
    Ok(())
}

fn now_ms() -> Result<i64> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(i64::try_from(now.as_millis())?)
}
