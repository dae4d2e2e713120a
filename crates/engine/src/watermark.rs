//! The bounded-disorder watermark.

use crate::RestoreError;
use crate::snapshot::{StateReader, StateWriter};

/// A partition's watermark: its highest event time less the allowed disorder, or as far as it was advanced; it never
/// goes back.
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

    /// The watermark in milliseconds since 1970; `None` before the first record and the first advance.
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

    /// Reads back what [`Watermark::snapshot`] wrote, for the same allowed disorder.
    ///
    /// # Errors
    /// The bytes are no such state.
    pub fn restore(max_disorder_ms: i64, reader: &mut StateReader<'_>) -> Result<Self, RestoreError> {
        let mut watermark = Self::new(max_disorder_ms);
        let at = reader.position();
        watermark.max_event_time_ms = reader.option_i64("highest event time")?;
        watermark.current_ms = reader.option_i64("watermark")?;
        let least = watermark
            .max_event_time_ms
            .map(|max| max.saturating_sub(watermark.max_disorder_ms));
        if watermark.current_ms < least {
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
            disorder in 0_i64..1_000,
            steps in prop::collection::vec((any::<bool>(), any::<i64>()), 0..50),
        ) {
            let mut watermark = Watermark::new(disorder);
            let mut expected: Option<i64> = None;
            for (is_record, value) in steps {
                let to = if is_record { value.saturating_sub(disorder) } else { value };
                let moved = if is_record { watermark.observe(value) } else { watermark.advance(value) };
                prop_assert_eq!(moved, expected < Some(to));
                expected = expected.max(Some(to));
                prop_assert_eq!(watermark.current_ms(), expected);

                let mut bytes = Vec::new();
                watermark.snapshot(&mut StateWriter::new(&mut bytes));
                let restored = Watermark::restore(disorder, &mut StateReader::new(&bytes)).unwrap();
                prop_assert_eq!(&restored, &watermark);
            }
        }
    }
}
