//! A growing array in pages: growth never moves what is there, so it costs no pause and no copy, and the memory in use
//! is never twice what is needed.

/// Large pages, so that the few pointers to them stay in the nearest cache.
const BITS: u32 = 14;
const PAGE_LEN: usize = 1 << BITS;

/// An array that grows by pages of 16,384.
#[derive(Debug, Clone)]
pub(crate) struct Pages<T> {
    pages: Vec<Vec<T>>,
}

impl<T> Pages<T> {
    pub(crate) const fn new() -> Self {
        Self { pages: Vec::new() }
    }

    /// How many elements there are.
    pub(crate) fn len(&self) -> usize {
        self.pages
            .last()
            .map_or(0, |last| (self.pages.len() - 1) * PAGE_LEN + last.len())
    }

    /// Appends an element; its position.
    pub(crate) fn push(&mut self, value: T) -> u32 {
        let at = self.len();
        match self.pages.last_mut() {
            Some(last) if last.len() < PAGE_LEN => last.push(value),
            _ => {
                let mut page = Vec::with_capacity(PAGE_LEN);
                page.push(value);
                self.pages.push(page);
            }
        }
        at as u32
    }

    #[inline]
    pub(crate) fn get(&self, at: u32) -> &T {
        &self.pages[(at >> BITS) as usize][at as usize & (PAGE_LEN - 1)]
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, at: u32) -> &mut T {
        &mut self.pages[(at >> BITS) as usize][at as usize & (PAGE_LEN - 1)]
    }

    /// Every element, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.pages.iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_is_pushed_across_pages() {
        let mut pages = Pages::new();
        for number in 0..40_000_u32 {
            assert_eq!(pages.push(number), number);
            assert_eq!(pages.len(), number as usize + 1);
        }
        *pages.get_mut(20_000) += 1;
        assert_eq!(
            [16_383, 16_384, 20_000].map(|at| *pages.get(at)),
            [16_383, 16_384, 20_001]
        );
        assert_eq!(pages.iter().count(), 40_000);
    }
}
