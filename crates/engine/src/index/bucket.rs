//! The cache line that is a bucket: where in it everything lies.

#[cfg(any(test, not(target_arch = "x86_64")))]
mod portable;
#[cfg(target_arch = "x86_64")]
mod sse2;

#[cfg(not(target_arch = "x86_64"))]
pub(super) use portable::with_tag;
#[cfg(target_arch = "x86_64")]
pub(super) use sse2::with_tag;

/// Words of a bucket: tags (8 bits of the hash) of the first 8 entries; tags of the last 2 and
/// details of the first 6; details of the last 4 and the count of entries that went on; ten
/// positions. A detail is 5 more bits of the hash above 3 bits of distance.
pub(super) const WORDS: usize = 8;
/// Room of a bucket.
pub(super) const ENTRIES: usize = 10;
/// Distances from this on are not told apart: such an entry is not taken back from the buckets that
/// it passed.
pub(super) const FAR: usize = 7;

pub(super) type Bucket = [u64; WORDS];

/// The low byte of the hash; 0 is a free place.
#[inline]
pub(super) fn tag_of(hash: u64) -> u8 {
    (hash as u8).max(1)
}

/// The five bits above that.
#[inline]
pub(super) fn more_of(hash: u64) -> usize {
    (hash >> 8) as usize & 0x1f
}

/// Word and shift of a slot's tag.
#[inline]
pub(super) fn tag_place(slot: usize) -> (usize, usize) {
    (slot >> 3, (slot & 7) * 8)
}

/// Word and shift of a slot's detail: they follow the tags.
#[inline]
pub(super) fn detail_place(slot: usize) -> (usize, usize) {
    tag_place(slot + ENTRIES)
}

/// Word and shift of a slot's position: two a word, up to the last.
#[inline]
pub(super) fn position_place(slot: usize) -> (usize, usize) {
    ((3 + (slot >> 1)) & 7, 32 * (slot & 1))
}

/// How many entries have gone on from a bucket, as it was full.
#[inline]
pub(super) fn passed(words: &Bucket) -> u64 {
    words[2] >> 32
}

#[cfg(test)]
pub(super) fn tag_at(words: &Bucket, slot: usize) -> u8 {
    let (word, shift) = tag_place(slot);
    (words[word] >> shift) as u8
}

#[inline]
pub(super) fn detail_at(words: &Bucket, slot: usize) -> usize {
    let (word, shift) = detail_place(slot);
    usize::from((words[word] >> shift) as u8)
}

#[inline]
pub(super) fn position_at(words: &Bucket, slot: usize) -> u32 {
    let (word, shift) = position_place(slot);
    (words[word] >> shift) as u32
}

#[inline]
pub(super) fn put(words: &mut Bucket, slot: usize, hash: u64, distance: usize, position: u32) {
    let (word, shift) = tag_place(slot);
    words[word] |= u64::from(tag_of(hash)) << shift;
    let (word, shift) = detail_place(slot);
    let detail = more_of(hash) << 3 | distance.min(FAR);
    words[word] = words[word] & !(0xff << shift) | (detail as u64) << shift;
    let (word, shift) = position_place(slot);
    words[word] = words[word] & !(0xffff_ffff << shift) | u64::from(position) << shift;
}
