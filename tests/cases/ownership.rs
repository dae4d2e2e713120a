//! Partitions that a group's member gave up and nobody got.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use millrace_catalog::{payments::topic, topic_spec};
use millrace_kafka::client::{Properties, consumer_config};
use millrace_kafka::topic_name;
use millrace_settings::{Kafka, Settings};
use millrace_telemetry::exposition;
use millrace_tests::pipeline::{self, LIMIT, hasten};
use millrace_tests::service::Service;
use millrace_tests::{TestContext, wait_until};
use rdkafka::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;

/// The instance id of a member that is not a worker; the worker's is less, so that it is the one to
/// act.
const STATIC_MEMBER: &str = "~static";

/// A static member is to give partitions up for a worker that joins, and is replaced before it
/// joins again itself: its successor gets what the member had left, and the rest has no owner. The
/// worker notices, and makes the group deal them out.
pub(super) async fn is_found_for_every_partition(mut context: TestContext) -> Result<()> {
    hasten(&mut context.settings);
    context.settings.detector.worker.threads = 1;
    pipeline::init(&context).await?;
    let settings = &context.settings;
    let spec = topic_spec(topic::TRANSACTIONS);
    let partitions = usize::try_from(spec.context("the source topic")?.partitions)?;

    let first = Member::join(settings, Answers::OnlyAssignments)?;
    wait_until("a member to have every partition", LIMIT, || async {
        Ok((first.held()? == partitions).then_some(()))
    })
    .await?;
    let mut detector = Service::start(&context, "detector", &["service", "detector"])?;
    wait_until("the member to be asked for partitions", LIMIT, || async {
        Ok((first.asked() > 0).then_some(()))
    })
    .await?;
    let asked = first.asked();
    let successor = Member::join(settings, Answers::All)?;
    wait_until("the successor to have what was left", LIMIT, || async {
        Ok((successor.held()? == partitions - asked).then_some(()))
    })
    .await?;
    drop(first);

    detector.ready(settings.detector.metrics_port).await?;
    wait_until("every partition to have an owner", LIMIT, || async {
        let (theirs, its) = (successor.held()?, held_by(settings).await?);
        Ok((its > 0 && theirs + its == partitions).then_some(()))
    })
    .await?;
    ensure!(
        detector.output().contains("partitions have no owner"),
        "the worker found out by itself"
    );
    drop(successor);
    detector.stop().await
}

/// How many partitions the detector has.
async fn held_by(settings: &Settings) -> Result<usize> {
    let text = pipeline::metrics_text(settings.detector.metrics_port).await?;
    let held: f64 = exposition::samples(&text, "millrace_assigned_partitions")
        .map(|sample| sample.value)
        .sum();
    Ok(held as usize)
}

/// Which rebalances a member answers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answers {
    All,
    /// It never gives up what it is asked for, as if it died just then.
    OnlyAssignments,
}

struct MemberContext {
    answers: Answers,
    asked: Arc<AtomicUsize>,
}

impl ClientContext for MemberContext {}

impl ConsumerContext for MemberContext {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let answered = match event {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => consumer.incremental_assign(list),
            _ if self.answers == Answers::All => consumer.incremental_unassign(list),
            _ => {
                self.asked.store(list.count(), Ordering::Relaxed);
                Ok(())
            }
        };
        if let Err(error) = answered {
            eprintln!("ownership: a rebalance is not answered: {error}");
        }
    }
}

/// A static member of the detector's group, on a thread of its own.
struct Member {
    asked: Arc<AtomicUsize>,
    held: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Member {
    fn join(settings: &Settings, answers: Answers) -> Result<Self> {
        let (asked, held) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let stop = Arc::<AtomicBool>::default();
        let consumer = consumer(&settings.kafka, answers, &asked)?;
        let (shown, stopped) = (Arc::clone(&held), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                consumer.poll(Duration::from_millis(50));
                let held = consumer.assignment().map_or(0, |list| list.count());
                shown.store(held, Ordering::Relaxed);
            }
            if answers == Answers::OnlyAssignments {
                // It owes librdkafka an answer, without which closing waits for ever; and who dies
                // closes nothing.
                std::mem::forget(consumer);
            }
        });
        Ok(Self {
            asked,
            held,
            stop,
            thread: Some(thread),
        })
    }

    /// How many partitions it has.
    fn held(&self) -> Result<usize> {
        let ended = self.thread.as_ref().is_none_or(JoinHandle::is_finished);
        (!ended)
            .then(|| self.held.load(Ordering::Relaxed))
            .ok_or_else(|| anyhow!("a member has ended"))
    }

    /// How many it was asked to give up, and did not.
    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn consumer(
    kafka: &Kafka,
    answers: Answers,
    asked: &Arc<AtomicUsize>,
) -> Result<BaseConsumer<MemberContext>> {
    let group = format!("{}millrace-detect", kafka.topic_prefix);
    let mut config = consumer_config(kafka, &group, &Properties::new())?;
    config.set("group.instance.id", STATIC_MEMBER);
    let consumer: BaseConsumer<_> = config.create_with_context(MemberContext {
        answers,
        asked: Arc::clone(asked),
    })?;
    consumer.subscribe(&[&topic_name(kafka, topic::TRANSACTIONS)])?;
    Ok(consumer)
}
