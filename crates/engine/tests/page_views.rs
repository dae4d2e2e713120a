//! The two stages over a stream of another kind: page views for each page, with distinct visitors.

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

mod laws;
mod views;

use std::collections::{BTreeMap, BTreeSet};

use millrace_engine::windowed::{
    Aggregation, EarlyResults, Group, Line, Merge, MergePolicy, Partial, PartialPolicy, RareSlot,
    Totals as _, records,
};
use millrace_engine::{Disposition, HashSeed, Operator};
use proptest::prelude::*;
use views::{Page, View, Views, is_at_night, restored, views};

/// A page of few views has no more than these; views after midnight UTC, which are few, are apart.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct PageLine {
    page: Page,
    views: u64,
    visitors: u32,
    night: RareSlot,
}

impl Line for PageLine {
    type Key = Page;

    fn key(&self) -> Page {
        self.page
    }

    fn count_member(&mut self) {
        self.visitors += 1;
    }

    fn rare(&self) -> RareSlot {
        self.night
    }

    fn set_rare(&mut self, slot: RareSlot) {
        self.night = slot;
    }
}

#[derive(Debug, Clone)]
struct ViewsPerPage;

impl Aggregation for ViewsPerPage {
    const PARTIAL: &'static str = "page-views-partial";
    const MERGE: &'static str = "page-views-merge";
    type Event = View;
    type Key = Page;
    type Line = PageLine;
    type Rare = u64;
    type Totals = Views;

    fn key(&self, view: &View) -> Page {
        Page::of(view.page.as_str())
    }

    fn open(&self, page: Page) -> PageLine {
        PageLine {
            page,
            views: 0,
            visitors: 0,
            night: RareSlot::NONE,
        }
    }

    fn add(&self, group: &mut Group<'_, Self>, view: &View) {
        group.line.views += 1;
        if is_at_night(view) {
            *group.rare() += 1;
        }
    }

    fn totals(&self, line: &PageLine, night_views: Option<&u64>) -> Views {
        Views {
            views: line.views,
            night_views: night_views.copied().unwrap_or(0),
            visitors: u64::from(line.visitors),
        }
    }

    fn set(&self, group: &mut Group<'_, Self>, totals: &Views) {
        group.line.views = totals.views;
        group.line.visitors = u32::try_from(totals.visitors).unwrap_or(u32::MAX);
        if totals.night_views > 0 {
            *group.rare() = totals.night_views;
        }
    }

    fn member(&self, view: &View) -> Option<(u64, u32)> {
        Some((view.visitor as u64, 0))
    }
}

proptest! {
    #[test]
    fn the_laws_hold(events in views(120, 86_400_000), keys in prop::collection::vec(any::<u32>(), 120)) {
        let mut order: Vec<_> = (0..events.len()).collect();
        order.sort_by_key(|&at| keys[at]);
        laws::check(&ViewsPerPage, &events, &order);
    }

    /// Both stages against a plain count, with early results, a restore of each after every record,
    /// and each view sent twice.
    #[test]
    fn results_are_a_plain_count_by_window_and_page(mut events in views(80, 1_000)) {
        events.sort_by_key(|view| view.time_ms);
        let early = Some(EarlyResults::every_ms(70).unwrap());
        let policy = PartialPolicy::new(100, 0, 0).unwrap().with_early(early);
        let mut source = Partial::new(ViewsPerPage, policy, HashSeed::FIXED);
        let merge_policy = MergePolicy::new(1, 0).unwrap().with_early(early);
        let mut merge = Merge::new(ViewsPerPage, merge_policy, HashSeed::FIXED);
        let mut results = Vec::new();
        let mut send = |merge: &mut Merge<ViewsPerPage>, outputs: &[_]| {
            for record in records(0, outputs) {
                assert_eq!(merge.process(&record, &mut results), Disposition::Accepted);
            }
        };
        for view in &events {
            let mut outputs = Vec::new();
            prop_assert_eq!(source.process(view, &mut outputs), Disposition::Accepted);
            prop_assert_eq!(source.process(view, &mut outputs), Disposition::Duplicate);
            send(&mut merge, &outputs);
            source = restored(source, Partial::new(ViewsPerPage, policy, HashSeed::new(7)));
            merge = restored(merge, Merge::new(ViewsPerPage, merge_policy, HashSeed::new(8)));
        }
        let mut outputs = Vec::new();
        source.advance(1_000, &mut outputs);
        send(&mut merge, &outputs);

        let mut expected: BTreeMap<_, (Views, BTreeSet<i64>)> = BTreeMap::new();
        for view in &events {
            let start_ms = view.time_ms / 100 * 100;
                        let (sum, visitors) = expected
                .entry((start_ms, Page::of(view.page.as_str())))
                .or_insert((Views::EMPTY, BTreeSet::new()));
            sum.views += 1;
            sum.night_views += u64::from(is_at_night(view));
            visitors.insert(view.visitor);
            sum.visitors = visitors.len() as u64;
        }
        let expected: Vec<_> = expected.into_iter().map(|(group, (sum, _))| (group, sum)).collect();
        let finals = results.iter().filter(|result| result.is_final());
        let found: Vec<_> = finals.map(|result| ((result.window_start_ms, result.key), result.totals)).collect();
        prop_assert_eq!(found, expected);
        for early in results.iter().filter(|result| !result.is_final()) {
            let last = results.iter().rfind(|last| {
                (last.window_start_ms, last.key) == (early.window_start_ms, early.key)
            });
            prop_assert!(last.is_some_and(|last| last.is_final() && last.totals.views >= early.totals.views));
        }
    }
}

#[test]
fn a_stage_refuses_another_ones_state_by_its_own_name() {
    let policy = PartialPolicy::new(100, 0, 0).unwrap();
    let mut source = Partial::new(ViewsPerPage, policy, HashSeed::FIXED);
    let mut state = Vec::new();
    source.snapshot(&mut state);
    let mut merge = Merge::new(ViewsPerPage, MergePolicy::new(1, 0).unwrap(), HashSeed::FIXED);
    assert_eq!(
        merge.restore(&state).unwrap_err().to_string(),
        "it is no state of page-views-merge: its first byte is 0x13"
    );
    assert_eq!(View::check_schema(), Ok(()));
}
