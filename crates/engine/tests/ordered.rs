//! Machines by key against their definition: the accepted events of each key in the order of their
//! time, and what follows where none comes.

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

mod numbered;
mod views;

use std::collections::{BTreeMap, BTreeSet};

use millrace_engine::keyed::ordered::{MOST_WAITING, Machine as _, Said};
use millrace_engine::keyed::{KeyedOperator as _, Ordered, OrderedPolicy};
use millrace_engine::{Disposition, HashSeed, Operator as _};
use numbered::{Note, Numbered, Patience};
use proptest::prelude::*;
use views::{Page, View, restored, view};

type SaidOfPage = Said<Page, Note>;

#[derive(Debug, Clone)]
enum Step {
    Record(View),
    Advance(i64),
}

/// Time goes on by a bit, with disorder, copies, and an advance now and then.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (
        0_u32..20,
        0_usize..3,
        0_i64..1_500,
        0_i64..9_000,
        any::<prop::sample::Index>(),
    );
    prop::collection::vec(step, 0..90).prop_map(|raw| {
        let (mut now_ms, mut sent) = (100_000, Vec::new());
        let mut steps = Vec::new();
        for (at, (kind, page, by_ms, back_ms, copied)) in raw.into_iter().enumerate() {
            now_ms += by_ms;
            let time_ms = now_ms - if kind % 5 == 0 { back_ms } else { back_ms % 1_500 };
            steps.push(match kind {
                0 => Step::Advance(time_ms),
                1 if !sent.is_empty() => Step::Record(*copied.get(&sent)),
                // Ids against the order of time, so that of two at one time either comes first.
                _ => Step::Record(view(10_000 - at, (page, at as i64, time_ms / 50 * 50))),
            });
            if let Some(Step::Record(view)) = steps.last() {
                sent.push(*view);
            }
        }
        steps
    })
}

struct Naive {
    lateness_ms: i64,
    disorder_ms: i64,
    patience: Patience,
    watermark_ms: Option<i64>,
    accepted: Vec<View>,
    seen: BTreeSet<u128>,
}

impl Naive {
    fn horizon_ms(&self) -> Option<i64> {
        Some((self.watermark_ms? - self.lateness_ms).div_euclid(1_000) * 1_000)
    }

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

    /// All that is to be said by the horizon.
    fn said(&self) -> Vec<SaidOfPage> {
        let Some(horizon_ms) = self.horizon_ms() else {
            return Vec::new();
        };
        let mut by_page: BTreeMap<Page, Vec<&View>> = BTreeMap::new();
        for view in &self.accepted {
            by_page.entry(Numbered.key(view)).or_default().push(view);
        }
        let mut all = Vec::new();
        for (key, mut views) in by_page {
            views.sort_by_key(|view| (view.time_ms, view.view_id));
            views.retain(|view| view.time_ms < horizon_ms);
            let mut number = 0;
            for (at, view) in views.iter().enumerate() {
                number += 1;
                let mut say = |at_ms, output| all.push(Said { key, at_ms, output });
                let visitor = view.visitor;
                say(view.time_ms, Note::View { visitor, number });
                let until_ms = views.get(at + 1).map_or(horizon_ms, |next| next.time_ms);
                let (quiet_ms, forget_ms) = (
                    view.time_ms + self.patience.quiet_ms,
                    view.time_ms + self.patience.forget_ms,
                );
                if quiet_ms <= until_ms {
                    say(quiet_ms, Note::Quiet);
                }
                if forget_ms <= until_ms {
                    say(forget_ms, Note::Forgotten);
                    number = 0;
                }
            }
        }
        all.sort_by_key(|said| (said.at_ms, said.key));
        all
    }
}

fn operator(policy: OrderedPolicy<Patience>, seed: u64) -> Ordered<Numbered> {
    Ordered::new(Numbered, policy, HashSeed::new(seed))
}

const PATIENCE: Patience = Patience {
    quiet_ms: 4_300,
    forget_ms: 9_000,
};

