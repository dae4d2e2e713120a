//! Fraud and anomaly detection, exactly once.
//!
//! One job, [`job::NAME`], reads the transactions and writes anomalies: [`job`] is the edge around
//! the pure operator of [`millrace_fraud`], on the worker loop of [`millrace_runtime`].
//! [`incidents`] is a service more, which makes incidents of the anomalies.

#![forbid(unsafe_code)]

pub mod explain;
pub mod follow;
pub mod incidents;
pub mod job;
mod judgements;
pub mod list_topic;
pub mod live_rules;
pub mod metrics;
mod ordered_topic;
mod policy;
pub mod rule_files;
pub mod rule_topic;
pub mod rules;
mod snoozed;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use millrace_catalog::payments::{DETECT, topic};
use millrace_catalog::{Service, stream};
use millrace_domain::schema;
use millrace_fraud::{DetectOperator, DetectPolicy};
use millrace_kafka::{SourcePartitions, topic_name};
use millrace_registry::{Registry, SchemaFetcher};
use millrace_runtime::{JobMetrics, hash_seed};
use millrace_service::host::{Host, Prepared};
use millrace_service::process::Running;
use millrace_service::{handover, refusal, registry, source, topics};
use millrace_settings::{Detector, Settings};
use millrace_telemetry::Shutdown;

use crate::job::{DetectJob, DetectParts};
use crate::list_topic::{FollowedLists, ListTopic};
use crate::live_rules::{LiveRules, newest};
use crate::metrics::DetectMetrics;
use crate::rule_topic::{Followed, RuleTopic};

/// Runs the detector until `shutdown`, then lets it commit what it has.
///
/// # Errors
/// Wrong settings, a port in use, missing topics or schemas, or what ended a worker: a new start
/// goes on from the last commit.
pub fn run(settings: Settings, shutdown: Shutdown) -> Running<'static, ()> {
    Box::pin(detect(settings, shutdown))
}

async fn detect(settings: Settings, shutdown: Shutdown) -> anyhow::Result<()> {
    let detector = &settings.detector;
    let host = Host {
        service: Service::Detector,
        worker: &detector.worker,
        event_time: &detector.event_time,
        stream: stream(topic::TRANSACTIONS, settings.rekeys()),
    };
    host.run(&settings, &shutdown, async || {
        let job = prepare(&settings, &shutdown).await?;
        handover::check(&settings, job::NAME, &shutdown).await?;
        let rules = known_rules(&settings, &job).await?;
        let lists = known_lists(&settings, &job).await?;
        let source = Arc::clone(job.partitions());
        let live = || (Arc::clone(job.rules()), job.metrics().clone());
        // They end when the job has ended.
        let followers = (
            rules.map(|rules| rules.start(detector, live())),
            lists.map(|lists| lists.start(live())),
        );
        Ok(Prepared::over(&source).with(job).beside(followers))
    })
    .await
}

/// Asks the registry what the job needs, and makes it: to run it, or to repeat a log without
/// Kafka's groups and transactions, which gives what an undisturbed run gives.
///
/// # Errors
/// Wrong settings, a schema or topic that is missing, or `shutdown`.
pub async fn prepare(settings: &Settings, shutdown: &Shutdown) -> anyhow::Result<DetectJob> {
    let detect = policy(&settings.detector)?;
    if let Some(version) = detect.version() {
        tracing::info!(
            version = %version.hash(),
            rules = version.rules().len(),
            bytes_a_user = version.cost().bytes_a_user.ceil(),
            ns_a_record = version.cost().ns_a_record.ceil(),
            "a rule set"
        );
    }
    let anomalies = topic_name(&settings.kafka, topic::ANOMALIES);
    let registry_config = registry::config(&settings.schema_registry);
    let client = Registry::new(registry_config.clone())?;
    let fetcher = SchemaFetcher::new(registry_config);
    let input = source::transactions_topic(settings);
    let seed = hash_seed();
    Ok(DetectJob::new(DetectParts {
        rules: Arc::new(LiveRules::new(detect.clone())),
        operator: DetectOperator::of(detect, seed),
        seed,
        control: topic_name(&settings.kafka, DETECT.control(settings.rekeys())),
        max_future_ms: settings.detector.event_time.max_future_ms,
        source: Arc::new(SourcePartitions::new(
            &settings.kafka,
            &input,
            topics::partition_count(&settings.kafka, &input, shutdown).await?,
        )),
        refusal: refusal(settings, &DETECT)?,
        misplaced_records: settings.detector.misplaced_records,
        earliest_ms: settings.detector.event_time.earliest_time.ms(),
        schema_id: registry::schema_id(&client, &anomalies, schema::ANOMALY).await?,
        anomalies,
        reader: registry::reader(&client, &fetcher, &input).await?,
        input,
        job: JobMetrics::of(job::NAME)?,
        metrics: DetectMetrics::new(job::NAME)?,
    }))
}

