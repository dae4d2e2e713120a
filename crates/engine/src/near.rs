//! Asking for memory before it is needed.
//!
//! A table with millions of keys is not in a cache, and each access waits a hundred nanoseconds and
//! more. A processor keeps a dozen such waits under way at once, if it knows early what will be
//! needed: so a group of records is looked at in steps, each of which asks for the memory that the
//! next one looks at.

/// Records to be made ready at once: enough of them to wait together, and few enough that what came
/// first is still near when the last is processed.
pub const GROUP: usize = 64;

/// Asks for the cache line in which a place begins, without waiting for it. Safe code has that
/// instruction on some processors only; on the others the place is read.
#[inline]
pub fn ask<T: Copy>(place: &T) {
    #[cfg(target_arch = "x86_64")]
    safe_arch::prefetch_t0(place);
    #[cfg(not(target_arch = "x86_64"))]
    std::hint::black_box(*place);
}
