//! All tags of a bucket compared by one instruction, which every processor of this architecture
//! has.

use safe_arch::{cmp_eq_mask_i8_m128i, m128i, move_mask_i8_m128i, set_splat_i8_m128i};

use super::{Bucket, ENTRIES};

/// A bit for each slot with a tag, the first lowest.
#[inline]
pub(in super::super) fn with_tag(words: &Bucket, tag: u8) -> u32 {
    let tags = m128i::from([words[0], words[1]]);
    let equal = cmp_eq_mask_i8_m128i(tags, set_splat_i8_m128i(tag.cast_signed()));
    move_mask_i8_m128i(equal).cast_unsigned() & ((1 << ENTRIES) - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::portable;
    use super::*;

    proptest! {
        #[test]
        fn finds_the_same_as_the_portable_way(
            tags in prop::array::uniform16(prop_oneof![Just(0_u8), Just(1), Just(0x80), Just(0x81), any::<u8>()]),
            wanted in 0_usize..17,
        ) {
            let (low, high) = tags.split_at(8);
            let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
            let words = [word(low), word(high), 0, 0, 0, 0, 0, 0];
            let tag = tags.get(wanted).copied().unwrap_or(0);
            let expected = (0..ENTRIES).filter(|&slot| tags[slot] == tag).map(|slot| 1 << slot).sum::<u32>();
            prop_assert_eq!(with_tag(&words, tag), expected);
            prop_assert_eq!(portable::with_tag(&words, tag), expected);
        }
    }
}
