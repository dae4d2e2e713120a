//! The exactly-once worker: one consumer and one transactional producer on one thread.
//!
//! * The loop takes records by the batch, gives each to its partition's task, and commits at an
//!   interval: outputs and offsets in one transaction, with the group metadata read for it anew
//!   (KIP-447). Nothing to commit, no transaction.
//! * An assigned partition starts paused. Its state is restored on the helper thread ([`side`]),
//!   then the consumer seeks to where the state is, and what lies below the committed offset is
//!   replayed with its outputs dropped, between the other partitions' records and without a
//!   transaction of its own.
//! * An abort rolls back: every partition with uncommitted work is restored in the same way.
//! * librdkafka takes any call of `incremental_assign` or `incremental_unassign` for the answer to
//!   the rebalance that may be waiting for one. They are therefore called for that alone; a restore
//!   only seeks.

mod aborts;
mod assignment;
mod commit;
mod context;
mod core;
mod effects;
mod envelope;
mod fetcher;
mod idle;
mod mark;
mod pace;
mod partition;
mod partitions;
mod records;
mod restore;
mod side;
#[cfg(any(test, feature = "simulation"))]
pub mod simulation;
mod terms;
mod turns;
mod unreadable;
mod upstream;
mod waiting;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use millrace_domain::texts::InFlight;
use millrace_kafka::ClientError;
use millrace_kafka::client::{leave_group, worker_consumer_config};
use rdkafka::consumer::Consumer;

use crate::failure::Failure;
use crate::runner::Shared;
use crate::status::Subject;
use crate::{InputRecord, Job, WorkerError};
use aborts::Aborts;
use assignment::ABORT;
use context::WorkerContext;
use core::Core;
use fetcher::{Fetcher, bound_queues};
pub(crate) use idle::NO_WATERMARK;
pub(crate) use restore::{is_of_log, read_state};
use unreadable::UnreadablePartitions;

/// Most records of a batch.
const MAX_BATCH: usize = 1_024;
/// The longest wait for a record: restores, rebalances and the stop flag are looked at this often.
const WAIT: Duration = Duration::from_millis(20);
/// How long a process that fences another takes to join the group, and the other to hear of it.
const SUCCESSOR: Duration = Duration::from_secs(3);

/// How a worker's run ends well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The job stops.
    Stopped,
    /// It has left the group so that the group rebalances, and is to join it again.
    ToRejoin,
}

/// One worker thread's consumer, producer and partitions.
pub(crate) struct Worker<'s, J: Job> {
    shared: &'s Shared<J>,
    fetcher: Fetcher,
    core: Core<J>,
    unreadable: UnreadablePartitions,
    aborts: Aborts,
}

impl<'s, J: Job> Worker<'s, J> {
    /// Makes the clients and ends whatever transaction the last run of this thread left open.
    pub(crate) fn new(shared: &'s Shared<J>, thread: usize) -> Result<Self, WorkerError> {
        let config = &shared.config;
        let group = config.group(shared.job.name());
        let member = config.member(thread);
        let mut consumer_config = worker_consumer_config(&config.kafka, &config.worker, &group, &member)?;
        let core = Core::new(shared, thread)?;
        let takes_turns = shared.alignment.is_some();
        if takes_turns {
            let properties = [&config.kafka.properties, &config.worker.consumer_properties];
            bound_queues(&mut consumer_config, |name| {
                properties.iter().any(|properties| properties.contains_key(name))
            });
        }
        let fetcher = consumer_config
            .create_with_context(WorkerContext::new(shared.job.input_topic()))
            .and_then(|consumer| Fetcher::new(consumer, takes_turns))
            .map_err(|reason| WorkerError::no_client("consumer", reason))?;
        Ok(Self {
            shared,
            fetcher,
            core,
            unreadable: UnreadablePartitions::default(),
            aborts: Aborts::default(),
        })
    }

