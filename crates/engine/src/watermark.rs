//! The bounded-disorder watermark.

use crate::RestoreError;
use crate::snapshot::{StateReader, StateWriter};

/// A partition's watermark: its highest event time less the allowed disorder, or as far as it was
/// advanced; it never goes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watermark {
    max_disorder_ms: i64,
    max_event_time_ms: Option<i64>,
    current_ms: Option<i64>,
}

impl Watermark {
    /// A watermark before the first record. A negative disorder counts as none.
    #[must_use]
    pub fn new(max_disorder_ms: i64) -> Self {
        Self {
            max_disorder_ms: max_disorder_ms.max(0),
            max_event_time_ms: None,
            current_ms: None,
        }
    }

    /// Takes an event time; whether the watermark moved.
    #[inline]
    pub fn observe(&mut self, event_time_ms: i64) -> bool {
        if self.max_event_time_ms.is_some_and(|max| event_time_ms <= max) {
            return false;
        }
        self.max_event_time_ms = Some(event_time_ms);
        self.advance(event_time_ms.saturating_sub(self.max_disorder_ms))
    }

    /// Moves to `watermark_ms` if that is ahead; whether it was.
    #[inline]
    pub fn advance(&mut self, watermark_ms: i64) -> bool {
        let moves = self.current_ms.is_none_or(|current| watermark_ms > current);
        if moves {
            self.current_ms = Some(watermark_ms);
        }
        moves
    }

    /// Allows another disorder. The watermark stays where it is, and the next event time above all
    /// others moves it, if that less the new disorder is ahead: so it does not go back where more
    /// is allowed, and where less is, it catches up with the next record that is ahead, not before.
    pub fn allow_disorder(&mut self, max_disorder_ms: i64) {
        self.max_disorder_ms = max_disorder_ms.max(0);
    }

    /// The watermark in milliseconds since 1970; `None` before the first record and the first
    /// advance.
    #[inline]
    #[must_use]
    pub fn current_ms(&self) -> Option<i64> {
        self.current_ms
    }

    /// The highest event time observed, in milliseconds since 1970.
    #[must_use]
    pub fn max_event_time_ms(&self) -> Option<i64> {
        self.max_event_time_ms
    }

    /// Appends the state.
    pub fn snapshot(&self, writer: &mut StateWriter<'_>) {
        writer.option_i64(self.max_event_time_ms);
        writer.option_i64(self.current_ms);
    }

    /// Reads back what [`Watermark::snapshot`] wrote, whatever disorder was allowed before: the
    /// watermark may be behind the highest event time by more than is allowed now.
    ///
    /// # Errors
    /// The bytes are no such state.
    pub fn restore(max_disorder_ms: i64, reader: &mut StateReader<'_>) -> Result<Self, RestoreError> {
        let mut watermark = Self::new(max_disorder_ms);
        let at = reader.position();
        watermark.max_event_time_ms = reader.option_i64("highest event time")?;
        watermark.current_ms = reader.option_i64("watermark")?;
        // An event time always moves a watermark that there is not.
        if watermark.current_ms.is_none() && watermark.max_event_time_ms.is_some() {
            return Err(RestoreError::Invalid {
                what: "watermark",
                at,
            });
        }
        Ok(watermark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn is_the_highest_event_time_less_the_disorder_and_never_goes_back(
            first in 0_i64..1_000,
            steps in prop::collection::vec((0_u8..5, any::<i64>()), 0..50),
        ) {
            let mut disorder = first;
            let mut watermark = Watermark::new(disorder);
            let (mut expected, mut highest): (Option<i64>, Option<i64>) = (None, None);
            for (kind, value) in steps {
                if kind == 0 {
                    disorder = value.rem_euclid(1_000);
                    watermark.allow_disorder(disorder);
                    prop_assert_eq!(watermark.current_ms(), expected);
                    continue;
                }
                let is_record = kind < 3;
                let moved = if is_record { watermark.observe(value) } else { watermark.advance(value) };
                let is_ahead = !is_record || highest < Some(value);
                let to = if is_record { value.saturating_sub(disorder) } else { value };
                prop_assert_eq!(moved, is_ahead && expected < Some(to));
                if is_ahead {
                    expected = expected.max(Some(to));
                }
                if is_record {
                    highest = highest.max(Some(value));
                }
                prop_assert_eq!(watermark.current_ms(), expected);
                prop_assert_eq!(watermark.max_event_time_ms(), highest);

                let mut bytes = Vec::new();
                watermark.snapshot(&mut StateWriter::new(&mut bytes));
                let restored = Watermark::restore(disorder, &mut StateReader::new(&bytes)).unwrap();
                prop_assert_eq!(&restored, &watermark);
            }
        }

        #[test]
        fn a_restored_one_may_be_behind_the_present_disorder_and_catches_up_with_the_next_record(
            time in -1_000_000_i64..1_000_000,
            (before, after) in (0_i64..1_000, 0_i64..1_000),
        ) {
            let mut watermark = Watermark::new(before);
            watermark.observe(time);
            let mut bytes = Vec::new();
            watermark.snapshot(&mut StateWriter::new(&mut bytes));
            let mut restored = Watermark::restore(after, &mut StateReader::new(&bytes)).unwrap();
            prop_assert_eq!(restored.current_ms(), Some(time - before));
            restored.observe(time + 1);
            prop_assert_eq!(restored.current_ms(), Some((time - before).max(time + 1 - after)));
        }
    }
}
