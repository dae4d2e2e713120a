//! A growing array in pages that can be frozen: a snapshot of all of it without a copy.
//!
//! A page is either owned, and then written in place, or shared with what was frozen, and then
//! taken back before the next write to it: for nothing if the frozen side is done with it, else by
//! a copy of this page alone. So freezing costs one small allocation for each page that was written
//! since the last time; what is processed afterwards pays for the pages it writes, once each; and
//! twice in memory is no more than these. Neither unsafe code nor an atomic operation is in the
//! path of an owned page.
//!
//! Growth never moves what is there, so it costs no pause either, and memory in use is never twice
//! what is needed.

use std::sync::Arc;

/// A page, growing up to its full length.
#[derive(Debug)]
pub(crate) struct Page<T> {
    /// Where the elements are while the page is not shared.
    owned: Vec<T>,
    /// Where they are else.
    shared: Option<Arc<Vec<T>>>,
}

/// A copy, owned.
impl<T: Clone> Clone for Page<T> {
    fn clone(&self) -> Self {
        Self::of(self.as_slice().to_vec())
    }
}

impl<T: Clone> Page<T> {
    fn with_capacity(capacity: usize) -> Self {
        Self::of(Vec::with_capacity(capacity))
    }

    pub(crate) const fn of(owned: Vec<T>) -> Self {
        Self { owned, shared: None }
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[T] {
        match &self.shared {
            None => &self.owned,
            Some(shared) => shared,
        }
    }

    /// The elements, to be changed; `full` is how many there may be at most.
    #[inline]
    pub(crate) fn to_mut(&mut self, full: usize) -> &mut Vec<T> {
        if self.shared.is_some() {
            self.take_back(full);
        }
        &mut self.owned
    }

    /// Makes a shared page owned; a copy has room to grow as the page had.
    #[cold]
    fn take_back(&mut self, full: usize) {
        if let Some(shared) = self.shared.take() {
            self.owned = Arc::try_unwrap(shared).unwrap_or_else(|shared| {
                let mut copy = Vec::with_capacity(shared.capacity().min(full));
                copy.extend_from_slice(&shared);
                copy
            });
        }
    }

    /// The elements of this moment, whatever becomes of the page.
    pub(crate) fn share(&mut self) -> Arc<Vec<T>> {
        let owned = &mut self.owned;
        let shared = self.shared.get_or_insert_with(|| Arc::new(std::mem::take(owned)));
        Arc::clone(shared)
    }
}

/// The power of two of how many elements a page has.
const fn bits<T>(page_bytes: usize) -> u32 {
    let size = if size_of::<T>() == 0 { 1 } else { size_of::<T>() };
    let len = page_bytes / size;
    if len == 0 { 0 } else { len.ilog2() }
}

/// An array that grows by pages of about `BYTES` each: as many elements as fit, to a power of two.
///
/// Small pages suit what is written at random, as a write after a freeze copies its page; large
/// pages suit what is only appended to, as pointers to them are few. The first page grows by
/// doubling, so that a small array stays small.
#[derive(Debug)]
pub struct Pages<T, const BYTES: usize> {
    pages: Vec<Page<T>>,
    len: usize,
}

impl<T, const BYTES: usize> Default for Pages<T, BYTES> {
    fn default() -> Self {
        Self::new()
    }
}

/// A copy, page by page.
impl<T: Clone, const BYTES: usize> Clone for Pages<T, BYTES> {
    fn clone(&self) -> Self {
        Self {
            pages: self.pages.clone(),
            len: self.len,
        }
    }
}

impl<T, const BYTES: usize> Pages<T, BYTES> {
    const BITS: u32 = bits::<T>(BYTES);
    const PAGE_LEN: usize = 1 << Self::BITS;

    /// An empty array.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            pages: Vec::new(),
            len: 0,
        }
    }

    /// How many elements there are.
    #[inline]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<T: Clone, const BYTES: usize> Pages<T, BYTES> {
    /// An empty array with room for `capacity` elements, but for a whole page at most: further
    /// pages come as they are needed.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        let mut pages = Self::new();
        if capacity > 0 {
            let first = Vec::with_capacity(capacity.min(Self::PAGE_LEN));
            pages.pages.push(Page::of(first));
        }
        pages
    }

    /// Appends an element; its position.
    #[inline]
    pub fn push(&mut self, value: T) -> usize {
        let at = self.len;
        let page = at >> Self::BITS;
        if page == self.pages.len() {
            self.add_page();
        }
        self.pages[page].to_mut(Self::PAGE_LEN).push(value);
        self.len = at + 1;
        at
    }

    #[cold]
    fn add_page(&mut self) {
        let room = if self.pages.is_empty() { 0 } else { Self::PAGE_LEN };
        self.pages.push(Page::with_capacity(room));
    }

    /// The element at a position below [`Pages::len`].
    ///
    /// # Panics
    /// At any other position.
    #[inline]
    #[must_use]
    pub fn get(&self, at: usize) -> &T {
        &self.pages[at >> Self::BITS].as_slice()[at & (Self::PAGE_LEN - 1)]
    }

    /// The element at a position below [`Pages::len`], to be changed.
    ///
    /// # Panics
    /// At any other position.
    #[inline]
    pub fn get_mut(&mut self, at: usize) -> &mut T {
        &mut self.pages[at >> Self::BITS].to_mut(Self::PAGE_LEN)[at & (Self::PAGE_LEN - 1)]
    }

    /// Every element, in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.pages.iter().flat_map(Page::as_slice)
    }

    /// What the array holds at this moment, whatever becomes of it.
    #[must_use]
    pub fn freeze(&mut self) -> Frozen<T, BYTES> {
        Frozen {
            pages: self.pages.iter_mut().map(Page::share).collect(),
            len: self.len,
        }
    }
}

