//! Event times in six bytes.

/// An event time, or one before all of them: in profiles, of which there are millions. Milliseconds
/// since 1970 up to the year 10,000 and beyond need 48 bits.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C, packed(2))]
pub(crate) struct EventTime {
    /// The low bits of the milliseconds plus one, so that 0 is never.
    low: u32,
    high: u16,
}

impl EventTime {
    /// Before every event time.
    pub(crate) const NEVER: Self = Self { low: 0, high: 0 };
    /// What [`EventTime::ms`] gives for never.
    const NEVER_MS: i64 = -1;
    /// The latest that there is.
    const MAX_MS: i64 = (1 << 48) - 2;

    /// From -1, for never, on. Transactions and what the rules add to their times stay below
    /// [`EventTime::MAX_MS`]: a later one becomes that.
    #[inline]
    pub(crate) const fn of_ms(ms: i64) -> Self {
        debug_assert!(Self::NEVER_MS <= ms && ms <= Self::MAX_MS);
        let bits = if ms < Self::MAX_MS {
            ms + 1
        } else {
            Self::MAX_MS + 1
        };
        Self {
            low: bits as u32,
            high: (bits >> 32) as u16,
        }
    }

    /// Of something that may be no event time.
    pub(crate) fn checked(ms: i64) -> Option<Self> {
        (0..=Self::MAX_MS).contains(&ms).then(|| Self::of_ms(ms))
    }

    /// In milliseconds since 1970.
    #[inline]
    pub(crate) const fn ms(self) -> i64 {
        ((self.high as i64) << 32 | self.low as i64) - 1
    }

    /// Whether it is never.
    #[inline]
    pub(crate) fn is_never(self) -> bool {
        self == Self::NEVER
    }
}

impl std::fmt::Debug for EventTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ms", self.ms())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn comes_back(ms in EventTime::NEVER_MS..=EventTime::MAX_MS) {
            prop_assert_eq!(EventTime::of_ms(ms).ms(), ms);
        }
    }

    #[test]
    fn never_is_before_every_event_time() {
        assert_eq!(EventTime::NEVER.ms(), EventTime::NEVER_MS);
        assert!(EventTime::of_ms(EventTime::NEVER_MS).is_never() && !EventTime::of_ms(0).is_never());
        assert_eq!(EventTime::checked(-1), None);
        assert_eq!(EventTime::checked(EventTime::MAX_MS + 1), None);
        assert_eq!(size_of::<EventTime>(), 6);
    }
}
