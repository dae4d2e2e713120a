//! The loop over a store without a broker, for the tests of stores: what a broker would do, they
//! do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::bail;
use millrace_kafka::copies::KeptRecord;
use millrace_telemetry::Health;
use tokio::runtime::Handle;

use crate::acknowledgement::PartitionKey;
use crate::batch::Origin;
use crate::delivery::{Delivery, Letters};
use crate::metrics::Metrics;
use crate::pipeline::Pipeline;
use crate::reachability::Reachability;
use crate::sink::{Record, Sink};
use crate::spec::Spec;

/// A process of a sink. Dropped, it is killed.
pub struct Simulation<S: Sink> {
    sink: Arc<S>,
    pipeline: Pipeline<S, NoLetters>,
}

/// A sink whose every record is one of its store's, or passed over.
struct NoLetters;

impl Letters for NoLetters {
    async fn send(&self, origin: Origin, _: &KeptRecord, code: &str, error: &str) -> anyhow::Result<()> {
        bail!("a dead letter of {origin:?}: {code}: {error}")
    }
}

impl<S: Sink> Simulation<S> {
    /// A process that has just started, and has no partition.
    ///
    /// # Errors
    /// A metric's name is taken.
    pub fn start(sink: S, spec: &Spec, runtime: &Handle) -> anyhow::Result<Self> {
        let sink = Arc::new(sink);
        let health = Health::new(S::NAMES.service);
        let delivery = Delivery {
            sink: Arc::clone(&sink),
            letters: NoLetters,
            backoff: spec.backoff,
            reachability: Reachability::new(health.component("store")),
        };
        let metrics = Metrics::register(S::NAMES)?;
        Ok(Self {
            sink,
            pipeline: Pipeline::new(delivery, spec, metrics, runtime.clone()),
        })
    }

    /// Reads a record, as the consumer does; whether there was room for it.
    ///
    /// # Errors
    /// A write has failed for good, or the record cannot be decided on.
    pub fn read(&mut self, origin: Origin, payload: &[u8]) -> anyhow::Result<bool> {
        self.pipeline.progress()?;
        if self.pipeline.is_full() || self.pipeline.is_blocked() {
            return Ok(false);
        }
        if self.pipeline.tracker().next(origin.partition).is_none() {
            self.sink.begin(origin)?;
        }
        let decision = self.sink.decide(&Record {
            origin,
            append_time_ms: None,
            key: None,
            payload: Some(payload),
        })?;
        self.pipeline.add(origin, payload.len(), decision, || KeptRecord {
            payload: Some(payload.to_vec()),
            ..KeptRecord::default()
        });
        Ok(true)
    }

    /// Takes what has been written, and writes what is due.
    ///
    /// # Errors
    /// A write has failed for good.
    pub fn progress(&mut self) -> anyhow::Result<()> {
        self.pipeline.progress()
    }

    /// Writes what was read, within a limit; how many offsets are not done then.
    pub fn drain(&mut self, limit: Duration) -> i64 {
        self.pipeline.drain(Instant::now() + limit);
        self.pipeline.open()
    }

    /// Commits what is done: the partitions, with the offsets to go on from.
    pub fn commit(&mut self) -> Vec<(PartitionKey, i64)> {
        let commits = self.pipeline.committable();
        self.pipeline.committed(&commits);
        commits
    }

    /// Gives a partition up.
    pub fn give_up(&mut self, partition: PartitionKey) {
        self.pipeline.forget(partition);
    }
}
