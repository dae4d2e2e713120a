//! The consumer's callbacks: rebalances are queued for the worker, which answers them between two records.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;

use crate::client::{bridge_error, bridge_log};

/// A rebalance that the worker has to answer: librdkafka waits for its `incremental_assign` or `incremental_unassign`
/// and holds the assigned partitions back until then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rebalance {
    /// These partitions are added; perhaps none.
    Assign(Vec<i32>),
    /// These are taken away.
    Revoke(Vec<i32>),
}

/// The context of a worker's consumer.
#[derive(Default)]
pub(super) struct WorkerContext {
    rebalances: Mutex<VecDeque<Rebalance>>,
    closing: AtomicBool,
}

impl WorkerContext {
    /// The next rebalance to answer.
    pub(super) fn next_rebalance(&self) -> Option<Rebalance> {
        self.rebalances
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front()
    }

    /// From here on rebalances are answered at once, as the worker has nothing left to save.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
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
        let partitions = list
            .elements()
            .iter()
            .map(|element| element.partition())
            .collect();
        let rebalance = match event {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => Rebalance::Assign(partitions),
            _ => Rebalance::Revoke(partitions),
        };
        if !self.closing.load(Ordering::Relaxed) {
            self.rebalances
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push_back(rebalance);
            return;
        }
        let answer = match rebalance {
            Rebalance::Assign(_) => consumer.incremental_assign(&TopicPartitionList::new()),
            Rebalance::Revoke(_) => consumer.incremental_unassign(list),
        };
        if let Err(error) = answer {
            tracing::debug!(%error, "a rebalance while closing");
        }
    }
}
