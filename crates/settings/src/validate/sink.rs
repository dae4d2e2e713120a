//! What the sections of sinks have in common.

use super::{Check, services};
use crate::sections::SinkLoop;

/// Above this a sink would be a store of its own.
const MAX_SET_ASIDE_BYTES: usize = 10_000_000_000;

pub(super) fn check(check: &mut Check, section: &str, sink: &SinkLoop<'_>) {
    let of = |name: &str| format!("{section}.{name}");
    services::instance(check, &of("instance"), sink.instance);
    check.retries(section, sink.retry_initial_ms, sink.retry_max_ms);
    check.range(&of("drain_timeout_ms"), sink.drain_timeout_ms, 1, 600_000);
    check.properties(&of("consumer_properties"), sink.consumer_properties);
}

/// Bytes of records that wait for their target.
pub(super) fn set_aside(check: &mut Check, section: &str, bytes: usize) {
    let key = format!("{section}.set_aside_bytes");
    check.range(&key, bytes, 1_000, MAX_SET_ASIDE_BYTES);
}
