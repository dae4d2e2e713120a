//! The Elasticsearch sink.

use super::sink::sink_section;

sink_section! {
    /// The Elasticsearch sink.
    ElasticSink {
        /// Share of transactions that are indexed, 0 to 1, chosen by the transaction id so that a
        /// replay chooses the same.
        transaction_share: f64 = 0.01;
        /// A bulk request is sent when it has this many bytes …
        bulk_bytes: usize = 5_000_000;
        /// … or this many actions …
        bulk_actions: usize = 10_000;
        /// … or is this old.
        bulk_interval_ms: u64 = 500;
        /// Bulk requests under way at once.
        bulks_in_flight: usize = 3;
        /// Bytes of records that may wait because the index of their month takes none, while others
        /// go on; at that many nothing more is read.
        set_aside_bytes: usize = 50_000_000;
        /// So many documents that an index refuses one after the other are believed to be bad; more
        /// are the index's fault, and wait.
        refused_in_a_row: usize = 20;
        /// Whether documents wait that an index refuses for a reason which is not known to be a
        /// document's, as long as it has taken none since the start; else they are believed to be
        /// bad as others are.
        unproven_refusals_wait: bool = true;
    }
}
