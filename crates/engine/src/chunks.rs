//! Chunks of one length, whatever it is, in pages that can be frozen: see [`crate::pages`].

use std::sync::Arc;

use crate::pages::Page;

/// A growing array of chunks of `len` elements each. A page has as many chunks, to a power of two,
/// as make it about `BYTES` or less; no chunk lies in two pages. The first page grows by doubling,
/// so that a small array stays small.
#[derive(Debug)]
pub struct Chunks<T, const BYTES: usize> {
    pages: Vec<Page<T>>,
    len: usize,
    /// The power of two of how many chunks a page has.
    bits: u32,
}

/// A copy, page by page.
impl<T: Clone, const BYTES: usize> Clone for Chunks<T, BYTES> {
    fn clone(&self) -> Self {
        Self {
            pages: self.pages.clone(),
            ..*self
        }
    }
}

impl<T: Clone, const BYTES: usize> Chunks<T, BYTES> {
    /// No chunks of `len` elements, at least one.
    #[must_use]
    pub fn new(len: usize) -> Self {
        let len = len.max(1);
        let fit = BYTES / (len * size_of::<T>().max(1));
        Self {
            pages: Vec::new(),
            len,
            bits: fit.max(1).ilog2(),
        }
    }

    /// Elements of a chunk.
    #[inline]
    #[must_use]
    pub const fn chunk_len(&self) -> usize {
        self.len
    }

    /// How many chunks there are.
    #[must_use]
    pub fn count(&self) -> usize {
        match &self.pages[..] {
            [first] => first.as_slice().len() / self.len,
            pages => pages.len() << self.bits,
        }
    }

    /// Adds some chunks full of a value, at least one: as many as there are, up to a page.
    pub fn grow(&mut self, value: T) {
        let full = self.len << self.bits;
        match &mut self.pages[..] {
            [] => self.pages.push(Page::of(vec![value; self.len])),
            [first] if first.as_slice().len() < full => {
                let doubled = first.as_slice().len() * 2;
                first.to_mut(full).resize(doubled, value);
            }
            _ => self.pages.push(Page::of(vec![value; full])),
        }
    }

    /// The elements of a chunk below [`Chunks::count`].
    ///
    /// # Panics
    /// At any other.
    #[inline]
    #[must_use]
    pub fn get(&self, chunk: usize) -> &[T] {
        &self.pages[chunk >> self.bits].as_slice()[self.first_of(chunk)..][..self.len]
    }

    /// The elements of a chunk below [`Chunks::count`], to be changed.
    ///
    /// # Panics
    /// At any other.
    #[inline]
    pub fn get_mut(&mut self, chunk: usize) -> &mut [T] {
        let first = self.first_of(chunk);
        &mut self.pages[chunk >> self.bits].to_mut(self.len << self.bits)[first..][..self.len]
    }

    /// Where in its page a chunk begins.
    #[inline]
    const fn first_of(&self, chunk: usize) -> usize {
        (chunk & ((1 << self.bits) - 1)) * self.len
    }

    /// What is there at this moment, whatever becomes of it.
    #[must_use]
    pub fn freeze(&mut self) -> FrozenChunks<T> {
        FrozenChunks {
            pages: self.pages.iter_mut().map(Page::share).collect(),
            len: self.len,
            bits: self.bits,
        }
    }
}

/// What an array of chunks held when it was frozen.
#[derive(Debug)]
pub struct FrozenChunks<T> {
    pages: Vec<Arc<Vec<T>>>,
    len: usize,
    bits: u32,
}

impl<T> FrozenChunks<T> {
    /// The elements of a chunk that there was.
    ///
    /// # Panics
    /// At any other.
    #[must_use]
    pub fn get(&self, chunk: usize) -> &[T] {
        &self.pages[chunk >> self.bits][(chunk & ((1 << self.bits) - 1)) * self.len..][..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_of_any_length_are_apart_and_what_is_frozen_stays() {
        for len in 1..9 {
            let mut chunks = Chunks::<u32, 64>::new(len);
            for _ in 0..9 {
                chunks.grow(0);
            }
            for chunk in 0..chunks.count() {
                chunks.get_mut(chunk).fill(chunk as u32);
            }
            let frozen = chunks.freeze();
            let copy = chunks.clone();
            chunks.get_mut(1).fill(99);
            for chunk in 0..chunks.count() {
                let expected = vec![chunk as u32; len];
                assert_eq!(
                    (frozen.get(chunk), copy.get(chunk)),
                    (&expected[..], &expected[..])
                );
                let present = if chunk == 1 { vec![99; len] } else { expected };
                assert_eq!(chunks.get(chunk), present);
            }
        }
    }

    #[test]
    fn a_chunk_larger_than_a_page_has_one_to_itself() {
        let mut chunks = Chunks::<u64, 16>::new(5);
        chunks.grow(7);
        assert_eq!((chunks.count(), chunks.get(0)), (1, [7; 5].as_slice()));
    }
}