/// Gives the job the rules of the newest change, where there is one; what to follow from then on.
async fn known_rules(settings: &Settings, job: &DetectJob) -> anyhow::Result<Option<Followed>> {
    let detector = &settings.detector;
    let Some(topic) = RuleTopic::open_if_any(settings).await? else {
        let name = topic_name(&settings.kafka, topic::FRAUD_RULES);
        tracing::warn!(
            "there is no topic {name}: rules change at a start alone, until `millrace init` makes it"
        );
        return Ok(None);
    };
    let read = move || topic.read().map(|(history, next)| (topic, history, next));
    let (topic, history, next) = tokio::task::spawn_blocking(read).await??;
    let base = job.rules().policy();
    let (policy, refused) = newest(&base, &history, (&detector.budget, detector.rules.two_keys));
    for error in refused {
        job.metrics().refused_change();
        let error = format!("{error:#}");
        tracing::error!(error, "a change of the rules is refused: those of before go on");
    }
    if let Some(change) = history.get(policy.rule_change) {
        rule_topic::tell(change, &policy);
        if !detector.rules.files.is_empty() {
            tracing::warn!(
                "detector.rules.files are not judged by: the rules were changed by `millrace rules`"
            );
        }
        job.metrics().rule_change(change.number);
        job.rules().set_rules(policy)?;
    }
    Ok(Some(Followed {
        topic,
        history,
        next,
        base,
    }))
}

/// Gives the job the lists and snoozes that there are; what to follow from then on.
async fn known_lists(settings: &Settings, job: &DetectJob) -> anyhow::Result<Option<FollowedLists>> {
    let Some(topic) = ListTopic::open_if_any(settings).await? else {
        let name = topic_name(&settings.kafka, topic::LISTS);
        tracing::warn!("there is no topic {name}: nobody is on a list, until `millrace init` makes it");
        return Ok(None);
    };
    let read = move || topic.read().map(|lists| (topic, lists));
    let (topic, lists) = tokio::task::spawn_blocking(read).await??;
    for (key, why) in &lists.refused {
        list_topic::refuse(job.metrics(), key, why);
    }
    for (offset, why) in &lists.unreadable {
        list_topic::pass_over(job.metrics(), *offset, why);
    }
    job.metrics().lists(&lists.listings);
    if let Err(error) = job.rules().set_lists(lists.listings.settings()) {
        job.metrics().refused_entry();
        tracing::error!(%error, "nobody is on a list");
    }
    Ok(Some(FollowedLists {
        topic,
        listings: lists.listings,
        next: lists.next,
    }))
}

/// The policy of the settings, with the rules of their files.
fn policy(detector: &Detector) -> anyhow::Result<DetectPolicy> {
    let mut detect = rules::settings(detector)?;
    let paths: Vec<_> = detector.rules.files.iter().map(PathBuf::from).collect();
    detect.rule_set = rule_files::read(&paths).context("detector.rules.files")?;
    let policy = DetectPolicy::new(detect).context("detector.rules.files")?;
    rule_files::check_cost(&policy, &detector.budget).context("detector.rules.files")?;
    Ok(policy)
}
