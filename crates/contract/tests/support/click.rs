//! A stream of page views: the first contract that is not written by hand.

use millrace_contract::{Event, Id, Text, Time, contract};
use uuid::Uuid;

contract! {
    schema "millrace.Click" = include_str!("../schemas/click.avsc");

    /// One page view.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Click {
        /// Unique for ever.
        pub event_id: Uuid,
        /// Who viewed it; the record's key.
        pub user_id: Id,
        /// The page.
        pub url: Text<256>,
        /// Where the user came from, if that is known.
        pub referrer: Option<Text<256>>,
        /// Event time in milliseconds since 1970.
        pub time_ms: i64 as Time = "ts",
    }
}

impl Event for Click {
    fn id(&self) -> [u8; 16] {
        self.event_id.into_bytes()
    }

    fn time_ms(&self) -> i64 {
        self.time_ms
    }

    fn key(&self) -> impl AsRef<[u8]> {
        self.user_id.as_bytes()
    }
}
