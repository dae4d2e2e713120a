//! Partitions come, are restored, are rolled back, and go.

use std::time::{Duration, Instant};

use rdkafka::Offset;
use rdkafka::consumer::Consumer;

use super::context::Rebalance;
use super::core::Core;
use super::fetcher::{Client, Fetcher, failed, list};
use super::restore::Restored;
use super::side::{Answer, Request};
use crate::failure::Failure;
use crate::{Job, WorkerError};

/// How long an abort may take after a drain that had not enough time for its commit.
pub(super) const ABORT: Duration = Duration::from_secs(2);
/// How long looking up the ends of assigned partitions may take; librdkafka holds all partitions
/// back meanwhile.
const PLACES: Duration = Duration::from_secs(2);
/// How long a restored partition may wait for its seek before the consumer is made anew.
const SEEK_LIMIT: Duration = Duration::from_secs(30);

impl<J: Job> Core<J> {
    pub(super) fn rebalance(&mut self, fetcher: &mut Fetcher, rebalance: Rebalance) -> Result<(), Failure> {
        let result = match rebalance {
            Rebalance::Assign(numbers) => self.assign(fetcher, &numbers).map_err(Failure::from),
            Rebalance::Revoke(numbers) => self.revoke(fetcher, &numbers),
        };
        self.show_assignment();
        result
    }

    /// Adds partitions, paused until their state is restored.
    fn assign(&mut self, fetcher: &mut Fetcher, numbers: &[i32]) -> Result<(), WorkerError> {
        let topic = self.job.input_topic();
        for number in numbers {
            fetcher
                .route(topic, *number)
                .map_err(failed("assigning partitions"))?;
        }
        let consumer = fetcher.consumer();
        let partitions = list(topic, waiting_places(consumer, topic, numbers));
        let partitions = partitions.map_err(failed("assigning partitions"))?;
        consumer
            .incremental_assign(&partitions)
            .map_err(failed("assigning partitions"))?;
        if !numbers.is_empty() {
            consumer
                .pause(&partitions)
                .map_err(failed("pausing assigned partitions"))?;
        }
        self.joined = true;
        let now = Instant::now();
        if let Some(alignment) = &self.alignment {
            alignment.assigned(numbers, now);
        }
        for number in numbers {
            let (partition, epoch) = (*number, self.partitions.assign(*number, now));
            self.side.ask(Request::Restore { partition, epoch });
        }
        tracing::info!(
            operator = self.metrics.operator,
            thread = self.thread,
            ?numbers,
            "partitions assigned"
        );
        Ok(())
    }

    /// Gives partitions up. librdkafka gets its answer in any case: it would wait for ever.
    fn revoke(&mut self, fetcher: &mut Fetcher, numbers: &[i32]) -> Result<(), Failure> {
        let saved = self.save(fetcher.consumer(), numbers);
        self.partitions.give_up(numbers);
        fetcher.forget(numbers);
        self.starting
            .retain(|(_, restored)| !numbers.contains(&restored.partition));
        if let Some(alignment) = &self.alignment {
            alignment.given_up(numbers, Instant::now());
        }
        for number in numbers {
            self.side.ask(Request::Forget { partition: *number });
            self.metrics.forget_partition(*number);
        }
        let partitions = list(
            self.job.input_topic(),
            numbers.iter().map(|number| (*number, Offset::Invalid)),
        );
        partitions
            .and_then(|partitions| fetcher.consumer().incremental_unassign(&partitions))
            .map_err(failed("giving up partitions"))?;
        saved
    }

    /// The last commit and snapshots of partitions that go; nothing of those that were lost.
    fn save(&mut self, consumer: &Client, numbers: &[i32]) -> Result<(), Failure> {
        let deadline = Instant::now() + Duration::from_millis(self.timeouts.drain_ms);
        let lost = consumer.assignment_lost();
        tracing::info!(
            operator = self.metrics.operator,
            thread = self.thread,
            ?numbers,
            lost,
            "partitions revoked"
        );
        if lost {
            // Another worker may have them already; the brokers would refuse the commit.
            self.abort_and_rewind(consumer, "partitions were lost", deadline)?;
            return Ok(());
        }
        match self.commit(consumer, self.timeouts.drain_ms) {
            Ok(()) => {
                self.store_some(numbers, deadline);
                self.set_marks(numbers, deadline);
            }
            Err(Failure::Abort(reason)) => self.abort_and_rewind(consumer, &reason, deadline + ABORT)?,
            Err(stop) => return Err(stop),
        }
        Ok(())
    }

