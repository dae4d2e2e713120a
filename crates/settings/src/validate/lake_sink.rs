//! The lake's sink.

use super::{Check, sink};
use crate::sections::LakeSink;

/// Above these a file is no longer made in memory at ease.
const MAX_ROWS: usize = 20_000_000;
const MAX_BYTES: usize = 4_000_000_000;

/// An hour.
const MAX_AGE_MS: u64 = 3_600_000;

pub(super) fn check(check: &mut Check, sink: &LakeSink) {
    sink::check(check, "lake_sink", &sink.sink_loop());
    check.not_empty("lake_sink.url", &sink.url.to_string_lossy());
    check.range("lake_sink.max_rows", sink.max_rows, 1, MAX_ROWS);
    check.range("lake_sink.max_bytes", sink.max_bytes, 1_000, MAX_BYTES);
    check.range("lake_sink.max_age_ms", sink.max_age_ms, 1, MAX_AGE_MS);
}
