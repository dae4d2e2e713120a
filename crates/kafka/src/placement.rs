//! Whether a record lies where the records of its user lie.
//!
//! Everything that is kept of a user (ids for deduplication, distinct users, the fraud rules'
//! profiles) is kept for each partition alone. So records of a user must lie in one partition: that
//! of murmur2 of `userId`, where every Java client puts a record that has `userId` as its key. One
//! without a key, with another key, or from a client with another partitioner lies elsewhere most
//! of the time, and then a payment sent twice counts twice and a user counts as several.

use std::fmt;

use millrace_kafka_batch::partition_for;

/// Why a record lies elsewhere, as far as its key tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It has no key, and was put anywhere.
    NoKey,
    /// Its key is not its `userId`.
    OtherKey,
    /// Its key is its `userId`: the client's partitioner is not murmur2, or the topic has got more
    /// partitions since.
    OtherPartitioner,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::NoKey, Self::OtherKey, Self::OtherPartitioner];

    /// A short name, fit for a metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoKey => "no_key",
            Self::OtherKey => "other_key",
            Self::OtherPartitioner => "other_partitioner",
        }
    }
}

/// A record that lies elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Misplaced {
    /// Why.
    pub reason: Reason,
    /// Where it lies.
    pub partition: i32,
    /// Where the records of its user lie.
    pub expected: i32,
}

impl Misplaced {
    /// The bounded name of a dead letter's reason.
    pub const CODE: &'static str = "misplaced";

    /// Compares a record's partition, of `partitions`, with that of its user. `None` where it lies
    /// right, and where the topic has got more partitions than are known.
    #[inline]
    #[must_use]
    pub fn of(user_id: &[u8], key: Option<&[u8]>, partition: i32, partitions: i32) -> Option<Self> {
        let expected = partition_for(user_id, partitions);
        if expected == partition {
            return None;
        }
        Self::elsewhere(user_id, key, partition, expected).filter(|_| partition < partitions)
    }

    #[cold]
    fn elsewhere(user_id: &[u8], key: Option<&[u8]>, partition: i32, expected: i32) -> Option<Self> {
        let reason = match key {
            None | Some([]) => Reason::NoKey,
            Some(key) if key == user_id => Reason::OtherPartitioner,
            Some(_) => Reason::OtherKey,
        };
        Some(Self {
            reason,
            partition,
            expected,
        })
    }
}

impl fmt::Display for Misplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (partition, expected) = (self.partition, self.expected);
        let why = match self.reason {
            Reason::NoKey => "the record has no key, which must be its userId",
            Reason::OtherKey => "the record's key is not its userId",
            Reason::OtherPartitioner => {
                "the producer's partitioner is not murmur2 (librdkafka: partitioner=murmur2_random), or partitions were \
                 added since"
            }
        };
        write!(
            f,
            "the record lies in partition {partition} and its user's records in {expected}: {why}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &[u8] = b"alice";

    #[test]
    fn a_record_where_murmur2_puts_its_user_is_right_whatever_its_key() {
        let right = partition_for(ALICE, 5);
        for key in [None, Some(&b""[..]), Some(ALICE), Some(b"bob")] {
            assert_eq!(Misplaced::of(ALICE, key, right, 5), None);
        }
    }

    #[test]
    fn anywhere_else_it_is_not_and_its_key_says_why() {
        let right = partition_for(ALICE, 5);
        for partition in (0..5).filter(|partition| *partition != right) {
            let reason = |key| Misplaced::of(ALICE, key, partition, 5).map(|found| found.reason);
            assert_eq!(reason(None), Some(Reason::NoKey));
            assert_eq!(reason(Some(b"")), Some(Reason::NoKey));
            assert_eq!(reason(Some(b"bob")), Some(Reason::OtherKey));
            assert_eq!(reason(Some(ALICE)), Some(Reason::OtherPartitioner));
        }
        // Of more partitions than are known, nothing is.
        assert_eq!(Misplaced::of(ALICE, None, 5, 5), None);
    }
}
