//! Partitions that are added to topics of a running pipeline.

use anyhow::{Result, ensure};
use millrace_catalog::{dead_letter, payments::topic};
use millrace_kafka::admin::Lookup;
use millrace_kafka::topic_name;
use millrace_settings::MisplacedRecords;
use millrace_tests::checks::check_undisturbed;
use millrace_tests::pipeline::{self, LIMIT};
use millrace_tests::service::Service;
use millrace_tests::spans::check_spans;
use millrace_tests::{TestContext, groups, topics, wait_until};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;

use super::changes::{Jobs, hasten, policies_set, sent_since, verify};

/// Five partitions of the transactions become eight in the midst of a stream, and later those
/// between the stages and of the results are more too. The jobs go on, over kills before and after:
/// nothing is lost, nothing is there twice, what was sent stays, and no contribution comes too
/// late.
pub(super) async fn are_added_while_it_runs(mut context: TestContext) -> Result<()> {
    hasten(&mut context.settings);
    pipeline::init(&context).await?;
    let jobs = Jobs::start(&context).await?;
    // It goes on with the five partitions that it knows.
    let mut early = Service::start(&context, "producer-of-five", &["service", "producer"])?;
    topics::wait_for_records(&context.settings, topic::AGGREGATES, 50).await?;
    add(&context, topic::TRANSACTIONS, 8).await?;
    context.settings.producer.metrics_port = 0;
    let mut late = Service::start(&context, "producer-of-eight", &["service", "producer"])?;
    // Each of the second stage waits for eight, and each new partition has begun.
    let control = topic::AGGREGATES_CONTROL;
    wait_until("the new partitions to be worked on", LIMIT, || async {
        let records = topics::read(&context.settings, control).await.unwrap_or_default();
        let begun = (5..8).all(|number| records.iter().any(|record| record.partition == number));
        Ok(begun.then_some(()))
    })
    .await?;
    let said = jobs.aggregator_output();
    ensure!(
        said.contains("goes on with the partitions that were added"),
        "it goes on by itself: {said}"
    );
    sent_since(&context, 2_000).await?;
    ensure!(early.is_running()?, "the first stream has run all the time");
    early.stop().await?;
    // The jobs know for this one start where records of before lie: after it, they count them as
    // misplaced.
    groups::wait_until_read(
        &context.settings,
        "millrace-aggregate-partial",
        topic::TRANSACTIONS,
    )
    .await?;
    sent_since(&context, 500).await?;
    jobs.kill()?;
    let jobs = Jobs::start(&context).await?;

    add(&context, topic::PARTIALS, 4).await?;
    add(&context, topic::AGGREGATES, 5).await?;
    jobs.kill()?;
    let said = pipeline::init(&context).await?;
    ensure!(
        said.contains("number of partitions from 3 to 4"),
        "init extends the control topic: {said}"
    );
    let jobs = Jobs::start(&context).await?;
    sent_since(&context, 2_000).await?;
    ensure!(late.is_running()?, "the second stream has run all the time");
    late.stop().await?;

    verify(&context).await?;
    let found = check_spans(&context).await?;
    eprintln!("partitions: {found:?}");
    check_undisturbed(&context).await?;
    let dead = topics::read(&context.settings, &dead_letter(topic::PARTIALS)).await?;
    ensure!(dead.is_empty(), "{} contributions came too late", dead.len());
    let between = topics::read(&context.settings, topic::PARTIALS).await?;
    ensure!(
        between.iter().all(|record| record.partition < 3),
        "what was added between the stages stays empty"
    );
    ensure!(
        policies_set(&context, topic::PARTIALS_CONTROL).await? >= 6,
        "the second stage heard of the sources"
    );
    jobs.stop().await
}

/// Where records are refused for where they lie, those of before would be refused too: the jobs say
/// so, and what to do, before anything is written.
pub(super) async fn are_refused_where_records_would_be(mut context: TestContext) -> Result<()> {
    hasten(&mut context.settings);
    context.settings.aggregator.misplaced_records = MisplacedRecords::DeadLetter;
    context.settings.detector.misplaced_records = MisplacedRecords::DeadLetter;
    pipeline::init(&context).await?;
    let jobs = Jobs::start(&context).await?;
    let produce = ["service", "producer", "--count", "2000", "--rate", "0"];
    let mut producer = Service::start(&context, "producer", &produce)?;
    producer.succeed(LIMIT).await?;
    verify(&context).await?;
    jobs.stop().await?;
    add(&context, topic::TRANSACTIONS, 6).await?;
    for name in ["aggregator", "detector"] {
        let mut refused = Service::start(&context, name, &["service", name])?;
        refused.fail(LIMIT).await?;
        let said = refused.output();
        ensure!(
            said.contains("from 5 to 6") && said.contains("Set misplaced_records: count"),
            "what and what to do: {said}"
        );
    }
    context.settings.aggregator.misplaced_records = MisplacedRecords::Count;
    context.settings.detector.misplaced_records = MisplacedRecords::Count;
    let jobs = Jobs::start(&context).await?;
    let mut producer = Service::start(&context, "producer", &produce)?;
    producer.succeed(LIMIT).await?;
    verify(&context).await?;
    check_spans(&context).await?;
    check_undisturbed(&context).await?;
    jobs.stop().await
}

/// Adds partitions to a topic, as an administrator would, and waits until they are there.
async fn add(context: &TestContext, name: &str, partitions: usize) -> Result<()> {
    let settings = &context.settings;
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", &settings.kafka.bootstrap_servers)
        .create()?;
    let name = topic_name(&settings.kafka, name);
    let wanted = NewPartitions::new(&name, partitions);
    for added in admin.create_partitions([&wanted], &AdminOptions::new()).await? {
        added.map_err(|(topic, code)| anyhow::anyhow!("{topic}: {code}"))?;
    }
    let kafka = settings.kafka.clone();
    wait_until("the partitions to have leaders", LIMIT, || async {
        let (kafka, name) = (kafka.clone(), name.clone());
        let look = move || anyhow::Ok(Lookup::connect(&kafka)?.topic(&name)?.partitions);
        // A broker that has not heard of them, or is busy, is asked again.
        let found = tokio::task::spawn_blocking(look).await?.unwrap_or_default();
        let is_done = found.len() == partitions && found.iter().all(|partition| partition.leader.is_some());
        Ok(is_done.then_some(()))
    })
    .await?;
    topics::known_to_all_brokers(settings).await
}
