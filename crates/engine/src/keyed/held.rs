//! What keys need in memory beside their 16 bytes, for as long as they have a slot.

use crate::pages::{Frozen, Pages};
use crate::windowed::Key;

const PAGE_BYTES: usize = 64 * 1024;

/// What the keys of slots need, by place.
#[derive(Debug, Clone)]
pub(super) struct Keys<K: Key>(Pages<Option<K::Held>, PAGE_BYTES>);

impl<K: Key> Keys<K> {
    pub(super) const fn new() -> Self {
        Self(Pages::new())
    }

    /// Holds what the key of a place needs. Where no key needs anything, nothing is kept.
    pub(super) fn hold(&mut self, place: u32, key: &K) {
        if let Some(held) = key.hold() {
            while self.0.len() <= place as usize {
                self.0.push(None);
            }
            *self.0.get_mut(place as usize) = Some(held);
        }
    }

    /// Lets go of what the key of a place needs: what was made of it is in flight.
    pub(super) fn release(&mut self, place: u32, key: K) {
        let place = place as usize;
        if place < self.0.len() && self.0.get(place).is_some() {
            K::release(std::iter::once(key));
            *self.0.get_mut(place) = None;
        }
    }

    pub(super) fn freeze(&mut self) -> Frozen<Option<K::Held>, PAGE_BYTES> {
        self.0.freeze()
    }
}
