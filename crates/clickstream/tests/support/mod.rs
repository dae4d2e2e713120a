//! Page views for the tests.
#![allow(dead_code, reason = "each test binary uses a part")]

use millrace_clickstream::{Click, Page, User};
use uuid::Uuid;

pub(crate) const PAGES: [&str; 5] = ["/", "/cart", "shop.example/a", "shop.example/a/", "/löschen"];

pub(crate) fn click(number: u64, user: usize, page: usize, time_ms: i64) -> Click {
    Click {
        event_id: Uuid::from_u128(u128::from(number) + 1),
        user_id: User::new(&format!("u-{user}")).unwrap(),
        page: Page::new(PAGES[page]).unwrap(),
        referrer: None,
        time_ms,
    }
}
