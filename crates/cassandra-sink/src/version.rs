//! Which of several writes of a row stays: the one of the highest write timestamp.
//!
//! Cassandra keeps, of each column, the value with the highest timestamp, whenever it arrives; of
//! two with the same timestamp the greater value, column by column. So a timestamp is made of the
//! record alone, never of a clock: the same record has the same one in every replay, and no two
//! records of a row that differ may share one, or the row could be half of each.
//!
//! * Of final results and anomalies, the first in the log stays, as in Elasticsearch: an event time
//!   in microseconds less the offset. All records of a row lie in one partition.
//! * An early result is below every final one, and above those of lower revisions: less by more
//!   than any offset, plus its revision, which is negative. Two of one revision could be mixed
//!   until the next comes; a job writes none twice.
//!
//! Timestamps are close to the event time, so that a compaction by time windows finds the rows of a
//! day together, and a delete by hand, which has the server's clock, goes before every row there
//! is.

/// Microseconds by which an early result is below a final one: 19 hours, and more than the offset
/// of any record.
const EARLY: i64 = 1 << 36;

/// The timestamp of a record of which the first in the log stays.
pub(crate) fn first_stays(time_ms: i64, offset: i64) -> i64 {
    time_ms * 1_000 - offset.clamp(0, EARLY - 1)
}

/// The timestamp of a result of a window, by its revision: 0 is the final one.
pub(crate) fn of_revision(time_ms: i64, revision: i32, offset: i64) -> i64 {
    match revision {
        0 => first_stays(time_ms, offset),
        ..0 => time_ms * 1_000 - EARLY + i64::from(revision),
        1.. => time_ms * 1_000 + i64::from(revision),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The last day of the year 9999.
    const LAST_MS: i64 = 253_402_300_799_999;

    proptest! {
        #[test]
        fn the_higher_revision_stays_whatever_the_offsets(
            time_ms in 0..=LAST_MS,
            (low, high) in (i32::MIN..i32::MAX).prop_flat_map(|low| (Just(low), low + 1..=i32::MAX)),
            offsets in (0..EARLY, 0..EARLY),
        ) {
            let (below, above) = (of_revision(time_ms, low, offsets.0), of_revision(time_ms, high, offsets.1));
            prop_assert!(below < above, "{low} at {below}, {high} at {above}");
        }

        #[test]
        fn the_first_in_the_log_stays(time_ms in 0..=LAST_MS, first in 0..EARLY - 1, later in 1..EARLY) {
            prop_assume!(first + later < EARLY);
            prop_assert!(first_stays(time_ms, first) > first_stays(time_ms, first + later));
            prop_assert!(of_revision(time_ms, 0, first) > of_revision(time_ms, 0, first + later));
        }
    }

    #[test]
    fn timestamps_stay_near_the_event() {
        let time_ms = 1_767_225_600_000;
        assert_eq!(first_stays(time_ms, 0), 1_767_225_600_000_000);
        assert_eq!(first_stays(time_ms, 7), 1_767_225_599_999_993);
        let day_us = 86_400_000_000;
        let early = of_revision(time_ms, i32::MIN, 0);
        assert!(time_ms * 1_000 - early < day_us, "{early}");
    }
}
