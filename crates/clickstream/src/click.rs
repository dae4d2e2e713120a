//! The source: page views, keyed by user.

use millrace_contract::{Event, Time, contract};
use uuid::Uuid;

use crate::{Page, User};

contract! {
    schema "millrace.Click" = include_str!("../schemas/click.avsc");

    /// One page view.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Click {
        /// Unique for ever.
        pub event_id: Uuid,
        /// Who viewed it; the record's key.
        pub user_id: User,
        /// The page of the URL.
        pub page: Page = "url",
        /// The page that the user came from, if that is known.
        pub referrer: Option<Page>,
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
        self.user_id.as_str()
    }
}
