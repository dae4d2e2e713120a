//! Where records come from.

use std::time::Duration;

use rdkafka::message::OwnedHeaders;

use crate::Entry;

/// Which partition a record goes to. Records of one partition keep their order only if all are sent
/// by the same of these rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Partition {
    /// That of its key, as every Java client chooses it: murmur2. A record without a key goes to
    /// any.
    #[default]
    OfKey,
    /// This one.
    Number(u32),
    /// Any, which the client picks.
    Any,
}

/// A record to be sent. Its buffers are used again for the next.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// The topic, by its place in [`Topics::records`](crate::Topics::records); of no matter for an
    /// aside.
    pub topic: usize,
    /// Which partition it goes to.
    pub partition: Partition,
    /// Its value.
    pub value: Vec<u8>,
    /// Its headers. A record that has any is handed over alone, in its turn: of many a second, only
    /// some should.
    pub headers: Option<OwnedHeaders>,
    key: Vec<u8>,
    has_key: bool,
}

impl Record {
    /// An empty one without a key, for the partition of its key, on the first topic.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes it as new, but for the memory that it has.
    #[inline]
    pub fn clear(&mut self) {
        (self.topic, self.partition, self.has_key) = (0, Partition::OfKey, false);
        self.key.clear();
        self.value.clear();
        self.headers = None;
    }

    /// Gives it a key.
    #[inline]
    pub fn set_key(&mut self, key: &[u8]) {
        self.key.clear();
        self.key.extend_from_slice(key);
        self.has_key = true;
    }

    /// Its key.
    #[inline]
    #[must_use]
    pub fn key(&self) -> Option<&[u8]> {
        self.has_key.then_some(&*self.key)
    }
}

/// What a source has next.
#[derive(Debug)]
pub enum Next<E> {
    /// A record, which is in the buffer.
    Record(E),
    /// Nothing before this time has passed.
    Wait(Duration),
    /// Nothing any more.
    End,
}

/// Where one sending thread takes its records from.
pub trait Source: Send + 'static {
    /// What is kept of a record until its outcome is known.
    type Entry: Entry;
    /// Kept while records are made one after the other, a few thousand at most.
    type Round;

    /// Begins such a round.
    fn round(&mut self) -> Self::Round;

    /// The next record, in `record`, which is empty.
    ///
    /// # Errors
    /// Only what ends the run, as a file that cannot be read on.
    fn next(&mut self, record: &mut Record) -> anyhow::Result<Next<Self::Entry>>;

    /// An aside: a record that belongs to those so far, on a topic of its own. It is sent after
    /// them. Its bytes go into `record`, which is empty.
    fn next_aside(&mut self, record: &mut Record) -> Option<Self::Entry> {
        let _ = record;
        None
    }

    /// Waits for so long, as [`Next::Wait`] asked. A source that others give its records returns as
    /// soon as it has one.
    fn wait(&mut self, time: Duration) {
        std::thread::sleep(time);
    }

    /// Tells up to which event time first records of this thread have been acknowledged.
    fn acknowledged_until(&mut self, event_time_ms: i64) {
        let _ = event_time_ms;
    }
}

impl<S: Source + ?Sized> Source for Box<S> {
    type Entry = S::Entry;
    type Round = S::Round;

    fn round(&mut self) -> Self::Round {
        (**self).round()
    }

    #[inline]
    fn next(&mut self, record: &mut Record) -> anyhow::Result<Next<Self::Entry>> {
        (**self).next(record)
    }

    #[inline]
    fn next_aside(&mut self, record: &mut Record) -> Option<Self::Entry> {
        (**self).next_aside(record)
    }

    fn wait(&mut self, time: Duration) {
        (**self).wait(time);
    }

    fn acknowledged_until(&mut self, event_time_ms: i64) {
        (**self).acknowledged_until(event_time_ms);
    }
}
