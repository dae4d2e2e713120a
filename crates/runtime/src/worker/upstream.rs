//! How far the job that writes the input has got.
//!
//! A partition of its output is quiet while that job is down or behind, and yet not idle: what it
//! has still to read will come. So the ends of what it reads are kept, and once it has committed
//! all that was before them, the partition's silence counts as of the moment at which they were
//! asked for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace_kafka::reader::Reader;
use rdkafka::error::{KafkaError, KafkaResult};

use crate::job::Upstream;

/// How long the ends may take.
const ENDS: Duration = Duration::from_secs(2);

/// Follows the job that writes the input.
pub(super) struct UpstreamProgress {
    upstream: Upstream,
    /// In that job's group, and reads what is not committed too: an offset that a transaction is
    /// about to change does not make it wait.
    reader: Arc<Reader>,
    /// The ends of its input, by partition, and when they were asked for.
    asked: Option<(Instant, Vec<i64>)>,
    written_until: Option<Instant>,
}

impl UpstreamProgress {
    pub(super) fn new(upstream: Upstream, reader: Arc<Reader>) -> Self {
        Self {
            upstream,
            reader,
            asked: None,
            written_until: None,
        }
    }

    /// The moment up to which what that job reads is in its output; `None` where none is known.
    pub(super) fn look(&mut self, committed_reader: &Reader) -> Option<Instant> {
        if let Err(error) = self.try_look(committed_reader) {
            tracing::debug!(%error, group = self.upstream.group, "how far the input's writer has got is not known");
        }
        self.written_until
    }

    fn try_look(&mut self, committed_reader: &Reader) -> KafkaResult<()> {
        if let Some((at, ends)) = &self.asked {
            for (partition, end) in (0..).zip(ends) {
                if !self.has_read(partition, *end, committed_reader)? {
                    return Ok(());
                }
            }
            self.written_until = Some(*at);
        }
        let at = Instant::now();
        let topic = &self.upstream.topic;
        let partitions: Vec<i32> = (0..self.reader.partitions(topic)?).collect();
        let ends = self.reader.ends(topic, &partitions, ENDS)?;
        let ends: Option<Vec<i64>> = ends.into_iter().collect();
        self.asked = Some((at, ends.ok_or(KafkaError::Canceled)?));
        Ok(())
    }

    /// Whether every committed record before `end` has been read. Markers of transactions and what
    /// was aborted are no records.
    fn has_read(&self, partition: i32, end: i64, committed_reader: &Reader) -> KafkaResult<bool> {
        let topic = &self.upstream.topic;
        let next = match self.reader.committed(topic, partition)? {
            Some(next) => next,
            None => self.reader.bounds(topic, partition)?.0,
        };
        if next >= end {
            return Ok(true);
        }
        let stable = committed_reader.ends(topic, &[partition], ENDS)?;
        let is_settled = stable.first().is_some_and(|stable| *stable >= Some(end));
        Ok(is_settled && committed_reader.is_empty_from(topic, partition, next)?)
    }
}
