//! The allocator of every service and of the command, all of which have this crate in them.
//!
//! librdkafka allocates each record and frees it on another thread, which glibc's allocator does
//! under contended locks. jemalloc also takes the place of the C library's `malloc` (its feature
//! `unprefixed_malloc_on_supported_platforms`), so that librdkafka has it too.

use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;
