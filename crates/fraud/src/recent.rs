//! The recent purchases of users, in runs of [`millrace_engine::keyed`].

use millrace_domain::TransactionId;
use millrace_engine::keyed::{self, Entry};

/// A user's run of recent purchases, the earliest first; of those with one event time, the first to
/// come.
pub(crate) type Run = keyed::Run<Recent>;
/// The pool of all runs of a partition.
pub(crate) type RecentPool = keyed::Runs<Recent>;
/// The runs of a pool when it was frozen.
pub(crate) type FrozenRecent = keyed::FrozenRuns<Recent>;
/// The purchases of a run.
pub(crate) type Entries<'a> = keyed::Entries<'a, Recent>;

/// A purchase in a run: 24 bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C)]
pub(crate) struct Recent {
    /// The low half of its event time: with the user's highest event time, less than 49 days later,
    /// it gives the whole.
    pub(crate) time_low: u32,
    /// The amount as a multiple of the user's usual one when it came; 0 while that was unknown.
    pub(crate) ratio: f32,
    /// Its id.
    pub(crate) id: TransactionId,
}

const _: () = assert!(size_of::<Recent>() == 24 && size_of::<Run>() == 32);

impl Entry for Recent {
    const NONE: Self = Self {
        time_low: 0,
        ratio: 0.0,
        id: TransactionId::from_bytes([0; 16]),
    };
}

impl Recent {
    /// The event time, given a time that is at or less than 49 days after it.
    #[inline]
    pub(crate) fn time_ms(&self, newest_ms: i64) -> i64 {
        newest_ms - i64::from((newest_ms as u32).wrapping_sub(self.time_low))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_time_comes_back_from_its_low_half(newest in 0_i64..253_402_300_799_999, age in 0_i64..86_400_000) {
            let entry = Recent { time_low: (newest - age) as u32, ..Recent::NONE };
            prop_assert_eq!(entry.time_ms(newest), newest - age);
        }
    }
}
