//! Sessions against their definition: chains of accepted events with less than a gap from one to
//! the next, whatever order these come in.

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

mod views;

use std::collections::{BTreeMap, BTreeSet};

use millrace_engine::keyed::sessions::{Closed, Fold};
use millrace_engine::keyed::{KeyedOperator as _, SessionPolicy, Sessions};
use millrace_engine::windowed::Totals as _;
use millrace_engine::{Disposition, HashSeed, Operator};
use proptest::prelude::*;
use views::{Page, View, Views, is_at_night, restored, view};

/// The sessions of a page: while somebody views it.
#[derive(Debug, Clone)]
struct PerPage;

impl Fold for PerPage {
    const NAME: &'static str = "page-sessions";
    type Event = View;
    type Key = Page;
    type Totals = Views;

    fn key(&self, view: &View) -> Page {
        Page::of(view.page.as_str())
    }

    fn totals(&self, view: &View) -> Views {
        Views {
            views: 1,
            night_views: u64::from(is_at_night(view)),
            visitors: 0,
        }
    }
}

type Session = Closed<Page, Views>;

#[derive(Debug, Clone)]
enum Step {
    Record(View),
    Advance(i64),
    /// Another gap, lateness and disorder.
    Configure(i64, i64, i64),
}

/// Time goes on by a bit, with disorder; pages are few, so that each has many sessions, and now and
/// then there is a copy or an advance. One step in `one_in` is a change of policy, if that is
/// not 0.
fn steps(one_in: u32) -> impl Strategy<Value = Vec<Step>> {
    let step = (
        0_u32..24,
        0_usize..3,
        0_i64..60,
        0_i64..300,
        any::<prop::sample::Index>(),
    );
    prop::collection::vec(step, 0..120).prop_map(move |raw| {
        let (mut now_ms, mut sent) = (1_000, Vec::new());
        let mut steps = Vec::new();
        for (at, (kind, page, by_ms, back_ms, copied)) in raw.into_iter().enumerate() {
            now_ms += by_ms;
            let is_far_back = kind % 5 == 0;
            let time_ms = now_ms - if is_far_back { back_ms } else { back_ms % 40 };
            steps.push(match kind {
                0 => Step::Advance(time_ms),
                1 if !sent.is_empty() => Step::Record(*copied.get(&sent)),
                _ if one_in > 0 && kind % one_in == 2 => Step::Configure(1 + back_ms, by_ms, back_ms % 50),
                _ => Step::Record(view(at, (page, 0, time_ms))),
            });
            if let Some(Step::Record(view)) = steps.last() {
                sent.push(*view);
            }
        }
        steps
    })
}

/// By the definitions alone.
struct Naive {
    gap_ms: i64,
    lateness_ms: i64,
    disorder_ms: i64,
    watermark_ms: Option<i64>,
    accepted: Vec<View>,
    seen: BTreeSet<u128>,
}

impl Naive {
    fn up(&self, time_ms: i64) -> i64 {
        let step_ms = (self.gap_ms / 64).max(1);
        (time_ms + step_ms - 1).div_euclid(step_ms) * step_ms
    }

    fn horizon_ms(&self) -> Option<i64> {
        let step_ms = (self.gap_ms / 64).max(1);
        let watermark_ms = self.watermark_ms?;
        Some((watermark_ms - self.lateness_ms).div_euclid(step_ms) * step_ms)
    }

    /// What becomes of a view; `None` where a copy may be known or late.
    fn take(&mut self, view: &View) -> Option<Disposition> {
        let is_new = self.seen.insert(view.view_id.as_u128());
        let late_by_ms = self
            .horizon_ms()
            .map_or(0, |horizon_ms| horizon_ms - view.time_ms);
        match (is_new, late_by_ms > 0) {
            (true, true) => Some(Disposition::Late { late_by_ms }),
            (false, true) => None,
            (false, false) => Some(Disposition::Duplicate),
            (true, false) => {
                self.accepted.push(*view);
                self.watermark_ms = self.watermark_ms.max(Some(view.time_ms - self.disorder_ms));
                Some(Disposition::Accepted)
            }
        }
    }

