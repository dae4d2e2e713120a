//! From what stage 1 sends to the records of the partials topic.

use std::mem::discriminant;

use super::aggregation::Key;
use super::records::{Content, Contribution, PartialOutput, Record};

/// The most contributions in a record: with sums of 16 bytes, some 6 KiB. What has more keys that
/// go together in a window has several records.
const MOST_CONTRIBUTIONS: usize = 64;

/// The records that tell a source partition's outputs, in their order. What it has of one window's
/// keys that go together ([`Key::goes_with`]) comes out one after the other and makes one record:
/// for the client and the brokers each record costs many times what its contributions do.
pub fn records<K: Key, T: Copy>(
    source_partition: i32,
    outputs: &[PartialOutput<K, T>],
) -> impl Iterator<Item = Record<K, T>> + use<'_, K, T> {
    outputs
        .chunk_by(PartialOutput::goes_with)
        .flat_map(|run| run.chunks(MOST_CONTRIBUTIONS))
        .filter_map(move |run| {
            let first = run.first()?;
            Some(Record {
                source_partition,
                watermark_ms: first.watermark_ms(),
                complete_ms: first.complete_ms(),
                content: content(first, run),
            })
        })
}

impl<K: Key, T: Copy> PartialOutput<K, T> {
    /// Whether the next one is told in the same record.
    fn goes_with(&self, next: &Self) -> bool {
        let is_of_same_window = self
            .contribution()
            .zip(next.contribution())
            .is_some_and(|(one, next)| one.goes_with(next));
        is_of_same_window
            && discriminant(self) == discriminant(next)
            && self.watermark_ms() == next.watermark_ms()
    }

    fn watermark_ms(&self) -> i64 {
        let (Self::Contribution { watermark_ms, .. }
        | Self::Early { watermark_ms, .. }
        | Self::Watermark { watermark_ms, .. }) = *self;
        watermark_ms
    }

    fn complete_ms(&self) -> Option<i64> {
        match *self {
            Self::Watermark { complete_ms, .. } => Some(complete_ms),
            Self::Contribution { .. } | Self::Early { .. } => None,
        }
    }

    fn contribution(&self) -> Option<&Contribution<K, T>> {
        match self {
            Self::Contribution { contribution, .. } | Self::Early { contribution, .. } => Some(contribution),
            Self::Watermark { .. } => None,
        }
    }
}

impl<K: Key, T> Contribution<K, T> {
    /// Whether another is to the same window, of a key that goes with this one's.
    fn goes_with(&self, other: &Self) -> bool {
        let bounds = |of: &Self| (of.window_start_ms, of.window_end_ms);
        self.key.goes_with(&other.key) && bounds(self) == bounds(other)
    }
}

/// What outputs of the first one's kind tell together.
fn content<K: Key, T: Copy>(first: &PartialOutput<K, T>, run: &[PartialOutput<K, T>]) -> Content<K, T> {
    let contributions = || {
        run.iter()
            .filter_map(PartialOutput::contribution)
            .copied()
            .collect()
    };
    match first {
        PartialOutput::Contribution { .. } => Content::Final(contributions()),
        PartialOutput::Early { .. } => Content::Early(contributions()),
        PartialOutput::Watermark { .. } => Content::Watermark,
    }
}
