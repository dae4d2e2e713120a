//! Batches: what goes into one bulk request, and which offsets it stands for.

use std::time::{Duration, Instant};

use millrace_kafka::copies::KeptRecord;

use crate::acknowledgement::{PartitionKey, Span};
use crate::document::Document;

use super::encode::size_of;

/// Where a record was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The topic and partition.
    pub partition: PartitionKey,
    /// The offset.
    pub offset: i64,
}

/// What is to be done with a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// Write it to Elasticsearch.
    Index(Document),
    /// Send it to its topic's dead letters.
    DeadLetter {
        /// The bounded name of the reason.
        code: &'static str,
        /// The reason in words.
        error: String,
    },
}

/// A record with the bytes it had, which a dead letter needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it was read.
    pub origin: Origin,
    /// What a dead letter is made of.
    pub record: KeptRecord,
    /// What is to be done.
    pub work: Work,
}

impl AsRef<Entry> for Entry {
    fn as_ref(&self) -> &Entry {
        self
    }
}

impl Entry {
    /// About how many bytes it takes in a request.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        match &self.work {
            Work::Index(document) => size_of(document),
            Work::DeadLetter { .. } => self.record.size_bytes(),
        }
    }
}

/// When a batch is complete. Each is at least 1.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of the request, about.
    pub bytes: usize,
    /// Documents.
    pub actions: usize,
    /// Age since its first record was read.
    pub age: Duration,
}

/// What is written as one, and the offsets that are done when it is.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// What is to be done, in the order read.
    pub entries: Vec<Entry>,
    /// One span for each partition and assignment, over records without work too.
    pub spans: Vec<Span>,
}

/// Collects records up to the limits.
#[derive(Debug)]
pub struct Batcher {
    limits: Limits,
    batch: Batch,
    bytes: usize,
    since: Option<Instant>,
}

impl Batcher {
    /// An empty one.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            batch: Batch::default(),
            bytes: 0,
            since: None,
        }
    }

    /// Notes that a record was read: `span` is from the partition's last record to this one.
    pub fn cover(&mut self, span: Span, now: Instant) {
        self.since.get_or_insert(now);
        let same =
            |known: &&mut Span| (known.partition, known.assignment) == (span.partition, span.assignment);
        match self.batch.spans.iter_mut().find(same) {
            Some(known) => known.to = span.to,
            None => self.batch.spans.push(span),
        }
    }

    /// Adds a record that is to be worked on, already covered.
    pub fn push(&mut self, entry: Entry) {
        self.bytes += entry.size_bytes();
        self.batch.entries.push(entry);
    }

    /// Whether a limit of size is reached, so that nothing more should be read before the batch is
    /// taken.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.bytes >= self.limits.bytes || self.batch.entries.len() >= self.limits.actions
    }

    /// Whether it is time to send what is there.
    #[must_use]
    pub fn is_due(&self, now: Instant) -> bool {
        self.is_full() || self.due_in(now).is_some_and(|wait| wait.is_zero())
    }

    /// How long until age makes the batch due; `None` if nothing was read.
    #[must_use]
    pub fn due_in(&self, now: Instant) -> Option<Duration> {
        let age = now.saturating_duration_since(self.since?);
        Some(self.limits.age.saturating_sub(age))
    }

    /// Whether nothing was read since the last was taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.since.is_none()
    }

    /// Whether there is work to do, not offsets alone.
    #[must_use]
    pub fn has_work(&self) -> bool {
        !self.batch.entries.is_empty()
    }

    /// Takes the batch and starts the next.
    pub fn take(&mut self) -> Batch {
        self.bytes = 0;
        self.since = None;
        std::mem::take(&mut self.batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::{Month, Stream};

    const PARTITION: PartitionKey = PartitionKey {
        stream: Stream::Aggregates,
        partition: 1,
    };

    fn limits(bytes: usize, actions: usize) -> Limits {
        Limits {
            bytes,
            actions,
            age: Duration::from_millis(500),
        }
    }

    fn entry(offset: i64) -> Entry {
        Entry {
            origin: Origin {
                partition: PARTITION,
                offset,
            },
            record: KeptRecord {
                payload: Some(vec![0; 100]),
                ..KeptRecord::default()
            },
            work: Work::Index(Document {
                stream: Stream::Aggregates,
                month: Month::of(0).unwrap(),
                id: offset.to_string(),
                version: 1,
                source: "x".repeat(200),
            }),
        }
    }

    fn span(from: i64, to: i64) -> Span {
        Span {
            partition: PARTITION,
            from,
            to,
            assignment: 1,
        }
    }

    #[test]
    fn actions_fill_it() {
        let mut batcher = Batcher::new(limits(usize::MAX, 3));
        for offset in 0..3 {
            assert!(!batcher.is_full());
            batcher.push(entry(offset));
        }
        assert!(batcher.is_full());
        assert_eq!(batcher.take().entries.len(), 3);
        assert!(!batcher.is_full() && batcher.is_empty());
    }

    #[test]
    fn bytes_fill_it() {
        let mut batcher = Batcher::new(limits(1_000, usize::MAX));
        let mut count = 0;
        while !batcher.is_full() {
            batcher.push(entry(count));
            count += 1;
        }
        let bytes: usize = batcher.take().entries.iter().map(Entry::size_bytes).sum();
        assert!((1_000..1_400).contains(&bytes), "{bytes}");
    }

    #[test]
    fn age_counts_from_the_first_record_even_one_without_work() {
        let mut batcher = Batcher::new(limits(usize::MAX, usize::MAX));
        let start = Instant::now();
        assert_eq!(batcher.due_in(start), None);
        assert!(!batcher.is_due(start + Duration::from_secs(9)));
        batcher.cover(span(7, 8), start);
        batcher.cover(span(8, 9), start + Duration::from_millis(400));
        assert_eq!(
            batcher.due_in(start + Duration::from_millis(400)),
            Some(Duration::from_millis(100))
        );
        assert!(!batcher.is_due(start + Duration::from_millis(499)));
        assert!(batcher.is_due(start + Duration::from_millis(500)));
        assert!(!batcher.has_work());
        assert_eq!(batcher.take().spans, [span(7, 9)]);
    }
}
