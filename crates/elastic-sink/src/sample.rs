//! Which transactions are indexed.

use millrace_domain::TransactionId;

/// Chooses a share of the transactions by a hash of their ids: no clock and no chance, so that a
/// replay, another instance and another partition choose the same.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Hashes below this are in; 2^64 takes all.
    bound: u128,
}

impl Sample {
    /// A sample of `share`, from 0 (none) to 1 (all).
    #[must_use]
    pub fn of(share: f64) -> Self {
        // 2^64; the cast saturates, so that a share out of range acts as the nearest that is
        // within.
        Self {
            bound: (share * 18_446_744_073_709_551_616.0) as u128,
        }
    }

    /// Whether nothing at all is chosen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bound == 0
    }

    /// Whether a transaction is chosen.
    #[must_use]
    pub fn has(&self, id: &TransactionId) -> bool {
        u128::from(hash(id)) < self.bound
    }
}

/// Mixes the 16 bytes to 64 evenly spread bits, whatever kind of UUID they are (the finalizer of
/// SplitMix64, S. Vigna, 2015).
fn hash(id: &TransactionId) -> u64 {
    let bits = u128::from_be_bytes(*id.as_bytes());
    let mut z = ((bits >> 64) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ bits as u64;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> impl Iterator<Item = TransactionId> {
        // Ids that count up are the hardest to spread.
        (0..100_000_u128).map(|count| TransactionId::from_bytes(count.to_be_bytes()))
    }

    #[test]
    fn takes_the_share_it_was_asked_for() {
        for share in [0.01, 0.1, 0.5, 0.9] {
            let sample = Sample::of(share);
            let taken = ids().filter(|id| sample.has(id)).count() as f64 / 100_000.0;
            assert!((taken - share).abs() < 0.005, "{taken} of {share}");
        }
    }

    #[test]
    fn none_and_all_are_exact() {
        assert!(Sample::of(0.0).is_empty());
        assert!(ids().all(|id| !Sample::of(0.0).has(&id)));
        assert!(ids().all(|id| Sample::of(1.0).has(&id)));
        assert!(Sample::of(1.0).has(&TransactionId::from_bytes([0xff; 16])));
    }

    #[test]
    fn a_larger_sample_holds_the_smaller() {
        let (small, large) = (Sample::of(0.05), Sample::of(0.2));
        assert!(ids().filter(|id| small.has(id)).all(|id| large.has(&id)));
    }
}
