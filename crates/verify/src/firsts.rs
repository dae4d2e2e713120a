//! The time of each partition's first record, to tell what retention has removed.

use std::collections::{BTreeMap, BTreeSet};

/// By partition, in milliseconds since 1970.
#[derive(Debug, Default)]
pub(super) struct Firsts(BTreeMap<i32, i64>);

impl Firsts {
    /// Takes a record's time; only the first of a partition counts.
    pub(super) fn take(&mut self, partition: i32, time_ms: i64) {
        self.0.entry(partition).or_insert(time_ms);
    }

    /// The latest time of the first records of partitions that have lost their beginning: no record
    /// with a later time is among what they lost. A partition with nothing left has lost no more
    /// than the others, as they have one retention; `i64::MAX` where none has anything left, `None`
    /// where none has lost anything.
    pub(super) fn latest(&self, truncated: &BTreeSet<i32>) -> Option<i64> {
        let of = |partition: &i32| self.0.get(partition).copied();
        let latest = truncated.iter().filter_map(of).max();
        latest.or((!truncated.is_empty()).then_some(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_ends_where_the_last_partition_begins() {
        let mut firsts = Firsts::default();
        for (partition, time_ms) in [(0, 10), (0, 5), (1, 20), (1, 90), (2, 70)] {
            firsts.take(partition, time_ms);
        }
        assert_eq!(firsts.latest(&BTreeSet::new()), None);
        assert_eq!(firsts.latest(&BTreeSet::from([0, 1])), Some(20));
        assert_eq!(
            firsts.latest(&BTreeSet::from([0, 3])),
            Some(10),
            "nothing is left of 3"
        );
        assert_eq!(firsts.latest(&BTreeSet::from([3])), Some(i64::MAX));
    }
}
