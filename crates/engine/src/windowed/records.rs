//! What the stages take and give.

/// What one source partition adds to one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contribution<K, T> {
    /// Whose group.
    pub key: K,
    /// Start of the window, inclusive, in milliseconds since 1970.
    pub window_start_ms: i64,
    /// End of the window, exclusive.
    pub window_end_ms: i64,
    /// What the source's events add up to.
    pub totals: T,
}

/// What stage 1 sends to the partials topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartialOutput<K, T> {
    /// For the key's partition.
    Contribution {
        /// The watermark before the step that closed the window: the new one is not true yet of
        /// what follows.
        watermark_ms: i64,
        /// What the source partition adds to the window.
        contribution: Contribution<K, T>,
    },
    /// For the key's partition.
    Early {
        /// The watermark at which it is due: what it closes was sent before.
        watermark_ms: i64,
        /// What the source partition has of an open window so far, in full.
        contribution: Contribution<K, T>,
    },
    /// For every partition of the topic: what the source has closed was sent earlier.
    Watermark {
        /// The new watermark.
        watermark_ms: i64,
        /// Every record before this event time was sent in a contribution, and none before it comes
        /// any more: where the last window ends before which none is open.
        complete_ms: i64,
    },
}

/// One record of the partials topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<K, T> {
    /// The partition of the source topic.
    pub source_partition: i32,
    /// The source's watermark.
    pub watermark_ms: i64,
    /// With a watermark alone: every event of the source before this time was sent in a
    /// contribution, and none before it comes any more. `None` in what a release before wrote, too.
    pub complete_ms: Option<i64>,
    /// What it tells.
    pub content: Content<K, T>,
}

/// What a record of the partials topic tells: of one window's keys that go together, or of every
/// one. Contributions are at least one, each of another key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content<K, T> {
    /// How far the source's watermark has come: goes to every partition.
    Watermark,
    /// What the source adds to a window that closes, for the final results: sent once.
    Final(Vec<Contribution<K, T>>),
    /// What it has of an open window so far, for early results alone.
    Early(Vec<Contribution<K, T>>),
}

impl<K, T> Content<K, T> {
    /// What it tells of a window; none in a watermark.
    #[must_use]
    pub fn contributions(&self) -> &[Contribution<K, T>] {
        match self {
            Self::Watermark => &[],
            Self::Final(contributions) | Self::Early(contributions) => contributions,
        }
    }
}

impl<K, T> Record<K, T> {
    /// Whose partition it goes to: that of its first key. `None` for a watermark, which goes to
    /// every one.
    #[must_use]
    pub fn key(&self) -> Option<&K> {
        let first = self.content.contributions().first()?;
        Some(&first.key)
    }
}

/// The final result of one group, or an early one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aggregate<K, T> {
    /// Whose group.
    pub key: K,
    /// Start of the window, inclusive, in milliseconds since 1970.
    pub window_start_ms: i64,
    /// End of the window, exclusive.
    pub window_end_ms: i64,
    /// What its events add up to.
    pub totals: T,
    /// [`FINAL`], or below it for an early result: then it is how far the watermark is from closing
    /// the window, in milliseconds, as a negative number. So it rises, whatever the interval of
    /// early results.
    pub revision: i32,
}

/// The revision of a final result.
pub const FINAL: i32 = 0;

impl<K, T> Aggregate<K, T> {
    /// Whether it is the final result: no other comes for the same group.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        self.revision == FINAL
    }
}
