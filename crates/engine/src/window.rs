//! Tumbling windows: event time cut into spans of one size, aligned to 1970.

/// Windows of one size; each takes its start and leaves its end to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TumblingWindows {
    size_ms: i64,
}

impl TumblingWindows {
    /// Windows of `size_ms`; `None` unless that is above 0.
    #[must_use]
    pub fn new(size_ms: i64) -> Option<Self> {
        (size_ms > 0).then_some(Self { size_ms })
    }

    /// Windows of `size_ms`, and of 1 ms where that is less.
    #[must_use]
    pub fn at_least_1_ms(size_ms: i64) -> Self {
        Self {
            size_ms: size_ms.max(1),
        }
    }

    /// The size in milliseconds.
    #[must_use]
    pub fn size_ms(self) -> i64 {
        self.size_ms
    }

    /// The start of the window that `time_ms` is in: the highest multiple of the size that is not
    /// above it, also before 1970. At the very ends of the range of 64 bits it stays there, in
    /// place of an overflow.
    #[inline]
    #[must_use]
    pub fn start_of(self, time_ms: i64) -> i64 {
        time_ms.saturating_sub(time_ms.rem_euclid(self.size_ms))
    }

    /// The end, exclusive, of the window that starts at `start_ms`.
    #[inline]
    #[must_use]
    pub fn end_of(self, start_ms: i64) -> i64 {
        start_ms.saturating_add(self.size_ms)
    }

    /// The first boundary between windows at or after a time.
    #[inline]
    #[must_use]
    pub fn boundary_from(self, time_ms: i64) -> i64 {
        let start_ms = self.start_of(time_ms);
        if start_ms == time_ms {
            start_ms
        } else {
            self.end_of(start_ms)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_time_is_in_exactly_its_window(
            size in 1_i64..=86_400_000,
            time in -4_000_000_000_000_i64..4_000_000_000_000,
        ) {
            let windows = TumblingWindows::new(size).unwrap();
            let start = windows.start_of(time);
            prop_assert!(start <= time && time < windows.end_of(start));
            prop_assert_eq!(start % size, 0);
            prop_assert_eq!(windows.start_of(windows.end_of(start)), windows.end_of(start));
            prop_assert_eq!(windows.boundary_from(start), start);
            prop_assert!(start == time || windows.boundary_from(time) == windows.end_of(start));
        }

        #[test]
        fn no_time_overflows(size in 1_i64..=i64::MAX, time: i64) {
            let windows = TumblingWindows::new(size).unwrap();
            let start = windows.start_of(time);
            prop_assert!(start <= time);
            prop_assert!(windows.end_of(start) >= start);
        }
    }

    #[test]
    fn before_1970_windows_do_not_fold_over() {
        let windows = TumblingWindows::new(60_000).unwrap();
        assert_eq!(windows.start_of(-1), -60_000);
        assert_eq!(windows.start_of(-60_000), -60_000);
        assert_eq!(windows.start_of(0), 0);
        assert_eq!(TumblingWindows::new(0), None);
        assert_eq!(TumblingWindows::new(-1), None);
    }
}