    /// Runs until the stop flag is set or the worker is asked to rejoin, then drains and leaves the
    /// group; or until it cannot go on.
    pub(crate) fn run(mut self) -> Result<Ended, WorkerError> {
        let result = self
            .run_until_ended()
            .and_then(|ended| self.drain().map(|()| ended))
            .map_err(|error| self.by_whom(error));
        if let Err(error) = &result {
            tracing::error!(operator = self.core.metrics.operator, %error, "the worker stops");
            // A producer that is at fault cannot abort; the next one does, when it starts.
            if !error.is_of_the_producer()
                && let Err(error) = self.core.producer.abort(ABORT)
            {
                tracing::warn!(%error, "the open transaction is left to the next start");
            }
        }
        for (number, _) in self.unreadable.iter() {
            self.core.show_unreadable(number, None);
        }
        self.end_aborts();
        self.leave(result.is_ok());
        result
    }

    /// Tells who has fenced the producer: another process of this one's name joins the group next,
    /// by which the consumer is fenced too, and learns of it by a heartbeat.
    fn by_whom(&self, error: WorkerError) -> WorkerError {
        if !matches!(error, WorkerError::Client(ClientError::Fenced { .. })) {
            return error;
        }
        let consumer = self.fetcher.consumer();
        let deadline = Instant::now() + SUCCESSOR;
        while Instant::now() < deadline {
            if let Some((code, _)) = consumer.client().fatal_error() {
                return WorkerError::NameTaken {
                    instance: self.shared.config.instance.clone(),
                    key: self.shared.config.instance_key,
                    reason: code.to_string(),
                };
            }
            let _ = consumer.poll(WAIT);
        }
        error
    }

    fn run_until_ended(&mut self) -> Result<Ended, WorkerError> {
        let topic = self.shared.job.input_topic();
        self.fetcher
            .consumer()
            .subscribe(&[topic])
            .map_err(|reason| WorkerError::Kafka {
                action: format!("subscribing to {topic}"),
                reason,
            })?;
        while !self.shared.stop.load(Ordering::Relaxed) {
            self.shared.pulse.beat(self.core.thread);
            if self.shared.rejoin.take(self.core.thread) {
                return Ok(Ended::ToRejoin);
            }
            match self.step() {
                Ok(true) => self.end_aborts(),
                Ok(false) if self.core.has_nothing() => self.end_aborts(),
                Ok(false) => {}
                Err(Failure::Stop(error)) => return Err(error),
                Err(Failure::Abort(reason)) => self.back_off(&reason)?,
            }
        }
        Ok(Ended::Stopped)
    }

    /// Aborts, and lets the cluster breathe: an outage ends by itself, and is waited for as long as
    /// it takes.
    fn back_off(&mut self, reason: &str) -> Result<(), WorkerError> {
        let deadline = Instant::now() + Duration::from_millis(self.core.timeouts.transaction_ms);
        self.core
            .abort_and_rewind(self.fetcher.consumer(), reason, deadline)?;
        let (pause, told) = self.aborts.add(reason);
        if told.is_some() {
            self.core.status.set_problem(self.subject(), told);
        }
        std::thread::sleep(pause);
        Ok(())
    }

    fn subject(&self) -> Subject {
        Subject::Worker(self.core.thread)
    }

    fn end_aborts(&mut self) {
        if self.aborts.end() {
            self.core.status.set_problem(self.subject(), None);
        }
    }

    /// A batch of records, and then everything else that is due. Returns whether a transaction was
    /// committed.
    ///
    /// A batch is gone through to its end before a rebalance is answered or a restored partition
    /// seeks. So what it holds of a partition that is rolled back meanwhile is passed over, and
    /// comes again after the seek.
    fn step(&mut self) -> Result<bool, Failure> {
        let _round = InFlight::begin();
        let wait = self
            .core
            .until_commit(Instant::now())
            .map_or(WAIT, |until| until.min(WAIT));
        match self.fetcher.turns() {
            Some(_) => self.take_turns(wait)?,
            None => self.take_batch(wait)?,
        }
        self.see_to_unreadable()?;
        self.serve_events()?;
        while let Some(rebalance) = self.fetcher.consumer().context().next_rebalance() {
            self.core.rebalance(&mut self.fetcher, rebalance)?;
        }
        self.core.take_answers(&mut self.fetcher)?;
        self.core.configure()?;
        let commit = self.core.is_commit_due(Instant::now());
        if commit {
            let limit_ms = self.core.timeouts.transaction_ms;
            self.core.commit(self.fetcher.consumer(), limit_ms)?;
        }
        self.core.tick();
        Ok(commit)
    }

