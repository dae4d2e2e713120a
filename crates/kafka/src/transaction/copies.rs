//! Copies of input records into the open transaction, no larger than their topic takes.

use std::time::{Duration, Instant};

use millrace_kafka_batch::flush;
use rdkafka::producer::{BaseRecord, Producer as _};

use super::{Failure, TransactionMetrics, TransactionalProducer, WAIT};
use crate::copies::{SourceRecord, copy};

impl TransactionalProducer {
    /// Sends a copy of `source` to `topic`, with the headers `said` first.
    ///
    /// # Errors
    /// As of [`Failure`].
    pub fn send_copy(
        &mut self,
        topic: &str,
        source: &SourceRecord<'_>,
        said: &[(&str, &[u8])],
        metrics: &TransactionMetrics,
    ) -> Result<(), Failure> {
        let limit = self.limits.of(topic, source.size_bytes());
        let copy = copy(source, said, limit);
        if copy.is_cut {
            metrics.truncated_copies.inc();
            tracing::warn!(
                topic,
                source = source.topic,
                partition = source.partition,
                offset = source.offset,
                limit,
                "a copy was cut to what its topic takes"
            );
        }
        self.make_room(copy.size_bytes, limit)?;
        self.send_by_itself(
            BaseRecord {
                topic,
                partition: None,
                payload: copy.payload,
                key: copy.key,
                timestamp: None,
                headers: Some(copy.headers),
                delivery_opaque: (),
            },
            metrics,
        )
    }

    /// A batch is refused as a whole if it is too large for its topic. So where that takes less
    /// than the client's batches may have, no more is left in the queue at once than the topic
    /// takes.
    fn make_room(&mut self, bytes: usize, limit: usize) -> Result<(), Failure> {
        if limit >= self.batch_bytes {
            return Ok(());
        }
        if self.unsent_copy_bytes + bytes > limit {
            self.wait_until_sent(Instant::now() + self.transaction_timeout)?;
        }
        self.unsent_copy_bytes += bytes;
        Ok(())
    }

    /// Waits until everything that the client has is acknowledged.
    pub(super) fn wait_until_sent(&mut self, deadline: Instant) -> Result<(), Failure> {
        while !flush(self.base().client(), WAIT) {
            self.base().poll(Duration::ZERO);
            self.check()?;
            if Instant::now() > deadline {
                return Err(Failure::Abort(
                    "the records were not acknowledged in time".to_owned(),
                ));
            }
        }
        self.unsent_copy_bytes = 0;
        self.check()
    }
}
