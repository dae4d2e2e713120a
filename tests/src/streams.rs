//! What holds for a stream beside the transactions, whichever it is.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use millrace_catalog as catalog;
use millrace_catalog::dead_letter;
use millrace_kafka::topic_name;
use millrace_settings::Settings;
use millrace_verify::repeat::Difference;

use crate::TestContext;
use crate::checks::check_undisturbed;
use crate::pipeline::{LIMIT, Pipeline};
use crate::service::Service;
use crate::topics;
use crate::verification::{Report, verified};

/// Records of a stream that the producer is to make a second …
pub const PER_S: u64 = 300;
/// … for so many seconds.
const SECONDS: u64 = 25;

/// Starts the service of a stream, which has the same name in the command.
///
/// # Errors
/// It does not become ready.
pub async fn start(context: &TestContext, service: catalog::Service) -> Result<Service> {
    let name = service.name();
    let mut started = Service::start(context, name, &["service", name])?;
    started.ready(context.settings.metrics_port(service)).await?;
    Ok(started)
}

/// What is generated beside the stream, and how carelessly.
pub fn generate_carelessly(settings: &mut Settings) {
    settings.producer.rate_per_s = 100;
    settings.producer.duplicate_share = 0.02;
    settings.producer.malformed_share = 0.01;
}

/// Generates records of the stream into `topic`, through a kill of its service, and verifies what
/// came of them. The report tells of copies and dead letters of `records`, which are called so.
///
/// # Errors
/// Something is not as it must be.
pub async fn generated_through_a_kill(
    context: &TestContext,
    service: catalog::Service,
    (topic, records): (&str, &str),
) -> Result<(Pipeline, Report)> {
    let mut pipeline = Pipeline::start(context).await?;
    let seconds = format!("{SECONDS}s");
    let mut producer = Service::start(context, "producer", &["service", "producer", "--for", &seconds])?;
    topics::wait_for_records(&context.settings, topic, 1_500).await?;
    pipeline.crash(context, service.name()).await?;
    producer.succeed(LIMIT).await?;

    let report = verified(context, 0).await?;
    let sent = report.count(&format!("{records} in the topic"))?;
    ensure!(
        sent >= SECONDS * PER_S * 8 / 10,
        "{sent} {records} were sent: {report:?}"
    );
    let copies = report.count(&format!("copies of {records}"))?;
    let dead = report.count(&format!("dead letters of {records}"))?;
    ensure!(copies > 0 && dead > 0, "{report:?}");
    Ok((pipeline, report))
}

/// All that the jobs have written is what an undisturbed run writes, and there was something of
/// each of `outputs` to compare.
///
/// # Errors
/// Something differs, or nothing of an output was compared.
pub async fn check_compared(context: &TestContext, outputs: &[&str]) -> Result<()> {
    let undisturbed = check_undisturbed(context).await?;
    for output in outputs {
        let count = compared(&undisturbed, output);
        ensure!(count > 0, "no {output} were compared: {undisturbed:?}");
    }
    Ok(())
}

/// How many records of an output an undisturbed run writes.
#[must_use]
pub fn compared(undisturbed: &[Difference], output: &str) -> u64 {
    let found = undisturbed.iter().find(|difference| difference.what == output);
    found.map_or(0, |difference| difference.undisturbed)
}

/// `status` shows these jobs.
///
/// # Errors
/// It says nothing of one.
pub async fn check_status(context: &TestContext, jobs: &[catalog::JobSpec]) -> Result<()> {
    let mut status = Service::start(context, "status", &["status", "--json"])?;
    status.succeed(LIMIT).await?;
    let said = status.output();
    for job in jobs {
        let group = topic_name(&context.settings.kafka, &job.group());
        ensure!(said.contains(&group), "status says nothing of {group}: {said}");
    }
    Ok(())
}

/// The topic has a dead letter for each of `bad` records of the far future, and of as many that
/// nobody can read.
///
/// # Errors
/// It has more or fewer.
pub async fn check_letters(context: &TestContext, topic: &str, bad: u32) -> Result<()> {
    let letters = topics::read(&context.settings, &dead_letter(topic)).await?;
    let mut codes: BTreeMap<_, u32> = BTreeMap::new();
    for letter in &letters {
        let code = letter.header("error.code").context("a code")?;
        *codes.entry(code).or_default() += 1;
    }
    let far = codes.remove("far_future");
    ensure!(far == Some(bad), "{far:?} of the far future, beside {codes:?}");
    ensure!(codes.values().sum::<u32>() == bad, "{codes:?}");
    Ok(())
}
