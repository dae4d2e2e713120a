//! What stage 1 of page views sends to stage 2.

use millrace_contract::contract;
use millrace_engine::windowed::{Content, Contribution};

use crate::{MOST_VISITORS, Page, PartialRecord, ViewsTotals};

contract! {
    schema "millrace.PageViewsPartial" = include_str!("../schemas/page_views_partial.avsc");

    /// What a partition adds to a window of a page, or how far it has come.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct PageViewsPartial {
        /// The partition of the clickstream.
        pub source_partition: i32 = "sourcePartition",
        /// Its watermark.
        pub watermark_ms: i64 = "watermark",
        /// With a watermark: all before this event time was sent.
        pub complete_ms: Option<i64> = "complete",
        /// The page; `None` in a watermark, in which what follows says nothing.
        pub page: Option<Page>,
        /// Start of the window, inclusive.
        pub window_start_ms: i64 = "windowStart",
        /// End of the window, exclusive.
        pub window_end_ms: i64 = "windowEnd",
        /// Views.
        pub views: i64,
        /// Distinct users.
        pub visitors: i64,
    }
}

impl PageViewsPartial {
    /// The record that tells what one of stage 1 tells: of one page, as each has a partition of its
    /// own. There are no early results.
    #[must_use]
    pub fn of(record: &PartialRecord) -> Self {
        let group = record.content.contributions().first();
        Self {
            source_partition: record.source_partition,
            watermark_ms: record.watermark_ms,
            complete_ms: record.complete_ms,
            page: group.map(|group| group.key),
            window_start_ms: group.map_or(0, |group| group.window_start_ms),
            window_end_ms: group.map_or(0, |group| group.window_end_ms),
            views: group.map_or(0, |group| group.totals.views.cast_signed()),
            visitors: group.map_or(0, |group| i64::from(group.totals.visitors)),
        }
    }

    /// What stage 2 takes of it.
    #[must_use]
    pub fn record(self) -> PartialRecord {
        let visitors = self.visitors.clamp(0, MOST_VISITORS.into());
        let group = self.page.map(|page| Contribution {
            key: page,
            window_start_ms: self.window_start_ms,
            window_end_ms: self.window_end_ms,
            totals: ViewsTotals {
                views: self.views.max(0).cast_unsigned(),
                visitors: u32::try_from(visitors).unwrap_or(MOST_VISITORS),
            },
        });
        PartialRecord {
            source_partition: self.source_partition,
            watermark_ms: self.watermark_ms,
            complete_ms: self.complete_ms,
            content: group.map_or(Content::Watermark, |group| Content::Final(vec![group])),
        }
    }
}
