//! Random schedules over the jobs as they run in production: the worker's partitions, and changes
//! of every setting that may be changed, with kills, rebalances, aborted transactions and added
//! partitions between them. What is committed (contributions, sessions, late records, dead letters,
//! the control topics) is, record by record, what an undisturbed run writes that reads the same
//! directives.
//!
//! The variables are those of [`millrace_runtime::simulation`].

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

use std::sync::atomic::{AtomicU64, Ordering};

use millrace_commerce::{EventType, Funnel, FunnelSettings, Product, Reached, Segment, ShopEvent, User};
use millrace_commerce_jobs::{Sessions, Sold};
use millrace_contract::{Contract as _, Id, framing};
use millrace_domain::Amount;
use millrace_engine::keyed::OrderedPolicy;
use millrace_runtime::simulation::{
    DEAD_LETTERS, KeyedSchedules, OverStream as _, PartialSchedules, Random, Records,
};
use uuid::Uuid;

const SCHEDULES: u64 = 2_000;

const EVENTS: Records<ShopEvent> = Records {
    prefix: "u-",
    make: event,
};

fn event(number: u128, user: &str, time_ms: i64, random: &mut Random) -> ShopEvent {
    let event_type = random.pick(&[
        EventType::Search,
        EventType::View,
        EventType::View,
        EventType::Click,
        EventType::Purchase,
    ]);
    ShopEvent {
        event_id: Uuid::from_u128(number),
        event_type,
        user_id: User::new(user).unwrap(),
        product_id: Product::new(random.pick(&["p-1", "p-2"])).filter(|_| event_type != EventType::Search),
        price: Amount::from_units(random.pick(&[1, 571_600])),
        // A purchase of nothing is a dead letter.
        quantity: Some(random.pick(&[1, 2, 3, 4, 5, 0])),
        region: Id::new(random.pick(&["EU", "NA"])).unwrap(),
        device: Id::new(random.pick(&["mobile", "desktop"])).unwrap(),
        time_ms,
        query: None,
        product_name: None,
        category: None,
    }
}

fn sessions() -> KeyedSchedules<Sessions> {
    let policy = |settings: &mut Random| {
        let gap = FunnelSettings {
            session_gap_ms: settings.pick(&[5_000, 1_000, 60_000]),
        };
        let lateness_ms = settings.pick(&[0, 3_000]);
        OrderedPolicy::new(lateness_ms, settings.pick(&[2_000, 0, 9_000]), gap).unwrap()
    };
    KeyedSchedules::new(Sessions, &["funnel"], policy, EVENTS)
}

#[test]
fn sessions_are_committed_as_of_an_undisturbed_run() {
    let counts: [AtomicU64; 6] = Default::default();
    let seen = sessions().run(SCHEDULES, |output| {
        let at = count_of(output.topic.as_str(), output.key.as_deref(), &output.payload);
        counts[at].fetch_add(1, Ordering::Relaxed);
    });
    let counts = counts.map(AtomicU64::into_inner);
    eprintln!("dead letters, sessions by how far they came: {counts:?}");
    assert!(
        counts.iter().all(|count| *count > 0) || seen.commits < 10_000,
        "{seen:?} {counts:?}"
    );
}

/// What an output is, by its place among the counts.
fn count_of(topic: &str, key: Option<&[u8]>, payload: &[u8]) -> usize {
    if topic == DEAD_LETTERS {
        return 0;
    }
    let (_, body) = framing::split(payload).unwrap();
    let funnel = Funnel::decode(body).unwrap();
    assert_eq!(key, Some(funnel.user_id.as_str().as_bytes()));
    assert!(funnel.start_ms <= funnel.end_ms && funnel.events() > 0);
    match funnel.reached {
        Reached::None => 1,
        Reached::Search => 2,
        Reached::View => 3,
        Reached::Click => 4,
        Reached::Purchase => 5,
    }
}

#[test]
fn contributions_of_revenue_are_committed_as_of_an_undisturbed_run() {
    PartialSchedules::<Sold<Segment>>::new(EVENTS).run(SCHEDULES, |_| {});
}

/// Without copies of late records, which are those of revenue.
#[test]
fn contributions_of_sales_are_committed_as_of_an_undisturbed_run() {
    PartialSchedules::<Sold<Product>>::new(EVENTS)
        .without_late()
        .run(SCHEDULES, |_| {});
}

#[test]
fn one_seed_is_one_schedule() {
    sessions().assert_repeats();
}
