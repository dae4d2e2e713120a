//! Somebody outside of the log whom the task asks about some records, as a job asks the schema
//! registry, and who says one thing now and another thing later.

use std::cell::Cell;

use super::random::mix;

thread_local! {
    /// The state of its moods; 0 where it agrees with everything. A world lives in one thread.
    static MOOD: Cell<u64> = const { Cell::new(0) };
}

/// Begins another world.
pub(super) fn begin(seed: u64) {
    MOOD.set(mix(seed) | 1);
}

/// It agrees with everything from now on.
pub(super) fn agree() {
    MOOD.set(0);
}

/// Whether it refuses the record with this number, if it is asked about it at all.
pub(super) fn refuses(number: u64) -> bool {
    let mood = MOOD.get();
    if mood == 0 || !number.is_multiple_of(8) {
        return false;
    }
    let next = mix(mood) | 1;
    MOOD.set(next);
    next & 0xf0 == 0
}
