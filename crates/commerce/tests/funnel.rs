//! How far sessions came, whatever order their events come in.

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

mod support;

use std::collections::BTreeMap;

use millrace_commerce::{EventType, Funnel, FunnelSettings, Funnels, Reached, ShopEvent, UserFunnels};
use millrace_engine::keyed::{KeyedOperator as _, OrderedPolicy};
use millrace_engine::{Disposition, HashSeed, Operator as _};
use proptest::prelude::*;
use support::{TYPES, event};

const GAP_MS: i64 = 1_800_000;
const DAY_MS: i64 = 86_400_000;
const WAY: [EventType; 4] = TYPES;

fn policy() -> OrderedPolicy<FunnelSettings> {
    let settings = FunnelSettings {
        session_gap_ms: GAP_MS,
    };
    OrderedPolicy::new(0, DAY_MS, settings).unwrap()
}

/// By the definition alone: a session is what the gap makes of a user's events in their order, and
/// it has come as far as the longest beginning of the way that is a part of it in this order.
fn expected(events: &[ShopEvent]) -> Vec<Funnel> {
    let mut by_user: BTreeMap<&str, Vec<&ShopEvent>> = BTreeMap::new();
    for event in events {
        by_user.entry(event.user_id.as_str()).or_default().push(event);
    }
    let mut all = Vec::new();
    for mut events in by_user.into_values() {
        events.sort_by_key(|event| (event.time_ms, event.event_id));
        for session in events.chunk_by(|one, next| next.time_ms - one.time_ms < GAP_MS) {
            let is_in_order = |steps: &[EventType]| {
                let mut rest = session.iter();
                steps
                    .iter()
                    .all(|step| rest.any(|event| event.event_type == *step))
            };
            let came = (0..=WAY.len())
                .rev()
                .find(|came| is_in_order(&WAY[..*came]))
                .unwrap();
            let count = |what| session.iter().filter(|event| event.event_type == what).count() as i64;
            let paid = session.iter().map(|event| i128::from(event.paid_units()));
            let (first, last) = (session[0], session[session.len() - 1]);
            all.push(Funnel {
                user_id: first.user_id,
                start_ms: first.time_ms,
                end_ms: last.time_ms,
                reached: [
                    Reached::None,
                    Reached::Search,
                    Reached::View,
                    Reached::Click,
                    Reached::Purchase,
                ][came],
                searches: count(EventType::Search),
                views: count(EventType::View),
                clicks: count(EventType::Click),
                purchases: count(EventType::Purchase),
                revenue_units: paid.sum(),
            });
        }
    }
    all
}

proptest! {
    #[test]
    fn sessions_come_as_far_as_their_events_in_order_say(
        raw in prop::collection::vec(((0_usize..4, 0_usize..3), 0_i64..144), 0..60),
        (restart_at, cut_at) in (0_usize..60, any::<usize>()),
    ) {
        // Of ten minutes each, so that pairs at one time and at the gap itself are many.
        let events: Vec<_> = (0_u64..)
            .zip(&raw)
            .map(|(id, &(what, tenth))| event(id, what, 0, (19_900, 2), tenth * 600_000))
            .collect();
        let mut operator = UserFunnels::new(Funnels, policy(), HashSeed::FIXED);
        let mut said = Vec::new();
        for (at, event) in events.iter().enumerate() {
            prop_assert_eq!(operator.process(event, &mut said), Disposition::Accepted);
            prop_assert_eq!(operator.process(event, &mut said), Disposition::Duplicate);
            if at == restart_at {
                operator.advance(40_000_000, &mut said);
                let mut state = Vec::new();
                operator.snapshot(&mut state);
                operator = UserFunnels::new(Funnels, policy(), HashSeed::new(5));
                operator.restore(&state).unwrap();
                prop_assert!(operator.clone().restore(&state[..cut_at % state.len()]).is_err());
                break;
            }
        }
        let taken = &events[..events.len().min(restart_at + 1)];
        operator.advance(3 * DAY_MS, &mut said);
        let mut found: Vec<_> = said.iter().map(Funnel::of).collect();
        let key = |funnel: &Funnel| (funnel.user_id.as_str().to_owned(), funnel.start_ms);
        found.sort_by_key(key);
        prop_assert_eq!(found, expected(taken));
        prop_assert_eq!(operator.open_keys(), 0);
    }
}

#[test]
fn a_gap_that_makes_no_sense_is_refused_by_its_name() {
    for session_gap_ms in [999, DAY_MS + 1] {
        let error = FunnelSettings { session_gap_ms }.check().unwrap_err();
        assert_eq!(error.setting, "session_gap_ms");
    }
}