/// What an array held when it was frozen.
#[derive(Debug)]
pub struct Frozen<T, const BYTES: usize> {
    pages: Vec<Arc<Vec<T>>>,
    len: usize,
}

impl<T: Clone, const BYTES: usize> Frozen<T, BYTES> {
    /// How many elements there were.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there were none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The element that there was at a position.
    ///
    /// # Panics
    /// There was none.
    #[must_use]
    pub fn get(&self, at: usize) -> &T {
        let (page, in_page) = (
            at >> Pages::<T, BYTES>::BITS,
            at & (Pages::<T, BYTES>::PAGE_LEN - 1),
        );
        &self.pages[page][in_page]
    }

    /// Every element, in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.pages.iter().flat_map(|page| page.iter())
    }

    /// Gives every page to `take`, in order, and lets go of each before the next: the array then
    /// has it back without a copy.
    pub fn for_each_page(self, mut take: impl FnMut(&[T])) {
        for page in self.pages {
            take(&page);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn thawed(frozen: Frozen<u32, 16>) -> Vec<u32> {
        let mut elements = Vec::new();
        frozen.for_each_page(|page| elements.extend_from_slice(page));
        elements
    }

    #[derive(Debug, Clone)]
    enum Step {
        Push(u32),
        Set(usize, u32),
        Freeze,
        Thaw(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => any::<u32>().prop_map(Step::Push),
            4 => (any::<usize>(), any::<u32>()).prop_map(|(at, value)| Step::Set(at, value)),
            1 => Just(Step::Freeze),
            1 => (0_usize..4).prop_map(Step::Thaw),
        ]
    }

    proptest! {
        #[test]
        fn behaves_as_a_vector_and_what_is_frozen_stays(
            capacity in 0_usize..9,
            steps in prop::collection::vec(step(), 0..300),
        ) {
            let mut pages = Pages::<u32, 16>::with_capacity(capacity);
            let mut oracle = Vec::new();
            let mut frozen: Vec<(Frozen<u32, 16>, Vec<u32>)> = Vec::new();
            for step in steps {
                match step {
                    Step::Push(value) => {
                        prop_assert_eq!(pages.push(value), oracle.len());
                        oracle.push(value);
                    }
                    Step::Set(at, value) if !oracle.is_empty() => {
                        let at = at % oracle.len();
                        *pages.get_mut(at) = value;
                        oracle[at] = value;
                        prop_assert_eq!(*pages.get(at), value);
                    }
                    Step::Freeze => frozen.push((pages.freeze(), oracle.clone())),
                    Step::Thaw(at) if at < frozen.len() => {
                        let (frozen, expected) = frozen.swap_remove(at);
                        prop_assert_eq!(frozen.len(), expected.len());
                        prop_assert_eq!(thawed(frozen), expected);
                    }
                    Step::Set(..) | Step::Thaw(_) => {}
                }
                prop_assert_eq!(pages.len(), oracle.len());
                prop_assert!(pages.iter().eq(&oracle));
                prop_assert!((0..oracle.len()).all(|at| *pages.get(at) == oracle[at]));
            }
            for (frozen, expected) in frozen {
                prop_assert_eq!(thawed(frozen), expected);
            }
        }
    }

    /// Addresses of the pages: the same as before where nothing was copied.
    fn addresses(pages: &Pages<u32, 16>) -> Vec<*const u32> {
        pages.pages.iter().map(|page| page.as_slice().as_ptr()).collect()
    }

    #[test]
    fn only_a_page_that_is_written_while_it_is_frozen_is_copied() {
        let mut pages = Pages::<u32, 16>::new();
        (0..16).for_each(|number| _ = pages.push(number));
        let before = addresses(&pages);
        let frozen = pages.freeze();
        *pages.get_mut(5) = 0;
        *pages.get_mut(6) = 0;
        let after = addresses(&pages);
        assert_eq!(
            [0, 2, 3].map(|page| after[page]),
            [0, 2, 3].map(|page| before[page])
        );
        assert_ne!(after[1], before[1]);
        drop(frozen);
        (0..16).for_each(|at| *pages.get_mut(at) = 1);
        assert_eq!(addresses(&pages), after, "the rest is taken back as it is");
    }
}
