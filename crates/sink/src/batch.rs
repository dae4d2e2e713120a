//! Batches: what is written as one, and which offsets it stands for.

use std::time::{Duration, Instant};

use millrace_kafka::copies::KeptRecord;

use crate::acknowledgement::{PartitionKey, Span};
use crate::sink::Item;

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
pub enum Work<I> {
    /// Write it to the store.
    Write(I),
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
pub(crate) struct Entry<I> {
    /// Where it was read.
    pub(crate) origin: Origin,
    /// What a dead letter is made of.
    pub(crate) record: KeptRecord,
    /// What is to be done.
    pub(crate) work: Work<I>,
}

impl<I> AsRef<Entry<I>> for Entry<I> {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl<I: Item> Entry<I> {
    /// About how many bytes it takes in a request.
    pub(crate) fn size_bytes(&self) -> usize {
        match &self.work {
            Work::Write(item) => item.size_bytes(),
            Work::DeadLetter { .. } => self.record.size_bytes(),
        }
    }
}

/// When a batch is complete. Each is at least 1.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of its items, about.
    pub bytes: usize,
    /// Items.
    pub items: usize,
    /// Age since its first record was read.
    pub age: Duration,
}

/// What is written as one, and the offsets that are done when it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Batch<I> {
    /// What is to be done, in the order read.
    pub(crate) entries: Vec<Entry<I>>,
    /// One span for each partition and assignment, over records without work too.
    pub(crate) spans: Vec<Span>,
}

impl<I> Default for Batch<I> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            spans: Vec::new(),
        }
    }
}

/// Collects records up to the limits.
#[derive(Debug)]
pub(crate) struct Batcher<I> {
    limits: Limits,
    batch: Batch<I>,
    bytes: usize,
    since: Option<Instant>,
}

impl<I: Item> Batcher<I> {
    /// An empty one.
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            batch: Batch::default(),
            bytes: 0,
            since: None,
        }
    }

    /// Notes that a record was read: `span` is from the partition's last record to this one.
    pub(crate) fn cover(&mut self, span: Span, now: Instant) {
        self.since.get_or_insert(now);
        let same =
            |known: &&mut Span| (known.partition, known.assignment) == (span.partition, span.assignment);
        match self.batch.spans.iter_mut().find(same) {
            Some(known) => known.to = span.to,
            None => self.batch.spans.push(span),
        }
    }

    /// Adds a record that is to be worked on, already covered.
    pub(crate) fn push(&mut self, entry: Entry<I>) {
        self.bytes += entry.size_bytes();
        self.batch.entries.push(entry);
    }

    /// Whether a limit of size is reached, so that nothing more should be read before the batch is
    /// taken.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes >= self.limits.bytes || self.batch.entries.len() >= self.limits.items
    }

    /// Whether it is time to send what is there.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.is_full() || self.due_in(now).is_some_and(|wait| wait.is_zero())
    }

    /// How long until age makes the batch due; `None` if nothing was read.
    pub(crate) fn due_in(&self, now: Instant) -> Option<Duration> {
        let age = now.saturating_duration_since(self.since?);
        Some(self.limits.age.saturating_sub(age))
    }

    /// Whether nothing was read since the last was taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.since.is_none()
    }

    /// Whether there is work to do, not offsets alone.
    pub(crate) fn has_work(&self) -> bool {
        !self.batch.entries.is_empty()
    }

    /// Takes the batch and starts the next.
    pub(crate) fn take(&mut self) -> Batch<I> {
        self.bytes = 0;
        self.since = None;
        std::mem::take(&mut self.batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::SourceId;

    #[derive(Debug)]
    struct Text(String);

    impl Item for Text {
        type Target = ();
        fn target(&self) {}
        fn size_bytes(&self) -> usize {
            self.0.len()
        }
    }

    const PARTITION: PartitionKey = PartitionKey {
        source: SourceId(1),
        partition: 1,
    };

    fn limits(bytes: usize, items: usize) -> Limits {
        Limits {
            bytes,
            items,
            age: Duration::from_millis(500),
        }
    }

    fn entry(offset: i64) -> Entry<Text> {
        Entry {
            origin: Origin {
                partition: PARTITION,
                offset,
            },
            record: KeptRecord {
                payload: Some(vec![0; 100]),
                ..KeptRecord::default()
            },
            work: Work::Write(Text("x".repeat(320))),
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
    fn items_fill_it() {
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
        let mut batcher = Batcher::<Text>::new(limits(usize::MAX, usize::MAX));
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
