//! Views and distinct visitors of each page.

use millrace_contract::{Time, contract};
use millrace_engine::RestoreError;
use millrace_engine::snapshot::{StateReader, StateWriter};
use millrace_engine::windowed::{Aggregation, Group, Line, Totals};

use crate::{Click, Page, ViewsResult};

/// Up to so many visitors of a page in a window are counted exactly; with more, there are at least
/// as many. It bounds what a page keeps of them: 16 bytes each, and half as much again for the
/// index.
pub const MOST_VISITORS: u32 = 100_000;

contract! {
    schema "millrace.PageViews" = include_str!("../schemas/page_views.avsc");

    /// The views of a page in a window, final.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct PageViews {
        /// The page; the record's key.
        pub page: Page,
        /// Start of the window, inclusive, in milliseconds since 1970.
        pub window_start_ms: i64 as Time = "windowStart",
        /// End of the window, exclusive.
        pub window_end_ms: i64 as Time = "windowEnd",
        /// Views, each event once.
        pub views: i64,
        /// Distinct users, at most [`MOST_VISITORS`].
        pub visitors: i64,
    }
}

impl PageViews {
    /// The record of a result.
    #[must_use]
    pub fn of(result: &ViewsResult) -> Self {
        Self {
            page: result.key,
            window_start_ms: result.window_start_ms,
            window_end_ms: result.window_end_ms,
            views: result.totals.views.cast_signed(),
            visitors: i64::from(result.totals.visitors),
        }
    }
}

/// Adds up clicks for each page. The input is keyed by user, so that partitions have no visitor in
/// common.
#[derive(Debug, Clone, Copy)]
pub struct ViewsPerPage;

/// A page in memory.
#[derive(Debug, Clone, Copy)]
pub struct PageLine {
    page: Page,
    totals: ViewsTotals,
}

impl Line for PageLine {
    type Key = Page;

    fn key(&self) -> Page {
        self.page
    }

    fn takes_members(&self) -> bool {
        self.totals.visitors < MOST_VISITORS
    }

    fn count_member(&mut self) {
        self.totals.visitors += 1;
    }
}

/// What a page adds up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ViewsTotals {
    /// Views.
    pub views: u64,
    /// Distinct users, at most [`MOST_VISITORS`].
    pub visitors: u32,
}

impl Totals for ViewsTotals {
    const LEN: usize = 8 + 4;
    const EMPTY: Self = Self {
        views: 0,
        visitors: 0,
    };

    fn count(&self) -> u64 {
        self.views
    }

    /// Visitors stay exact up to the bound, and at the bound where there are more, as each part is.
    fn merge(&mut self, other: &Self) {
        self.views += other.views;
        self.visitors = self.visitors.saturating_add(other.visitors).min(MOST_VISITORS);
    }

    fn write(&self, writer: &mut StateWriter<'_>) {
        writer.u64(self.views);
        writer.u32(self.visitors);
    }

    fn read(reader: &mut StateReader<'_>) -> Result<Self, RestoreError> {
        let views = reader.u64()?;
        let at = reader.position();
        match reader.u32()? {
            visitors @ 0..=MOST_VISITORS => Ok(Self { views, visitors }),
            _ => Err(RestoreError::Invalid {
                what: "number of visitors",
                at,
            }),
        }
    }
}

impl Aggregation for ViewsPerPage {
    const PARTIAL: &'static str = "page-views-partial";
    const MERGE: &'static str = "page-views-merge";

    type Event = Click;
    type Key = Page;
    type Line = PageLine;
    type Rare = ();
    type Totals = ViewsTotals;

    fn key(&self, click: &Click) -> Page {
        click.page
    }

    fn open(&self, page: Page) -> PageLine {
        let totals = ViewsTotals::EMPTY;
        PageLine { page, totals }
    }

    fn add(&self, group: &mut Group<'_, Self>, _click: &Click) {
        group.line.totals.views += 1;
    }

    fn totals(&self, line: &PageLine, _: Option<&()>) -> ViewsTotals {
        line.totals
    }

    fn set(&self, group: &mut Group<'_, Self>, totals: &ViewsTotals) {
        group.line.totals = *totals;
    }

    fn member(&self, click: &Click) -> Option<(u64, u32)> {
        Some(click.user_id.member())
    }
}
