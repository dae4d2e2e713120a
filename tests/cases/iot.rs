//! Device minutes and alerts against what is worked out of the readings at once, through a kill.

mod made;

use std::ops::Range;

use anyhow::{Context as _, Result, ensure};
use millrace_catalog::Service as Known;
use millrace_catalog::iot::{DEVICE_ALERTS, MINUTES_PARTIAL, PIPELINE, topic};
use millrace_contract::Encode as _;
use millrace_iot::{AlertKind, Device, DeviceAlert, Measured, Reading};
use millrace_kafka::clock::now_ms;
use millrace_tests::pipeline::{self, LIMIT};
use millrace_tests::streams::{
    PER_S, check_compared, check_letters, check_status, generate_carelessly, generated_through_a_kill, start,
};
use millrace_tests::{TestContext, elastic, groups, send, topics, wait_until};
use rdkafka::producer::BaseProducer;
use serde_json::json;
use uuid::Uuid;

use self::made::{Made, ensure_same, expected, found};

const WINDOW_MS: i64 = 10_000;
const SILENT_MS: i64 = 8_000;
const DEVICES: u32 = 40;
/// Readings before the kill, and as many after it.
const HALF: u32 = 1_500;
/// Of event time between two readings of one half.
const STEP_MS: i64 = 40;
/// Records that nobody can read, and as many of the far future.
const BAD: u32 = 4;
/// Records of the first window that come when it has closed.
const LATE: u32 = 9;

/// The reading `number`. Devices take turns: each speaks for a while, and is then silent for longer
/// than it may be. One is stuck, and now and then one is too hot.
fn reading(number: u32, start_ms: i64) -> Result<Reading> {
    let (turn, at) = (number / 250, number % 250);
    let device = (turn % 4) * (DEVICES / 4) + at % (DEVICES / 4);
    let heat = if number.is_multiple_of(97) { 50_000 } else { 0 };
    let temp = match device {
        3 => 21_437,
        _ => 15_000 + device * 211 + number.wrapping_mul(number) % 701 + heat,
    };
    let units = |units: u32| Measured::of_units(units.cast_signed()).context("a measure");
    Ok(Reading {
        event_id: Uuid::from_u128(0x4000_8000 << 64 | u128::from(number)),
        device_id: Device::new(&format!("sensor-{device}")).context("a device")?,
        temp: units(temp)?,
        humidity: units(40_000 + number * 7 % 9_973)?,
        time_ms: start_ms + i64::from(number) * STEP_MS,
    })
}

fn put(context: &TestContext, producer: &BaseProducer, key: &str, value: &[u8]) -> Result<()> {
    send::put(producer, &context.settings.kafka, topic::READINGS, (key, value))
}

fn put_reading(context: &TestContext, producer: &BaseProducer, reading: &Reading) -> Result<()> {
    let mut value = Vec::new();
    reading.encode_json(&mut value);
    put(context, producer, reading.device_id.as_str(), &value)
}

/// Sends readings nearly in the order of their times, each third after the one that follows it, and
/// every seventh twice.
fn send_readings(context: &TestContext, readings: &[Reading], range: Range<u32>) -> Result<()> {
    let producer = send::producer(&context.settings.kafka, &[])?;
    let mut order: Vec<_> = range.collect();
    for three in order.chunks_exact_mut(3) {
        three.swap(1, 2);
    }
    for number in order {
        for _ in 0..=u32::from(number.is_multiple_of(7)) {
            put_reading(context, &producer, &readings[number as usize])?;
        }
    }
    send::flush(&producer)
}

fn send_bad(context: &TestContext) -> Result<()> {
    let producer = send::producer(&context.settings.kafka, &[])?;
    for number in 0..BAD {
        put(context, &producer, "sensor-1", b"{\"event_id\": \"no\"}")?;
        put_reading(
            context,
            &producer,
            &reading(1_000_000 + number, now_ms() + 3_600_000)?,
        )?;
    }
    send::flush(&producer)
}

