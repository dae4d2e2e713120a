//! Merchants are added up as every aggregation has to be.

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

#[path = "../../engine/tests/laws/mod.rs"]
mod laws;
mod support;

use millrace_payments::PerMerchant;
use proptest::prelude::*;
use support::transaction;

proptest! {
    #[test]
    fn the_laws_hold(
        raw in prop::collection::vec(
            (0_usize..6, 0_u64..4, 0_u64..3, 1_i64..2_000_000_000_000_000, 0_i64..86_400_000, any::<u32>()),
            0..120,
        ),
    ) {
        let events: Vec<_> = (0_u64..)
            .zip(&raw)
            .map(|(id, &(user, merchant, currency, units, time_ms, _))| {
                let user = format!("u-{user}");
                transaction(id, &user, merchant, currency, units, time_ms)
            })
            .collect();
        let mut order: Vec<_> = (0..events.len()).collect();
        order.sort_by_key(|&at| raw[at].5);
        laws::check(&PerMerchant, &events, &order);
    }
}