    /// Every session so far, by last event and page.
    fn sessions(&self) -> Vec<Session> {
        let mut by_page: BTreeMap<Page, Vec<&View>> = BTreeMap::new();
        for view in &self.accepted {
            by_page.entry(PerPage.key(view)).or_default().push(view);
        }
        let mut sessions = Vec::new();
        for (key, mut views) in by_page {
            views.sort_by_key(|view| view.time_ms);
            for chain in views.chunk_by(|one, next| next.time_ms - one.time_ms < self.gap_ms) {
                let mut totals = Views::EMPTY;
                chain.iter().for_each(|view| totals.merge(&PerPage.totals(view)));
                sessions.push(Session {
                    key,
                    first_ms: chain[0].time_ms,
                    last_ms: chain[chain.len() - 1].time_ms,
                    totals,
                });
            }
        }
        sessions.sort_by_key(|session| (session.last_ms, session.key));
        sessions
    }

    /// Those that are over.
    fn closed(&self) -> Vec<Session> {
        let horizon_ms = self.horizon_ms();
        let mut sessions = self.sessions();
        sessions.retain(|session| Some(self.up(session.last_ms + self.gap_ms)) <= horizon_ms);
        sessions
    }
}

fn sessions(policy: SessionPolicy, seed: u64) -> Sessions<PerPage> {
    Sessions::new(PerPage, policy, HashSeed::new(seed))
}

fn by_last(mut sessions: Vec<Session>) -> Vec<Session> {
    sessions.sort_by_key(|session| (session.last_ms, session.key));
    sessions
}

