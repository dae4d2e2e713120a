//! Pages are added up as every aggregation has to be, and their visitors are exact up to the bound.

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

#[path = "../../engine/tests/laws/mod.rs"]
mod laws;
mod support;

use std::collections::{BTreeMap, BTreeSet};

use millrace_clickstream::{
    MOST_VISITORS, MergeViews, PageViews, PageViewsPartial, PartialRecord, PartialViews, ViewsPerPage,
    ViewsTotals,
};
use millrace_contract::{Contract as _, Encode as _};
use millrace_engine::windowed::{MergePolicy, PartialPolicy, Totals as _, records};
use millrace_engine::{Disposition, HashSeed, Operator as _};
use proptest::prelude::*;
use support::{PAGES, click};

/// A record as it comes out of the topic that it was sent to.
fn sent(record: &PartialRecord) -> PartialRecord {
    let mut body = Vec::new();
    PageViewsPartial::of(record).encode(&mut body);
    PageViewsPartial::decode(&body).unwrap().record()
}

proptest! {
    #[test]
    fn the_laws_hold(
        raw in prop::collection::vec((0_usize..6, 0_usize..5, 0_i64..86_400_000, any::<u32>()), 0..120),
    ) {
        let events: Vec<_> = (0_u64..)
            .zip(&raw)
            .map(|(id, &(user, page, time_ms, _))| click(id, user, page, time_ms))
            .collect();
        let mut order: Vec<_> = (0..events.len()).collect();
        order.sort_by_key(|&at| raw[at].3);
        laws::check(&ViewsPerPage, &events, &order);
    }

    /// Two partitions, keyed by user, through both stages and the records between them, against a
    /// plain count.
    #[test]
    fn results_are_a_plain_count(raw in prop::collection::vec((0_usize..6, 0_usize..5, 0_i64..200_000), 0..80)) {
        let policy = PartialPolicy::new(60_000, 0, 200_000).unwrap();
        let mut sources = [0, 1].map(|_| PartialViews::new(ViewsPerPage, policy, HashSeed::FIXED));
        let mut outputs = [Vec::new(), Vec::new()];
        let mut expected: BTreeMap<_, (i64, BTreeSet<usize>)> = BTreeMap::new();
        for (id, &(user, page, time_ms)) in (0_u64..).zip(&raw) {
            let view = click(id, user, page, time_ms);
            prop_assert_eq!(sources[user % 2].process(&view, &mut outputs[user % 2]), Disposition::Accepted);
            let (views, users) = expected.entry((time_ms / 60_000 * 60_000, PAGES[page])).or_default();
            *views += 1;
            users.insert(user);
        }
        let mut merge = MergeViews::new(ViewsPerPage, MergePolicy::new(2, 0).unwrap(), HashSeed::FIXED);
        let mut results = Vec::new();
        for ((source, outputs), number) in sources.iter_mut().zip(&mut outputs).zip(0..) {
            source.advance(300_000, outputs);
            for record in records(number, outputs) {
                prop_assert_eq!(sent(&record), record.clone());
                prop_assert_eq!(merge.process(&record, &mut results), Disposition::Accepted);
            }
        }
        let found: BTreeMap<_, _> = results
            .iter()
            .map(PageViews::of)
            .map(|found| ((found.window_start_ms, found.page.as_str().to_owned()), (found.views, found.visitors)))
            .collect();
        prop_assert_eq!(found.len(), results.len());
        let expected: BTreeMap<_, _> = expected
            .into_iter()
            .map(|((start_ms, page), (views, users))| ((start_ms, page.to_owned()), (views, users.len() as i64)))
            .collect();
        prop_assert_eq!(found, expected);
    }

    /// Whatever parts there are, with the bound or below: as if they were counted together.
    #[test]
    fn visitors_merge_to_what_they_are_up_to_the_bound(parts in prop::collection::vec(0..2 * MOST_VISITORS, 1..5)) {
        let totals = |visitors: u32| ViewsTotals { views: 1, visitors: visitors.min(MOST_VISITORS) };
        let mut sum = ViewsTotals::EMPTY;
        parts.iter().for_each(|&visitors| sum.merge(&totals(visitors)));
        let all: u64 = parts.iter().map(|&visitors| u64::from(visitors)).sum();
        prop_assert_eq!(u64::from(sum.visitors), all.min(MOST_VISITORS.into()));
    }
}

#[test]
fn more_visitors_than_the_bound_are_the_bound_and_each_view_counts() {
    let policy = PartialPolicy::new(60_000, 0, 0).unwrap();
    let mut source = PartialViews::new(ViewsPerPage, policy, HashSeed::FIXED);
    let mut outputs = Vec::new();
    let most = u64::from(MOST_VISITORS) + 10;
    for number in 0..most {
        source.process(&click(number, number as usize, 0, 5), &mut outputs);
        if number == most / 2 {
            let mut state = Vec::new();
            source.snapshot(&mut state);
            source = PartialViews::new(ViewsPerPage, policy, HashSeed::new(9));
            source.restore(&state).unwrap();
        }
    }
    source.process(&click(most, 3, 0, 6), &mut outputs);
    source.advance(60_000, &mut outputs);
    let found: Vec<_> = records(0, &outputs)
        .flat_map(|record| record.content.contributions().to_vec())
        .map(|group| (group.totals.views, group.totals.visitors))
        .collect();
    assert_eq!(found, [(most + 1, MOST_VISITORS)]);
}
