//! Random bits from numbers, and numbers from random bits.

/// Sixty-four well mixed bits of a seed and a number: the finaliser of SplitMix64 (Steele, Lea and
/// Flood, 2014; the constants are Stafford's variant 13).
#[inline]
#[must_use]
pub fn mix(seed: u64, number: u64) -> u64 {
    let mut bits = seed.wrapping_add(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// A number below `bound` from 32 random bits without a division (Lemire, 2019, without the
/// rejection: the bias is below `bound` / 2^32).
#[inline]
#[must_use]
pub fn multiply_shift(random: u32, bound: u32) -> u32 {
    ((u64::from(random) * u64::from(bound)) >> 32) as u32
}