    /// Aborts the open transaction, by `deadline`, and rolls back every partition with uncommitted
    /// work.
    pub(super) fn abort_and_rewind(
        &mut self,
        consumer: &Client,
        reason: &str,
        deadline: Instant,
    ) -> Result<(), WorkerError> {
        let open = self.producer.is_open();
        tracing::warn!(
            operator = self.metrics.operator,
            thread = self.thread,
            reason,
            open,
            "rolling back"
        );
        self.producer
            .abort(deadline.saturating_duration_since(Instant::now()))?;
        if open {
            self.metrics.aborted.inc();
        }
        // Its failure is a part of what was aborted.
        self.outbox.take_failure();
        self.end_batch(false);
        self.rewind_dirty(consumer)
    }

    fn rewind_dirty(&mut self, consumer: &Client) -> Result<(), WorkerError> {
        for partition in self.partitions.dirty() {
            // From this call on, nothing fetched before is delivered.
            let paused = list(self.job.input_topic(), [(partition, Offset::Invalid)]);
            let paused = paused.and_then(|list| consumer.pause(&list));
            paused.map_err(failed("pausing a partition to roll it back"))?;
            let epoch = self.partitions.roll_back(partition, Instant::now());
            self.side.ask(Request::Restore { partition, epoch });
        }
        Ok(())
    }

    /// Takes what the helper thread has found.
    pub(super) fn take_answers(&mut self, fetcher: &mut Fetcher) -> Result<(), Failure> {
        while let Ok(answer) = self.side.answers.try_recv() {
            match answer {
                Answer::Restored(restored) => self.starting.push((Instant::now(), restored)),
                Answer::Probed(probed) => self.take_probed(&probed)?,
                Answer::Failed(error) => return Err(error.into()),
            }
        }
        for (ready, restored) in std::mem::take(&mut self.starting) {
            self.start(fetcher, ready, restored)?;
        }
        Ok(())
    }

    /// Lets a restored partition read from where its state is. A consumer that is not ready to seek
    /// is asked again.
    fn start(
        &mut self,
        fetcher: &mut Fetcher,
        ready: Instant,
        restored: Restored<J::Task>,
    ) -> Result<(), Failure> {
        let topic = self.job.input_topic();
        if !self.partitions.awaits(&restored) {
            return Ok(());
        }
        if let Err(reason) = fetcher.go_on(topic, restored.partition, restored.start)? {
            if ready.elapsed() > SEEK_LIMIT {
                return Err(Failure::Stop(WorkerError::Reconnect(format!(
                    "partition {} cannot be positioned: {reason}",
                    restored.partition
                ))));
            }
            self.starting.push((ready, restored));
            return Ok(());
        }
        let (partitions, mut effects) = self.effects();
        partitions.start(restored, &mut effects)
    }
}

/// Where assigned partitions wait for their restore: at their end, by its number.
///
/// It must not be a logical offset (end, beginning, stored): when the answer to librdkafka's
/// look-up of that comes after the seek, it looks it up again half a second later, and jumps there,
/// over records. And it must be in the log: a fetch may be under way before the pause, and one out
/// of range stops the partition for good. Where a leader does not answer, the start of a young log
/// is the best guess; if it is wrong, the consumer is made anew.
fn waiting_places(consumer: &Client, topic: &str, numbers: &[i32]) -> Vec<(i32, Offset)> {
    let ends = list(topic, numbers.iter().map(|number| (*number, Offset::End)))
        .and_then(|list| consumer.offsets_for_times(list, PLACES));
    let place = |number: &i32| {
        let end = ends
            .as_ref()
            .ok()
            .and_then(|ends| ends.find_partition(topic, *number));
        match end.map(|end| (end.error(), end.offset())) {
            Some((Ok(()), Offset::Offset(end))) => (*number, Offset::Offset(end)),
            _ => (*number, Offset::Offset(0)),
        }
    };
    numbers.iter().map(place).collect()
}