    /// Processes what has been fetched of any partition. If that is nothing, it is waited for,
    /// `wait` at most.
    fn take_batch(&mut self, wait: Duration) -> Result<(), Failure> {
        let topic = self.shared.job.input_topic();
        let room = self.core.room().min(MAX_BATCH);
        let batch = self.fetcher.batches().fetch(room, wait);
        if batch.is_empty() {
            return Ok(());
        }
        let started = Instant::now();
        let items = batch.iter();
        let items = items.map(|item| item.map(|record| InputRecord::of_batch(topic, &record)));
        self.core.batch(self.unreadable.readable(items))?;
        self.core.busy += started.elapsed();
        Ok(())
    }

    /// Pauses partitions that cannot be read, and tries them again when it is time.
    fn see_to_unreadable(&mut self) -> Result<(), Failure> {
        if self.unreadable.is_empty() {
            return Ok(());
        }
        let (core, topic, now) = (&mut self.core, self.shared.job.input_topic(), Instant::now());
        for number in self.unreadable.forget(|number| core.position(number)) {
            core.show_unreadable(number, None);
        }
        for number in self.unreadable.reported() {
            self.fetcher.pause(topic, number)?;
            let next = core.position(number).unwrap_or(0);
            if let Some(unreadable) = self.unreadable.paused(number, next, now) {
                core.show_unreadable(number, Some(unreadable));
                let what = unreadable.what(topic, number);
                tracing::error!(partition = number, retry_s = unreadable.pause.as_secs(), "{what}");
            }
        }
        for number in self.unreadable.due(now) {
            if let Some(next) = core.position(number)
                && self.fetcher.go_on(topic, number, next)?.is_ok()
            {
                self.unreadable.tried(number);
            }
        }
        for (number, unreadable) in self.unreadable.iter() {
            core.metrics.set_unreadable(number, unreadable.seconds());
        }
        Ok(())
    }

    /// Serves what is not about an assigned partition: rebalances are put in their queue, errors
    /// are looked at.
    fn serve_events(&mut self) -> Result<(), Failure> {
        while let Some(item) = self.fetcher.consumer().poll(Duration::ZERO) {
            match item {
                // None comes this way: a partition is routed before it is assigned.
                Ok(message) => self
                    .core
                    .run(&[InputRecord::of_message(&message)], Instant::now())?,
                Err(error) => self.core.consumer_error(&error)?,
            }
        }
        Ok(())
    }

    /// The last commit and snapshots.
    fn drain(&mut self) -> Result<(), WorkerError> {
        let deadline = Instant::now() + Duration::from_millis(self.core.timeouts.drain_ms);
        match self
            .core
            .commit(self.fetcher.consumer(), self.core.timeouts.drain_ms)
        {
            Ok(()) => {}
            Err(Failure::Stop(error)) => return Err(error),
            Err(Failure::Abort(reason)) => {
                // What was not committed is processed again by the next owner.
                tracing::warn!(reason, "the last transaction is aborted");
                self.core
                    .abort_and_rewind(self.fetcher.consumer(), &reason, deadline + ABORT)?;
            }
        }
        self.core.store_all(deadline);
        self.core.set_all_marks(deadline);
        Ok(())
    }

    /// Leaves the group at once after a drain, so that the others take over; after an error the
    /// membership is kept, as the restarted process is the same member.
    fn leave(&self, drained: bool) {
        let consumer = self.fetcher.consumer();
        consumer.context().close(consumer);
        if !drained {
            return;
        }
        leave_group(consumer);
    }
}
