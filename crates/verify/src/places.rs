//! Sets of records by partition and offset, a bit for each: a hundred million take 12 MB.

use std::collections::HashMap;

/// Bits of a chunk's number of offsets.
const CHUNK_BITS: u32 = 15;
const WORDS: usize = 1 << (CHUNK_BITS - 6);

/// A set of partitions and offsets.
#[derive(Debug, Default)]
pub(super) struct Places {
    chunks: HashMap<(i32, i64), Box<[u64; WORDS]>>,
    len: u64,
}

fn position(offset: i64) -> (i64, usize, u64) {
    let within = (offset & ((1 << CHUNK_BITS) - 1)) as usize;
    (offset >> CHUNK_BITS, within / 64, 1 << (within % 64))
}

impl Places {
    /// Adds a place; whether it is new.
    pub(super) fn insert(&mut self, partition: i32, offset: i64) -> bool {
        let (chunk, word, bit) = position(offset);
        let words = self
            .chunks
            .entry((partition, chunk))
            .or_insert_with(|| Box::new([0; WORDS]));
        let is_new = words[word] & bit == 0;
        words[word] |= bit;
        self.len += u64::from(is_new);
        is_new
    }

    pub(super) fn contains(&self, partition: i32, offset: i64) -> bool {
        let (chunk, word, bit) = position(offset);
        let words = self.chunks.get(&(partition, chunk));
        words.is_some_and(|words| words[word] & bit != 0)
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_there_once_it_was_added() {
        let mut places = Places::default();
        let some = [(0, 0), (0, 63), (0, 64), (0, 1 << 15), (1, 0), (7, i64::MAX >> 1)];
        for (partition, offset) in some {
            assert!(!places.contains(partition, offset));
            assert!(places.insert(partition, offset));
            assert!(!places.insert(partition, offset));
        }
        assert_eq!(places.len(), some.len() as u64);
        assert!(
            some.iter()
                .all(|&(partition, offset)| places.contains(partition, offset))
        );
        assert!(!places.contains(0, 1) && !places.contains(2, 0));
    }
}
