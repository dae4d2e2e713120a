//! Asking for memory before it is needed.
//!
//! A table with millions of keys is not in a cache, and each access waits a hundred nanoseconds and more. A processor
//! keeps a dozen such waits under way at once, if nothing but loads stands between them: so the places that a group of
//! records leads to are found first, and then read in one go. Reading is all that safe code has for a prefetch; what is
//! read means nothing.

use std::hint::black_box;

/// Records to be made ready at once: enough of them to wait together, and few enough that what came first is still near
/// when the last is processed.
pub const GROUP: usize = 64;

/// Reads from each place.
#[inline]
pub fn bring<'a, T: Copy + Into<u64> + 'a>(places: impl Iterator<Item = &'a T>) {
    black_box(places.fold(0, |all, place| all ^ (*place).into()));
}

/// Places to be read together: as many of each record as `PER_RECORD`, of a [`GROUP`] at most.
#[derive(Debug)]
pub struct Places<'a, T, const PER_RECORD: usize> {
    places: [[Option<&'a T>; PER_RECORD]; GROUP],
}

impl<'a, T: Copy + Into<u64>, const PER_RECORD: usize> Places<'a, T, PER_RECORD> {
    /// The places that `find` finds for each of `records`, of which there are a [`GROUP`] at most.
    #[inline]
    pub fn of<R>(
        records: impl Iterator<Item = R>,
        mut find: impl FnMut(R) -> Option<[&'a T; PER_RECORD]>,
    ) -> Self {
        let mut places = [[None; PER_RECORD]; GROUP];
        for (places, record) in places.iter_mut().zip(records) {
            for (place, found) in places.iter_mut().zip(find(record).into_iter().flatten()) {
                *place = Some(found);
            }
        }
        Self { places }
    }

    /// Reads from all of them.
    #[inline]
    pub fn bring(&self) {
        bring(self.places.as_flattened().iter().copied().flatten());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_a_group_is_read() {
        let words: Vec<u64> = (0..100).collect();
        let places = Places::of(words.iter(), |word| (*word != 1).then_some([word, word]));
        places.bring();
        assert_eq!(places.places[..2], [[Some(&0); 2], [None; 2]]);
        assert_eq!(places.places[GROUP - 1], [Some(&63); 2]);
    }
}
