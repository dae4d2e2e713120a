//! A member of a group that consumes by batches, on a thread of its own.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use millrace_kafka::client::{Properties, consumer_config};
use millrace_kafka_batch::BatchConsumer;
use millrace_settings::Settings;
use millrace_tests::pipeline::LIMIT;
use millrace_tests::wait_until;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Offset, TopicPartitionList};

/// Records of a batch.
const BATCH: usize = 500;

/// Rebalances wait here for the member's loop.
#[derive(Default)]
struct Rebalances {
    waiting: Mutex<VecDeque<(bool, TopicPartitionList)>>,
    closing: AtomicBool,
}

impl ClientContext for Rebalances {}

impl ConsumerContext for Rebalances {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let assign = event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if self.closing.load(Ordering::Relaxed) && !assign {
            let _ = consumer.incremental_unassign(list);
            return;
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push_back((assign, list.clone()));
    }
}

/// What others see of a member.
#[derive(Default)]
struct Shown {
    stop: AtomicBool,
    count: AtomicU64,
    held: AtomicUsize,
}

/// A member.
pub(super) struct Member {
    name: String,
    shown: Arc<Shown>,
    thread: JoinHandle<Result<Vec<(i32, i64)>>>,
}

impl Member {
    pub(super) fn start(settings: &Settings, topic: &str, name: &str) -> Result<Self> {
        let group = format!("{}batches", settings.kafka.topic_prefix);
        let properties: Properties = [("auto.offset.reset".to_owned(), "earliest".to_owned())].into();
        let config = consumer_config(&settings.kafka, &group, &properties)?;
        let consumer = BatchConsumer::new(config.create_with_context(Rebalances::default())?)?;
        consumer.consumer().subscribe(&[topic])?;
        let shown = Arc::new(Shown::default());
        let group_member = Loop {
            consumer,
            topic: topic.to_owned(),
            next: BTreeMap::new(),
            seen: Vec::new(),
            shown: Arc::clone(&shown),
        };
        Ok(Self {
            name: name.to_owned(),
            shown,
            thread: std::thread::spawn(move || group_member.run()),
        })
    }

    /// How many records it has consumed.
    pub(super) fn count(&self) -> u64 {
        self.shown.count.load(Ordering::Relaxed)
    }

    /// How many partitions it holds.
    pub(super) fn held(&self) -> usize {
        self.shown.held.load(Ordering::Relaxed)
    }

    /// Waits until it has consumed so many records and holds so many partitions.
    pub(super) async fn wait_for(&self, count: u64, held: usize) -> Result<()> {
        wait_until(&format!("{} to consume", self.name), LIMIT, || async {
            ensure!(!self.thread.is_finished(), "{} has ended", self.name);
            Ok((self.count() >= count && self.held() == held).then_some(()))
        })
        .await
    }

    /// Has it give up its partitions and end.
    pub(super) fn stop(&self) {
        self.shown.stop.store(true, Ordering::Relaxed);
    }

    /// Stops it; what it has consumed.
    pub(super) async fn leave(self) -> Result<Vec<(i32, i64)>> {
        self.stop();
        let (thread, name) = (self.thread, self.name);
        let ended = tokio::task::spawn_blocking(|| thread.join()).await?;
        ended.map_err(|_| anyhow!("{name} panicked"))?.context(name)
    }
}

/// The member's loop.
struct Loop {
    consumer: BatchConsumer<Rebalances>,
    topic: String,
    /// The next offset of each partition it holds; `None` before its first record.
    next: BTreeMap<i32, Option<i64>>,
    seen: Vec<(i32, i64)>,
    shown: Arc<Shown>,
}

impl Loop {
    fn run(mut self) -> Result<Vec<(i32, i64)>> {
        while !self.shown.stop.load(Ordering::Relaxed) {
            self.consume()?;
            self.serve()?;
        }
        let consumer = self.consumer.consumer();
        self.commit(&self.next.keys().copied().collect::<Vec<_>>())?;
        consumer.context().closing.store(true, Ordering::Relaxed);
        drop(self.consumer);
        self.shown.held.store(0, Ordering::Relaxed);
        Ok(self.seen)
    }

    fn consume(&mut self) -> Result<()> {
        let batch = self.consumer.fetch(BATCH, Duration::from_millis(20));
        for record in batch.iter() {
            let record = record.map_err(|report| report.error)?;
            let (partition, offset) = (record.partition(), record.offset());
            let next = self.next.get_mut(&partition);
            let next =
                next.with_context(|| format!("a record of partition {partition}, which it does not hold"))?;
            ensure!(
                next.is_none_or(|next| next == offset),
                "offset {offset} in place of {next:?}"
            );
            ensure!(record.topic() == self.topic && record.timestamp().to_millis().is_some());
            ensure!(record.key().is_some_and(|key| key.starts_with(b"key-")));
            ensure!(
                record
                    .payload()
                    .is_some_and(|payload| payload.iter().all(u8::is_ascii_digit))
            );
            *next = Some(offset + 1);
            self.seen.push((partition, offset));
        }
        self.shown.count.store(self.seen.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn serve(&mut self) -> Result<()> {
        while let Some(item) = self.consumer.consumer().poll(Duration::ZERO) {
            ensure!(item.is_err(), "a record of a routed partition came alone");
        }
        loop {
            let context = self.consumer.consumer().context();
            let mut waiting = context.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let Some((assign, list)) = waiting.pop_front() else {
                break;
            };
            drop(waiting);
            let numbers: Vec<i32> = list
                .elements()
                .iter()
                .map(TopicPartitionListElem::partition)
                .collect();
            if assign {
                for number in numbers {
                    self.consumer.route(&self.topic, number)?;
                    self.next.insert(number, None);
                }
                self.consumer.consumer().incremental_assign(&list)?;
            } else {
                ensure!(
                    !self.consumer.consumer().assignment_lost(),
                    "its partitions were lost"
                );
                self.commit(&numbers)?;
                self.next.retain(|number, _| !numbers.contains(number));
                self.consumer.consumer().incremental_unassign(&list)?;
            }
        }
        self.shown.held.store(self.next.len(), Ordering::Relaxed);
        Ok(())
    }

    fn commit(&self, numbers: &[i32]) -> Result<()> {
        let mut list = TopicPartitionList::new();
        for (number, next) in &self.next {
            if let (true, Some(next)) = (numbers.contains(number), next) {
                list.add_partition_offset(&self.topic, *number, Offset::Offset(*next))?;
            }
        }
        if list.count() > 0 {
            self.consumer.consumer().commit(&list, CommitMode::Sync)?;
        }
        Ok(())
    }
}
