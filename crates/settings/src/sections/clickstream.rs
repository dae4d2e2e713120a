//! Page views and sessions.

use super::stream::stream_section;

stream_section! {
    /// Page views and sessions.
    Clickstream {
        /// Without a page view for so long, a session is over.
        session_gap_ms: i64 = 1_800_000;
    }
}
