//! The Elasticsearch sink.

use super::{Check, sink};
use crate::sections::ElasticSink;

/// Elasticsearch's default `http.max_content_length`.
const MAX_BULK_BYTES: usize = 100_000_000;

pub(super) fn check(check: &mut Check, sink: &ElasticSink) {
    sink::check(check, "elastic_sink", &sink.sink_loop());
    check.share("elastic_sink.transaction_share", sink.transaction_share);
    check.range("elastic_sink.bulk_bytes", sink.bulk_bytes, 1_000, MAX_BULK_BYTES);
    check.range("elastic_sink.bulk_actions", sink.bulk_actions, 1, 1_000_000);
    check.range("elastic_sink.bulk_interval_ms", sink.bulk_interval_ms, 1, 60_000);
    check.range("elastic_sink.bulks_in_flight", sink.bulks_in_flight, 1, 64);
    sink::set_aside(check, "elastic_sink", sink.set_aside_bytes);
    check.range(
        "elastic_sink.refused_in_a_row",
        sink.refused_in_a_row,
        0,
        1_000_000,
    );
}
