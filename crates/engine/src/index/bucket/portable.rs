//! The tags of a bucket compared a word at a time.

use super::{Bucket, ENTRIES};

/// A bit for each slot with a tag, the first lowest.
#[inline]
pub(in super::super) fn with_tag(words: &Bucket, tag: u8) -> u32 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const LOW: u64 = 0x7f * ONES;
    /// Its multiple by a word with bits in the lowest place of bytes alone has these, closed up, in
    /// the highest byte.
    const CLOSE_UP: u64 = 0x0102_0408_1020_4080;
    // The high bit of each byte that is 0 (H. S. Warren, "Hacker's Delight", 2012, section 6-1).
    let zeroes = |word: u64| !(((word & LOW) + LOW) | word | LOW);
    let wanted = u64::from(tag) * ONES;
    let bits = |word: u64| ((zeroes(word ^ wanted) >> 7).wrapping_mul(CLOSE_UP) >> 56) as u32;
    (bits(words[0]) | bits(words[1]) << 8) & ((1 << ENTRIES) - 1)
}