proptest! {
    /// After each step: what has come out is what is over by definition, in order, and the rest is
    /// open. The second operator is restored after each step, with another seed.
    #[test]
    fn what_comes_out_is_what_is_over(
        gap_ms in 1_i64..400,
        lateness_ms in 0_i64..80,
        disorder_ms in 0_i64..80,
        steps in steps(0),
    ) {
        let policy = SessionPolicy::new(gap_ms, lateness_ms, disorder_ms).unwrap();
        let mut naive = Naive {
            gap_ms,
            lateness_ms,
            disorder_ms,
            watermark_ms: None,
            accepted: Vec::new(),
            seen: BTreeSet::new(),
        };
        let (mut whole, mut moved) = (sessions(policy, 1), sessions(policy, 2));
        let mut all = Vec::new();
        for (at, step) in steps.iter().chain([&Step::Advance(1_000_000)]).enumerate() {
            let (mut outputs, mut outputs_moved) = (Vec::new(), Vec::new());
            match step {
                Step::Record(view) => {
                    let found = whole.process(view, &mut outputs);
                    prop_assert_eq!(moved.process(view, &mut outputs_moved), found);
                    match naive.take(view) {
                        Some(expected) => prop_assert_eq!(found, expected),
                        None => prop_assert_ne!(found, Disposition::Accepted),
                    }
                }
                Step::Advance(to_ms) => {
                    whole.advance(*to_ms, &mut outputs);
                    moved.advance(*to_ms, &mut outputs_moved);
                    naive.watermark_ms = naive.watermark_ms.max(Some(*to_ms));
                }
                Step::Configure(..) => {}
            }
            prop_assert_eq!(&outputs, &outputs_moved);
            prop_assert!(outputs.is_sorted_by_key(|out| (out.last_ms, out.key)));
            all.extend(outputs);
            prop_assert_eq!(by_last(all.clone()), naive.closed());
            prop_assert_eq!(whole.watermark_ms(), naive.watermark_ms);
            let open = naive.sessions().len() - all.len();
            prop_assert_eq!(whole.open_until_ms().is_some(), open > 0);
            moved = restored(moved, sessions(policy, at as u64));
        }
        prop_assert_eq!((whole.open_keys(), all.len()), (0, naive.sessions().len()));
    }

    /// An idle partition is advanced as far as it says, and nothing is open then.
    #[test]
    fn an_advance_to_where_it_is_open_closes_all(gap_ms in 1_i64..400, lateness_ms in 0_i64..80, steps in steps(0)) {
        let mut operator = sessions(SessionPolicy::new(gap_ms, lateness_ms, 30).unwrap(), 1);
        let mut outputs = Vec::new();
        for step in &steps {
            if let Step::Record(view) = step {
                operator.process(view, &mut outputs);
            }
        }
        if let Some(until_ms) = operator.open_until_ms() {
            operator.advance(until_ms - 1, &mut outputs);
            prop_assert!(operator.open_keys() > 0);
            operator.advance(until_ms, &mut outputs);
        }
        prop_assert_eq!((operator.open_keys(), operator.open_until_ms()), (0, None));
    }

    /// With changes of policy each accepted event is in one session, sessions of a page do not
    /// overlap, and a restored operator goes on the same.
    #[test]
    fn a_change_of_policy_loses_and_doubles_nothing(steps in steps(7), ahead in 1_usize..90) {
        let policy = SessionPolicy::new(90, 20, 10).unwrap();
        let (mut whole, mut moved) = (sessions(policy, 1), sessions(policy, 2));
        let (mut all, mut accepted) = (Vec::new(), 0);
        for (at, step) in steps.iter().chain([&Step::Advance(1_000_000)]).enumerate() {
            let (mut outputs, mut outputs_moved) = (Vec::new(), Vec::new());
            if at % ahead == 0 {
                let record = |step: &Step| match step {
                    Step::Record(view) => Some(*view),
                    Step::Advance(_) | Step::Configure(..) => None,
                };
                let records: Vec<_> = steps[at.min(steps.len())..].iter().filter_map(record).collect();
                moved.prepare(&records);
            }
            match step {
                Step::Record(view) => {
                    let found = whole.process(view, &mut outputs);
                    accepted += u64::from(found == Disposition::Accepted);
                    prop_assert_eq!(moved.process(view, &mut outputs_moved), found);
                }
                Step::Advance(to_ms) => {
                    whole.advance(*to_ms, &mut outputs);
                    moved.advance(*to_ms, &mut outputs_moved);
                }
                Step::Configure(gap_ms, lateness_ms, disorder_ms) => {
                    let policy = SessionPolicy::new(*gap_ms, *lateness_ms, *disorder_ms).unwrap();
                    whole.configure(&policy, &mut outputs);
                    moved.configure(&policy, &mut outputs_moved);
                    prop_assert_eq!(whole.policy(), &policy);
                }
            }
            prop_assert_eq!(&outputs, &outputs_moved);
            all.extend(outputs);
            moved = restored(moved, sessions(policy, at as u64));
        }
        prop_assert_eq!(whole.open_keys(), 0);
        prop_assert_eq!(all.iter().map(|session| session.totals.views).sum::<u64>(), accepted);
        all.sort_by_key(|session| (session.key, session.first_ms));
        let is_apart = |one: &Session, next: &Session| one.key != next.key || one.last_ms < next.first_ms;
        prop_assert!(all.is_sorted_by(is_apart), "{:?}", all);
    }

    #[test]
    fn a_cut_or_longer_state_is_refused_and_changes_nothing(steps in steps(0)) {
        let policy = SessionPolicy::new(90, 20, 10).unwrap();
        let mut operator = sessions(policy, 1);
        for step in &steps {
            if let Step::Record(view) = step {
                operator.process(view, &mut Vec::new());
            }
        }
        let (mut state, mut empty, mut unchanged) = (Vec::new(), Vec::new(), Vec::new());
        operator.snapshot(&mut state);
        let mut other = sessions(policy, 1);
        other.snapshot(&mut empty);
        for length in (0..state.len()).step_by(7) {
            prop_assert!(other.restore(&state[..length]).is_err());
        }
        state.push(0);
        prop_assert!(other.restore(&state).is_err());
        other.snapshot(&mut unchanged);
        prop_assert_eq!(unchanged, empty);
    }
}

#[test]
fn an_impossible_policy_is_named_and_a_possible_one_comes_back_from_its_text() {
    let policy = SessionPolicy::new(1_800_000, 5_000, 60_000).unwrap();
    let text = serde_json::to_string(&policy).unwrap();
    assert_eq!(serde_json::from_str::<SessionPolicy>(&text).unwrap(), policy);
    let error = SessionPolicy::new(0, 0, 0).unwrap_err();
    assert_eq!(error.to_string(), "gap_ms is 0: must be from 1 to 86400000");
    let error = SessionPolicy::new(1, 20_000, 20_000).unwrap_err();
    assert_eq!(error.to_string(), "gap_ms is 1: must be from 4 to 86400000");
}
