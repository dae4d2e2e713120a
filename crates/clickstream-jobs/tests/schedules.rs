//! Random schedules over the jobs as they run in production: the worker's partitions, and changes
//! of every setting that may be changed, with kills, rebalances, aborted transactions and added
//! partitions between them. What is committed (contributions, sessions, late records, dead
//! letters, the control topics) is, record by record, what an undisturbed run writes that reads the
//! same directives.
//!
//! The variables are those of [`millrace_runtime::simulation`].

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

use std::sync::atomic::{AtomicU64, Ordering};

use millrace_clickstream::{Click, Page, Session, User};
use millrace_clickstream_jobs::{Pages, UserVisits};
use millrace_contract::{Contract as _, framing};
use millrace_engine::keyed::SessionPolicy;
use millrace_runtime::simulation::{
    DEAD_LETTERS, KeyedSchedules, OverStream as _, PartialSchedules, Random, Records,
};
use uuid::Uuid;

const SCHEDULES: u64 = 2_000;

const CLICKS: Records<Click> = Records {
    prefix: "u-",
    make: click,
};

fn click(number: u128, user: &str, time_ms: i64, random: &mut Random) -> Click {
    Click {
        event_id: Uuid::from_u128(number),
        user_id: User::new(user).unwrap(),
        page: Page::new(random.pick(&["/", "/cart", "/löschen"])).unwrap(),
        referrer: None,
        time_ms,
    }
}

fn sessions() -> KeyedSchedules<UserVisits> {
    let policy = |settings: &mut Random| {
        let gap_ms = settings.pick(&[5_000, 1, 60_000]);
        let lateness_ms = settings.pick(&[0, 3_000]);
        SessionPolicy::new(gap_ms, lateness_ms, settings.pick(&[2_000, 0, 9_000])).unwrap()
    };
    KeyedSchedules::new(UserVisits, &["sessions"], policy, CLICKS)
}

#[test]
fn sessions_are_committed_as_of_an_undisturbed_run() {
    let (closed, dead) = (AtomicU64::new(0), AtomicU64::new(0));
    let seen = sessions().run(SCHEDULES, |output| {
        if output.topic == DEAD_LETTERS {
            dead.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let (_, body) = framing::split(&output.payload).unwrap();
        let session = Session::decode(body).unwrap();
        assert_eq!(output.key.as_deref(), Some(session.user_id.as_str().as_bytes()));
        assert!(session.start_ms <= session.end_ms && session.page_count > 0);
        closed.fetch_add(1, Ordering::Relaxed);
    });
    let [closed, dead] = [closed, dead].map(AtomicU64::into_inner);
    eprintln!("sessions, dead letters: {closed}, {dead}");
    // Who looks into one seed runs fewer, and says how many.
    let is_chosen = std::env::var_os("MILLRACE_SIMULATION_SCHEDULES").is_some();
    assert!((closed > 0 && dead > 0) || is_chosen, "{seen:?}");
}

#[test]
fn contributions_of_page_views_are_committed_as_of_an_undisturbed_run() {
    PartialSchedules::<Pages>::new(CLICKS).run(SCHEDULES, |_| {});
}

#[test]
fn one_seed_is_one_schedule() {
    sessions().assert_repeats();
}
