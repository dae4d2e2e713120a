//! A shop.

use super::stream::stream_section;

stream_section! {
    /// Revenue, sales of products, and how far sessions came.
    Commerce {
        /// Without an event for so long, a session is over.
        session_gap_ms: i64 = 1_800_000;
    }
}
