//! The two stages over a stream of another kind: page views for each page, with distinct visitors.

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

mod laws;

use std::collections::{BTreeMap, BTreeSet};

use millrace_contract::{Event, Text, Time, contract};
use millrace_engine::snapshot::{StateReader, StateWriter};
use millrace_engine::windowed::{
    Aggregation, EarlyResults, Group, Key, Line, Merge, MergePolicy, Partial, PartialPolicy, RareSlot,
    Totals, records,
};
use millrace_engine::{Disposition, HashSeed, Operator, RestoreError};
use proptest::prelude::*;
use uuid::Uuid;

contract! {
    schema "shop.View" = r#"{"type": "record", "name": "View", "namespace": "shop", "fields": [
        {"name": "view_id", "type": {"type": "string", "logicalType": "uuid"}},
        {"name": "page", "type": "string"},
        {"name": "visitor", "type": "long"},
        {"name": "ts", "type": {"type": "long", "logicalType": "timestamp-millis"}}
    ]}"#;

    /// Somebody views a page.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct View {
        /// Unique for ever.
        pub view_id: Uuid,
        /// The page's path.
        pub page: Text<16>,
        /// Who views it.
        pub visitor: i64,
        /// When, in milliseconds since 1970.
        pub time_ms: i64 as Time = "ts",
    }
}

impl Event for View {
    fn id(&self) -> [u8; 16] {
        *self.view_id.as_bytes()
    }

    fn time_ms(&self) -> i64 {
        self.time_ms
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Page([u8; 16]);

impl Page {
    fn of(path: &str) -> Self {
        let mut bytes = [0; 16];
        bytes[..path.len()].copy_from_slice(path.as_bytes());
        Self(bytes)
    }
}

impl Key for Page {
    const LEAST_LEN: usize = 16;
    type Held = ();

    fn words(&self) -> (u64, u64) {
        let number = u128::from_le_bytes(self.0);
        (number as u64, (number >> 64) as u64)
    }

    fn write(&self, writer: &mut StateWriter<'_>) {
        writer.raw(&self.0);
    }

    fn read(reader: &mut StateReader<'_>) -> Result<Self, RestoreError> {
        Ok(Self(reader.array()?))
    }
}

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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Views {
    views: u64,
    night_views: u64,
    visitors: u64,
}

impl Totals for Views {
    const LEN: usize = 24;

    fn count(&self) -> u64 {
        self.views
    }

    fn merge(&mut self, other: &Self) {
        self.views += other.views;
        self.night_views += other.night_views;
        self.visitors += other.visitors;
    }

    fn write(&self, writer: &mut StateWriter<'_>) {
        [self.views, self.night_views, self.visitors]
            .into_iter()
            .for_each(|count| writer.u64(count));
    }

    fn read(reader: &mut StateReader<'_>) -> Result<Self, RestoreError> {
        Ok(Self {
            views: reader.u64()?,
            night_views: reader.u64()?,
            visitors: reader.u64()?,
        })
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

fn is_at_night(view: &View) -> bool {
    view.time_ms.rem_euclid(1_000) < 100
}

fn view(number: usize, (page, visitor, time_ms): (usize, i64, i64)) -> View {
    View {
        view_id: Uuid::from_u128(number as u128 + 1),
        page: Text::new(["/", "/cart", "/a", "/b", "/0123456789abcde"][page]).unwrap(),
        visitor,
        time_ms,
    }
}

fn views(most: usize, before_ms: i64) -> impl Strategy<Value = Vec<View>> {
    let view_of = (0_usize..5, 0_i64..7, 0..before_ms);
    prop::collection::vec(view_of, 0..most).prop_map(|views| {
        views
            .into_iter()
            .enumerate()
            .map(|(at, of)| view(at, of))
            .collect()
    })
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
            let none = Views { views: 0, night_views: 0, visitors: 0 };
            let (sum, visitors) = expected
                .entry((start_ms, Page::of(view.page.as_str())))
                .or_insert((none, BTreeSet::new()));
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

fn restored<O: Operator>(mut from: O, mut to: O) -> O {
    let (mut state, mut again) = (Vec::new(), Vec::new());
    from.snapshot(&mut state);
    to.restore(&state).unwrap();
    to.snapshot(&mut again);
    assert_eq!(state, again);
    to
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
