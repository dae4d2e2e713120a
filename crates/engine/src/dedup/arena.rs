//! Where ids are: blocks that belong to one span each, and are numbered, so that 32 bits say where
//! an id of any span is.

use std::sync::Arc;

use crate::hash::Key;
use crate::pages::Page;

const BITS: u32 = 13;
const BLOCK_LEN: usize = 1 << BITS;
/// As many as positions of 32 bits can name: 4 billion ids, or half a million spans.
const MOST_BLOCKS: usize = 1 << (32 - BITS);

/// Ids of one span with what is remembered of each, in the order in which they came. Empty while it
/// is no span's.
#[derive(Debug, Clone)]
struct Block<V> {
    keys: Page<Key>,
    values: Page<V>,
}

impl<V: Clone> Block<V> {
    fn with_capacity(capacity: usize) -> Self {
        Self {
            keys: Page::of(Vec::with_capacity(capacity)),
            values: Page::of(Vec::with_capacity(capacity)),
        }
    }
}

/// The blocks of all spans.
#[derive(Debug, Clone)]
pub(super) struct Arena<V> {
    blocks: Vec<Block<V>>,
    /// Whether a block is some span's: of the blocks themselves, a thousand and more, a look would
    /// need a line each.
    is_live: Vec<bool>,
    /// Blocks that no index has positions in.
    free: Vec<u32>,
}

/// The ids of one span.
#[derive(Debug, Clone, Default)]
pub(super) struct Ids {
    blocks: Vec<u32>,
    len: usize,
}

impl Ids {
    pub(super) fn len(&self) -> usize {
        self.len
    }
}

/// What a span held when it was frozen: keys and values by block, in the order in which they came.
pub(super) struct FrozenIds<V> {
    pub(super) len: usize,
    pub(super) keys: Vec<Arc<Vec<Key>>>,
    pub(super) values: Vec<Arc<Vec<V>>>,
}

impl<V: Copy> Arena<V> {
    pub(super) const fn new() -> Self {
        Self {
            blocks: Vec::new(),
            is_live: Vec::new(),
            free: Vec::new(),
        }
    }

    /// The id at a position that was given out; none if its span has gone.
    #[inline]
    pub(super) fn key(&self, position: u32) -> Option<&Key> {
        self.block(position).keys.as_slice().get(in_block(position))
    }

    /// What is remembered of the id at a position; nothing if its span has gone.
    #[inline]
    pub(super) fn value(&self, position: u32) -> Option<V> {
        let values = self.block(position).values.as_slice();
        values.get(in_block(position)).copied()
    }

    /// Whether the span that a position belongs to has gone.
    #[inline]
    pub(super) fn is_gone(&self, position: u32) -> bool {
        !self.is_live[(position >> BITS) as usize]
    }

    #[inline]
    fn block(&self, position: u32) -> &Block<V> {
        &self.blocks[(position >> BITS) as usize]
    }

    /// Appends an id to a span; its position. `None` where there is no room for one more.
    #[inline]
    pub(super) fn push(&mut self, ids: &mut Ids, key: Key, value: V) -> Option<u32> {
        let at = ids.len & (BLOCK_LEN - 1);
        if at == 0 {
            let number = self.take(ids.len > 0)?;
            ids.blocks.push(number);
        }
        let number = *ids.blocks.last()?;
        let block = &mut self.blocks[number as usize];
        block.keys.to_mut(BLOCK_LEN).push(key);
        block.values.to_mut(BLOCK_LEN).push(value);
        ids.len += 1;
        Some(number << BITS | at as u32)
    }

    /// A block. The first one of a span grows as it is filled, so that a small span stays small.
    #[cold]
    fn take(&mut self, is_whole: bool) -> Option<u32> {
        let block = Block::with_capacity(if is_whole { BLOCK_LEN } else { 0 });
        if let Some(number) = self.free.pop() {
            self.blocks[number as usize] = block;
            self.is_live[number as usize] = true;
            return Some(number);
        }
        let number = self.blocks.len();
        if number == MOST_BLOCKS {
            return None;
        }
        self.blocks.push(block);
        self.is_live.push(true);
        Some(number as u32)
    }

    /// Gives back the memory of a span's ids. The blocks' numbers may be used again, by
    /// [`Arena::reuse`], once no index has positions in them.
    pub(super) fn release(&mut self, ids: Ids) -> Vec<u32> {
        for &number in &ids.blocks {
            self.blocks[number as usize] = Block::with_capacity(0);
            self.is_live[number as usize] = false;
        }
        ids.blocks
    }

    /// Lets blocks be used again, and leaves none in `released`.
    pub(super) fn reuse(&mut self, released: &mut Vec<u32>) {
        self.free.append(released);
    }

    #[cfg(test)]
    pub(super) fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// The ids of a span with their positions, in the order in which they came.
    pub(super) fn iter<'a>(&'a self, ids: &'a Ids) -> impl Iterator<Item = (&'a Key, u32)> {
        ids.blocks.iter().flat_map(|&number| {
            let keys = self.blocks[number as usize].keys.as_slice();
            keys.iter().zip(number << BITS..)
        })
    }

    /// What a span holds at this moment.
    pub(super) fn freeze(&mut self, ids: &Ids) -> FrozenIds<V> {
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        for &number in &ids.blocks {
            let block = &mut self.blocks[number as usize];
            keys.push(block.keys.share());
            values.push(block.values.share());
        }
        FrozenIds {
            len: ids.len,
            keys,
            values,
        }
    }
}

#[inline]
fn in_block(position: u32) -> usize {
    position as usize & (BLOCK_LEN - 1)
}