/// Minutes, alerts and last states are what all readings together come to: of readings that come
/// out of order and twice, among records that nobody can read, and through a kill half-way; and all
/// of it is in Elasticsearch. What comes for a closed window is on the late topic, and changes
/// nothing.
pub(super) async fn equals_an_offline_computation(mut context: TestContext) -> Result<()> {
    pipeline::hasten(&mut context.settings);
    let iot = &mut context.settings.iot;
    iot.enabled = true;
    iot.window_ms = WINDOW_MS;
    iot.alerts.silent_after_ms = SILENT_MS;
    // Nothing is taken for idle before the second half is there.
    iot.worker.idle_timeout_ms = 600_000;
    context.settings.snapshots.interval_ms = 1_000;
    pipeline::init(&context).await?;
    let start_ms = (now_ms() - 3_600_000).div_euclid(WINDOW_MS) * WINDOW_MS;
    let readings: Vec<_> = (0..2 * HALF)
        .map(|number| reading(number, start_ms))
        .collect::<Result<_>>()?;

    let service = start(&context, Known::Iot).await?;
    send_readings(&context, &readings, 0..HALF)?;
    send_bad(&context)?;
    wait_until_read(&context).await?;
    service.kill()?;
    send_readings(&context, &readings, HALF..2 * HALF)?;
    context.settings.iot.worker.idle_timeout_ms = 3_000;
    let service = start(&context, Known::Iot).await?;

    // Idleness closes the last windows, and has each device silent.
    let expected = expected(&context, &readings)?;
    let of_kind = |kind| {
        let alerts = expected.alerts.values().flatten();
        alerts.filter(|alert| alert.kind == kind).count()
    };
    let counts = [AlertKind::Silent, AlertKind::Stuck, AlertKind::High].map(of_kind);
    ensure!(counts.iter().all(|count| *count > 0), "{counts:?}");
    wait_until("all minutes and alerts", LIMIT, || async {
        let is_all = found(&context).await?.is_as_much_as(&expected);
        Ok(is_all.then_some(()))
    })
    .await?;
    ensure_same(&found(&context).await?, &expected)?;

    check_late(&context, start_ms).await?;
    ensure_same(&found(&context).await?, &expected)?;
    check_letters(&context, topic::READINGS, BAD).await?;
    check_documents(&context, &expected).await?;
    service.stop().await
}

async fn wait_until_read(context: &TestContext) -> Result<()> {
    for job in [&MINUTES_PARTIAL, &DEVICE_ALERTS] {
        groups::wait_until_read(&context.settings, &job.group(), topic::READINGS).await?;
    }
    Ok(())
}

async fn check_late(context: &TestContext, start_ms: i64) -> Result<()> {
    let producer = send::producer(&context.settings.kafka, &[])?;
    for number in 0..LATE {
        let late = Reading {
            event_id: Uuid::from_u128(0x5000_8000 << 64 | u128::from(number)),
            ..reading(number, start_ms)?
        };
        put_reading(context, &producer, &late)?;
    }
    send::flush(&producer)?;
    topics::wait_for_records(&context.settings, topic::LATE, LATE as usize).await?;
    wait_until_read(context).await?;
    let copies = topics::read(&context.settings, topic::LATE).await?;
    ensure!(copies.len() == LATE as usize, "{} late records", copies.len());
    Ok(())
}

/// The sink makes one document of each minute, of each alert with its end, and of each device.
async fn check_documents(context: &TestContext, expected: &Made) -> Result<()> {
    let sink = start(context, Known::ElasticSink).await?;
    let started: usize = {
        let alerts = expected.alerts.values().flatten();
        alerts.filter(|alert| alert.since_ms == alert.time_ms).count()
    };
    for (index, count) in [
        ("millrace-device-minutes", expected.minutes.len()),
        ("millrace-device-alerts", started),
        ("millrace-devices", expected.states.len()),
    ] {
        wait_until("all documents", LIMIT, || async {
            let found = elastic::count(&context.settings, index).await?;
            Ok((found == Some(count as u64)).then_some(()))
        })
        .await
        .with_context(|| format!("{count} documents in {index}"))?;
    }
    // In the end each device is silent, and no alert of a device that was is left as it started.
    let query = json!({"query": {"term": {"silent": true}}, "size": 0, "track_total_hits": true});
    wait_until("all devices as they are known last", LIMIT, || async {
        let found = elastic::search(&context.settings, "millrace-devices", &query).await?;
        let silent = found["hits"]["total"]["value"].as_u64();
        Ok((silent == Some(expected.states.len() as u64)).then_some(()))
    })
    .await?;
    sink.stop().await
}

/// Generated readings, through a kill of their jobs: `verify` finds each in the device minutes, and
/// the results in Elasticsearch; devices that pause are told; `status` shows the jobs.
pub(super) async fn generated_readings_are_verified(mut context: TestContext) -> Result<()> {
    let settings = &mut context.settings;
    pipeline::hasten(settings);
    settings.iot.enabled = true;
    settings.iot.window_ms = WINDOW_MS;
    settings.iot.alerts.silent_after_ms = 2_000;
    settings.producer.iot_per_s = PER_S;
    settings.producer.devices = 40;
    generate_carelessly(settings);
    let generated = (topic::READINGS, "readings");
    let (pipeline, report) = generated_through_a_kill(&context, Known::Iot, generated).await?;
    let minutes = report.count("device minutes")?;
    ensure!(
        minutes + report.count("late readings")? == report.count("readings in the topic")?,
        "{minutes} in minutes: {report:?}"
    );
    ensure!(
        report.count("Elasticsearch: readings of device minutes")? == minutes,
        "{report:?}"
    );
    let alerts = topics::read_as::<DeviceAlert>(&context, topic::ALERTS).await?;
    let has = |kind| alerts.iter().any(|(_, alert)| alert.kind == kind);
    ensure!(has(AlertKind::Silent), "{alerts:?}");
    check_compared(
        &context,
        &[
            "records of device_minutes.partials",
            "records of device_minutes",
            "records of device_alerts",
            "records of device_states",
            "dead letters of device-minutes-partial",
        ],
    )
    .await?;
    check_status(&context, PIPELINE.jobs).await?;
    pipeline.stop().await
}
