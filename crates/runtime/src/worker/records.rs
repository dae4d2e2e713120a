//! Fetched records, and the worker as its partitions see it.

use std::time::Instant;

use millrace_kafka_batch::Report;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::core::Core;
use super::effects::{Effects, Replayed};
use super::partitions::Partitions;
use crate::alignment::Alignment;
use crate::control::ControlRecord;
use crate::failure::Failure;
use crate::outbox::LiveOutbox;
use crate::{InputRecord, Job, Outbox, WorkerError};

impl<J: Job> Core<J> {
    /// Processes a batch.
    pub(super) fn batch<'b>(
        &mut self,
        items: impl Iterator<Item = Result<InputRecord<'b>, Report>>,
    ) -> Result<(), Failure> {
        let (partitions, mut effects) = self.effects();
        partitions.batch(items, &mut effects)?;
        // What is sent meanwhile need not be waited for at the commit.
        Ok(self.producer.hand_over(&self.metrics.transaction)?)
    }

    /// Whether a partition may take its next records. One that is being restored passes them over,
    /// and is heard where something is reported of it.
    pub(super) fn goes_on(&mut self, number: i32, now: Instant) -> bool {
        let (alignment, metrics) = (self.alignment.as_deref(), &self.metrics);
        let is_due = |event_time_ms| alignment.is_none_or(|it| it.may_go_on(number, event_time_ms, now));
        self.partitions
            .active_of(number)
            .is_none_or(|active| active.goes_on(is_due, || metrics.partition_waits.inc()))
    }

    /// Processes records of one partition that were fetched just before `now`.
    pub(super) fn run(&mut self, run: &[InputRecord<'_>], now: Instant) -> Result<(), Failure> {
        let (partitions, mut effects) = self.effects();
        partitions.run(run, now, &mut effects)
    }

    /// Gives its policy to every partition that has gone live with another, or whose job has
    /// another by now, whether or not records come.
    pub(super) fn configure(&mut self) -> Result<(), Failure> {
        self.partitions.follow(&*self.job);
        let (partitions, mut effects) = self.effects();
        partitions.configure(&mut effects)
    }

    /// The partitions, and what they can do.
    pub(super) fn effects(&mut self) -> (&mut Partitions<J::Task>, WorkerEffects<'_>) {
        let effects = WorkerEffects {
            outbox: LiveOutbox {
                producer: &mut self.producer,
                state: &mut self.outbox,
                metrics: &self.metrics,
            },
            topic: self.job.input_topic(),
            alignment: self.alignment.as_deref(),
            instance: &self.config.instance,
            instance_key: self.config.instance_key,
        };
        (&mut self.partitions, effects)
    }

    /// What the consumer reports in place of a record.
    pub(super) fn consumer_error(&mut self, error: &KafkaError) -> Result<(), Failure> {
        self.effects().1.reported(error)
    }
}

/// A worker's transaction, log and metrics.
pub(super) struct WorkerEffects<'a> {
    outbox: LiveOutbox<'a>,
    topic: &'a str,
    alignment: Option<&'a Alignment>,
    instance: &'a str,
    instance_key: &'static str,
}

impl Effects for WorkerEffects<'_> {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn begin(&mut self) -> Result<(), Failure> {
        Ok(self.outbox.producer.begin()?)
    }

    #[inline]
    fn outbox(&mut self) -> &mut dyn Outbox {
        &mut self.outbox
    }

    #[inline]
    fn admits(&self, record: &InputRecord<'_>, event_time_ms: Option<i64>, now: Instant) -> bool {
        match self.alignment {
            None => true,
            Some(alignment) => alignment.admits(record.partition, record.offset, event_time_ms, now),
        }
    }

    #[inline]
    fn take_failure(&mut self) -> Option<Failure> {
        self.outbox.state.take_failure()
    }

    fn sent(&self) -> u64 {
        self.outbox.state.sent
    }

    fn take_refusals(&mut self, partition: i32, offset: i64) -> Vec<ControlRecord> {
        self.outbox.state.refusals.take(partition, offset)
    }

    fn reported(&mut self, error: &KafkaError) -> Result<(), Failure> {
        match error {
            // Of the consumer, only another member with its name is fatal.
            KafkaError::MessageConsumptionFatal(code) => Err(Failure::Stop(WorkerError::NameTaken {
                instance: self.instance.to_owned(),
                key: self.instance_key,
                reason: code.to_string(),
            })),
            KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset) => {
                // Retention has overtaken a position, and librdkafka has stopped that partition for
                // good. Which one it is, and what to do, is found by restoring with a new consumer.
                Err(Failure::Stop(WorkerError::Reconnect(
                    "a position is out of the log's range".to_owned(),
                )))
            }
            KafkaError::MessageConsumption(
                RDKafkaErrorCode::BadMessage
                | RDKafkaErrorCode::BadCompression
                | RDKafkaErrorCode::InvalidMessage
                | RDKafkaErrorCode::MessageSizeTooLarge,
            ) => Err(Failure::Stop(WorkerError::Kafka {
                // Going on would leave records out in silence.
                action: format!("reading {}", self.topic),
                reason: error.clone(),
            })),
            // Logged already, and librdkafka's to mend.
            _ => Ok(()),
        }
    }

    fn went_live(&mut self, replayed: &Replayed) {
        let seconds = replayed.since.elapsed().as_secs_f64();
        self.outbox.metrics.restored_records.inc_by(replayed.records);
        self.outbox.metrics.restore_duration.observe(seconds);
        tracing::info!(
            partition = replayed.partition,
            offset = replayed.next,
            replayed = replayed.records,
            seconds,
            "partition live"
        );
    }
}
