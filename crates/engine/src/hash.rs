//! The hash of the engine's fixed-size keys.

/// A key of every table: an id in its 16-byte form.
pub type Key = [u8; 16];

/// A key of its little-endian halves.
#[inline]
pub(crate) fn key_of_words((low, high): (u64, u64)) -> Key {
    (u128::from(high) << 64 | u128::from(low)).to_le_bytes()
}

/// The seed of the tables' hash.
///
/// The hash is a folded multiply of the two halves, then a second one (the construction of wyhash
/// and foldhash): it spreads sequential and time-ordered ids as well as random ones, in about two
/// nanoseconds. Like every fast hash it keeps its promise only against people who do not know the
/// seed: whoever does can make ids that collide, and so a table slow, though never wrong. A service
/// that takes ids from strangers therefore draws a seed at its start. Tables keep the order of
/// insertion, so that no output and no snapshot depends on the seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashSeed {
    low: u64,
    high: u64,
    last: u64,
}

impl HashSeed {
    /// A seed fixed for ever, for tests and benchmarks.
    pub const FIXED: Self = Self::new(0x6d69_6c6c_7261_6365);

    /// Makes a seed of any number.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            low: split_mix(seed),
            high: split_mix(seed.wrapping_add(GOLDEN_GAMMA)),
            // Odd, so that multiplying by it loses nothing.
            last: split_mix(seed.wrapping_add(GOLDEN_GAMMA.wrapping_mul(2))) | 1,
        }
    }

    /// The hash of a key.
    #[inline]
    #[must_use]
    pub fn hash(&self, key: &Key) -> u64 {
        let [a0, a1, a2, a3, a4, a5, a6, a7, b0, b1, b2, b3, b4, b5, b6, b7] = *key;
        let low = u64::from_le_bytes([a0, a1, a2, a3, a4, a5, a6, a7]);
        let high = u64::from_le_bytes([b0, b1, b2, b3, b4, b5, b6, b7]);
        self.hash_words((low, high))
    }

    /// The hash of a key by its little-endian halves, where it is at hand in these.
    #[inline]
    #[must_use]
    pub fn hash_words(&self, (low, high): (u64, u64)) -> u64 {
        fold(fold(low ^ self.low, high ^ self.high) ^ low, self.last)
    }
}

const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// One output of SplitMix64 (G. L. Steele, D. Lea, C. H. Flood, 2014).
const fn split_mix(seed: u64) -> u64 {
    let mut value = seed.wrapping_add(GOLDEN_GAMMA);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Both halves of the 128-bit product, folded together.
#[inline]
fn fold(left: u64, right: u64) -> u64 {
    let product = u128::from(left) * u128::from(right);
    (product as u64) ^ ((product >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest number of keys that share a bucket, of as many buckets as keys.
    fn fullest_bucket(keys: impl Iterator<Item = Key>, bits: u32, shift: u32) -> usize {
        let mut buckets = vec![0; 1 << bits];
        for key in keys {
            let hash = HashSeed::FIXED.hash(&key) >> shift;
            buckets[(hash & ((1 << bits) - 1)) as usize] += 1;
        }
        buckets.into_iter().max().unwrap()
    }

    /// A random function puts at most about ten of 65,536 keys into one of 65,536 buckets.
    #[test]
    fn regular_keys_spread_like_random_ones() {
        const COUNT: u64 = 1 << 16;
        let patterns: [fn(u64) -> u128; 5] = [
            u128::from,
            |n| u128::from(n) << 64,
            |n| u128::from(n) << 112,
            |n| u128::from(n) << 80 | 0x7000_8000_0000_0000_0000 | u128::from(n),
            |n| u128::from(n * 0x0101_0101),
        ];
        for (number, pattern) in patterns.into_iter().enumerate() {
            for shift in [0, 48] {
                let keys = (0..COUNT).map(|n| pattern(n).to_be_bytes());
                let fullest = fullest_bucket(keys, 16, shift);
                assert!(fullest <= 14, "pattern {number}, shift {shift}: {fullest}");
            }
        }
    }
}