proptest! {
    /// After each step, what has come out is what is to be said by definition. The second operator
    /// is restored after each step, with another seed.
    #[test]
    fn what_comes_out_is_what_the_order_of_time_makes(
        (quiet_ms, more_ms) in (1_i64..6_000, 1_i64..6_000),
        (lateness_ms, disorder_ms) in (0_i64..3_000, 0_i64..3_000),
        steps in steps(),
    ) {
        let patience = Patience { quiet_ms, forget_ms: quiet_ms + more_ms };
        let policy = OrderedPolicy::new(lateness_ms, disorder_ms, patience).unwrap();
        let mut naive = Naive {
            lateness_ms, disorder_ms, patience, watermark_ms: None, accepted: Vec::new(), seen: BTreeSet::new(),
        };
        let (mut whole, mut moved) = (operator(policy, 1), operator(policy, 2));
        let mut all = Vec::new();
        for (at, step) in steps.iter().chain([&Step::Advance(1_000_000)]).enumerate() {
            let (mut outputs, mut outputs_moved) = (Vec::new(), Vec::new());
            match step {
                Step::Record(view) => {
                    moved.prepare(&[*view]);
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
            }
            prop_assert_eq!(&outputs, &outputs_moved);
            all.extend(outputs);
            let mut found = all.clone();
            found.sort_by_key(|said: &SaidOfPage| (said.at_ms, said.key));
            prop_assert_eq!(found, naive.said());
            prop_assert_eq!(whole.watermark_ms(), naive.watermark_ms);
            moved = restored(moved, operator(policy, at as u64));
        }
        prop_assert_eq!((whole.open_keys(), whole.open_until_ms()), (0, None));
    }

    /// An idle partition is advanced as far as it says: then each page is quiet, and no sooner.
    #[test]
    fn an_advance_to_where_it_is_open_says_that_all_are_quiet(lateness_ms in 0_i64..3_000, steps in steps()) {
        let policy = OrderedPolicy::new(lateness_ms, 500, PATIENCE).unwrap();
        let mut operator = operator(policy, 1);
        let mut outputs = Vec::new();
        let mut newest: Option<View> = None;
        for step in &steps {
            if let Step::Record(view) = step
                && operator.process(view, &mut outputs) == Disposition::Accepted
                && newest.is_none_or(|newest| view.time_ms >= newest.time_ms)
            {
                newest = Some(*view);
            }
        }
        let Some(newest) = newest else { return Ok(()) };
        let until_ms = operator.open_until_ms().unwrap();
        let is_quiet = |outputs: &[SaidOfPage]| {
            let at_ms = newest.time_ms + PATIENCE.quiet_ms;
            outputs.contains(&Said { key: Numbered.key(&newest), at_ms, output: Note::Quiet })
        };
        operator.advance(until_ms - 1, &mut outputs);
        prop_assert!(!is_quiet(&outputs) && operator.open_until_ms() == Some(until_ms));
        operator.advance(until_ms, &mut outputs);
        prop_assert!(is_quiet(&outputs) && operator.open_until_ms().is_none());
    }

    /// Each accepted event is said once, whatever is set meanwhile, and a restored operator goes on
    /// the same.
    #[test]
    fn a_change_of_policy_loses_and_doubles_nothing(steps in steps(), every in 1_usize..30) {
        let policy = OrderedPolicy::new(500, 500, PATIENCE).unwrap();
        let (mut whole, mut moved) = (operator(policy, 1), operator(policy, 2));
        let (mut all, mut accepted) = (Vec::new(), BTreeSet::new());
        for (at, step) in steps.iter().chain([&Step::Advance(1_000_000)]).enumerate() {
            let (mut outputs, mut outputs_moved) = (Vec::new(), Vec::new());
            if at % every == 0 {
                let by_ms = (at as i64 * 700) % 2_900;
                let patience = Patience { quiet_ms: 1 + by_ms, forget_ms: 3_000 + by_ms };
                let policy = OrderedPolicy::new(by_ms, 2_900 - by_ms, patience).unwrap();
                whole.configure(&policy, &mut outputs);
                moved.configure(&policy, &mut outputs_moved);
                prop_assert_eq!(whole.policy(), &policy);
            }
            match step {
                Step::Record(view) => {
                    let found = whole.process(view, &mut outputs);
                    prop_assert_eq!(moved.process(view, &mut outputs_moved), found);
                    if found == Disposition::Accepted {
                        accepted.insert(view.visitor);
                    }
                }
                Step::Advance(to_ms) => {
                    whole.advance(*to_ms, &mut outputs);
                    moved.advance(*to_ms, &mut outputs_moved);
                }
            }
            prop_assert_eq!(&outputs, &outputs_moved);
            all.extend(outputs);
            moved = restored(moved, operator(policy, at as u64));
        }
        let visitor = |said: &SaidOfPage| match said.output {
            Note::View { visitor, .. } => Some(visitor),
            Note::Quiet | Note::Forgotten => None,
        };
        let said: Vec<_> = all.iter().filter_map(visitor).collect();
        prop_assert_eq!(said.len(), accepted.len());
        prop_assert_eq!(said.into_iter().collect::<BTreeSet<_>>(), accepted);
    }

    #[test]
    fn a_cut_or_longer_state_is_refused_and_changes_nothing(steps in steps()) {
        let policy = OrderedPolicy::new(500, 500, PATIENCE).unwrap();
        let mut present = operator(policy, 1);
        for step in &steps {
            if let Step::Record(view) = step {
                present.process(view, &mut Vec::new());
            }
        }
        let (mut state, mut empty, mut unchanged) = (Vec::new(), Vec::new(), Vec::new());
        present.snapshot(&mut state);
        let mut other = operator(policy, 1);
        other.snapshot(&mut empty);
        for len in 0..state.len() {
            prop_assert!(other.restore(&state[..len]).is_err(), "{} of {} bytes", len, state.len());
        }
        state.push(0);
        prop_assert!(other.restore(&state).is_err());
        other.snapshot(&mut unchanged);
        prop_assert_eq!(empty, unchanged);
    }
}

/// More events than may wait: the first ones have their turn at once, and none is lost.
#[test]
fn of_too_many_events_the_first_have_their_turn_at_once() {
    let policy = OrderedPolicy::new(0, 60_000, PATIENCE).unwrap();
    let mut operator = operator(policy, 1);
    let mut outputs = Vec::new();
    let (most, more) = (usize::from(MOST_WAITING), 10);
    for at in 0..most + more {
        // From the last one on: each that comes is the first of them.
        let time_ms = 150_000 - at as i64;
        operator.process(&view(at, (0, at as i64, time_ms)), &mut outputs);
        assert_eq!(outputs.len(), at.saturating_sub(most - 1).min(more), "{at}");
    }
    operator = restored(operator, Ordered::new(Numbered, policy, HashSeed::FIXED));
    operator.advance(151_000, &mut outputs);
    let said: BTreeSet<_> = outputs
        .iter()
        .filter_map(|said| match said.output {
            Note::View { visitor, .. } => Some(visitor),
            Note::Quiet | Note::Forgotten => None,
        })
        .collect();
    assert_eq!((said.len(), outputs.len()), (most + more, most + more));
}
