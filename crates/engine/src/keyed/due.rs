//! When to look at which slots.

use std::collections::BTreeMap;

/// Places of slots by the horizon at which they are due. As that is a multiple of a step, there are
/// few different ones. What is planned for a slot that is planned earlier since, or has gone, stays
/// here until its time comes, and means nothing then.
#[derive(Debug, Clone, Default)]
pub(super) struct Due(BTreeMap<i64, Vec<u32>>);

impl Due {
    pub(super) fn plan(&mut self, at_ms: i64, place: u32) {
        self.0.entry(at_ms).or_default().push(place);
    }

    /// Takes out what is planned first, if that is at or before a horizon.
    pub(super) fn take(&mut self, horizon_ms: i64) -> Option<(i64, Vec<u32>)> {
        let first = self.0.first_entry()?;
        (*first.key() <= horizon_ms).then(|| first.remove_entry())
    }
}
