//! Random streams for the property tests.

use millrace_domain::Transaction;
use millrace_engine::HashSeed;
use millrace_engine::windowed::PartialPolicy;
use millrace_payments::PartialAggregate;
use proptest::prelude::*;

use super::{Event, Times, short_id, stage_1, transaction};

prop_compose! {
    pub(crate) fn times()(window in 1_i64..60, lateness in 0_i64..40, disorder in 0_i64..40) -> Times {
        Times { window, lateness, disorder }
    }
}

/// Events of one partition: time drifts on with jitter, ids repeat, now and then an idle advance.
pub(crate) fn events(source: usize) -> impl Strategy<Value = Vec<Event>> {
    let event = (
        0_u8..12,
        0_u64..60,
        0_usize..5,
        0_u64..4,
        0_u64..3,
        1_i64..50_000,
        -60_i64..60,
    );
    (prop::collection::vec(event, 0..80), 0_i64..20, -500_i64..500).prop_map(move |(raw, drift, origin)| {
        raw.into_iter()
            .enumerate()
            .map(|(at, (kind, id, user, merchant, currency, units, jitter))| {
                let time_ms = origin + at as i64 * drift + jitter;
                let user = format!("u-{source}-{user}");
                match kind {
                    0 => Event::Advance(time_ms),
                    _ => {
                        let record = transaction(id, &user, merchant, currency, units, time_ms);
                        Event::Record(with_longer_ids(record, merchant))
                    }
                }
            })
            .collect()
    })
}

/// Half of the merchants, and their users, with ids that do not fit inline and begin alike.
fn with_longer_ids(mut record: Transaction, merchant: u64) -> Transaction {
    if merchant % 2 == 1 {
        record.merchant_id = short_id(&format!("6f1c2b1e-0d5a-4c55-9a52-0c6f6d2f7a1{merchant}"));
        record.user_id = short_id(&format!("a customer of the bank {}", record.user_id));
    }
    record
}

/// Stage 1 without early results.
pub(crate) fn partial(times: Times, seed: u64) -> PartialAggregate {
    let policy = PartialPolicy::new(times.window, times.lateness, times.disorder).unwrap();
    stage_1(policy, HashSeed::new(seed))
}
