//! The consumer's callbacks: rebalances are queued for the worker, which answers them between two
//! records.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use millrace_kafka::client::{bridge_error, bridge_log};
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{TopicPartitionList, TopicPartitionListElem};
use rdkafka::types::RDKafkaRespErr;

/// A rebalance that the worker has to answer: librdkafka waits for its `incremental_assign` or
/// `incremental_unassign` and holds the assigned partitions back until then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rebalance {
    /// These partitions are added; perhaps none.
    Assign(Vec<i32>),
    /// These are taken away.
    Revoke(Vec<i32>),
}

/// The context of a worker's consumer.
pub(super) struct WorkerContext {
    topic: String,
    rebalances: Mutex<VecDeque<Rebalance>>,
    closing: AtomicBool,
}

impl WorkerContext {
    pub(super) fn new(topic: &str) -> Self {
        Self {
            topic: topic.to_owned(),
            rebalances: Mutex::default(),
            closing: AtomicBool::new(false),
        }
    }

    /// The next rebalance to answer.
    pub(super) fn next_rebalance(&self) -> Option<Rebalance> {
        self.rebalances
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front()
    }

    /// From here on rebalances are answered at once, as the worker has nothing left to save. Those
    /// that wait are answered now: librdkafka would wait for ever.
    pub(super) fn close(&self, consumer: &BaseConsumer<Self>) {
        self.closing.store(true, Ordering::Relaxed);
        while let Some(rebalance) = self.next_rebalance() {
            self.answer(consumer, &rebalance);
        }
    }

    fn answer(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance) {
        let answered = match rebalance {
            // What is assigned is what will be revoked, and an answer that names another partition
            // is refused.
            Rebalance::Assign(numbers) => consumer.incremental_assign(&self.list(numbers)),
            Rebalance::Revoke(numbers) => consumer.assignment().and_then(|assigned| {
                let held = |number: &i32| assigned.find_partition(&self.topic, *number).is_some();
                let held: Vec<i32> = numbers.iter().copied().filter(held).collect();
                consumer.incremental_unassign(&self.list(&held))
            }),
        };
        if let Err(error) = answered {
            tracing::warn!(?rebalance, %error, "a rebalance while closing is not answered");
        }
    }

    fn list(&self, numbers: &[i32]) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for number in numbers {
            list.add_partition(&self.topic, *number);
        }
        list
    }
}

impl ClientContext for WorkerContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        bridge_log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        bridge_error(&error, reason);
    }
}

impl ConsumerContext for WorkerContext {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let elements = list.elements();
        let partitions = elements.iter().map(TopicPartitionListElem::partition).collect();
        let rebalance = match event {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => Rebalance::Assign(partitions),
            _ => Rebalance::Revoke(partitions),
        };
        if self.closing.load(Ordering::Relaxed) {
            self.answer(consumer, &rebalance);
        } else {
            self.rebalances
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push_back(rebalance);
        }
    }
}
