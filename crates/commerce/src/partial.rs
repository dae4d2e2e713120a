//! What stage 1 of sales sends to stage 2, whatever the key.

use millrace_contract::{Decimal, Text, contract};
use millrace_engine::windowed::{Content, Contribution, Totals as _};

use crate::{SalesKey, SalesRecord, SalesTotals};

contract! {
    schema "millrace.SalesPartial" = include_str!("../schemas/sales_partial.avsc");

    /// What a partition adds to a window of a key, or how far it has come.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct SalesPartial {
        /// The partition of the events.
        pub source_partition: i32 = "sourcePartition",
        /// Its watermark.
        pub watermark_ms: i64 = "watermark",
        /// With a watermark: all before this event time was sent.
        pub complete_ms: Option<i64> = "complete",
        /// The key; `None` in a watermark, in which what follows says nothing.
        pub key: Option<Text<129>>,
        /// Start of the window, inclusive.
        pub window_start_ms: i64 = "windowStart",
        /// End of the window, exclusive.
        pub window_end_ms: i64 = "windowEnd",
        /// Searches.
        pub searches: i64,
        /// Products seen.
        pub views: i64,
        /// Products opened.
        pub clicks: i64,
        /// Purchases.
        pub purchases: i64,
        /// Pieces that were bought.
        pub units: i64,
        /// What they came to, in 1/10,000.
        pub revenue_units: i128 as Decimal<4> = "revenue",
    }
}

impl SalesPartial {
    /// The record that tells what one of stage 1 tells: of one key, as each has a partition of its
    /// own. There are no early results.
    #[must_use]
    pub fn of<K: SalesKey>(record: &SalesRecord<K>) -> Self {
        let group = record.content.contributions().first();
        let totals = group.map_or(SalesTotals::EMPTY, |group| group.totals);
        Self {
            source_partition: record.source_partition,
            watermark_ms: record.watermark_ms,
            complete_ms: record.complete_ms,
            key: group.and_then(|group| Text::new(group.key.as_text())),
            window_start_ms: group.map_or(0, |group| group.window_start_ms),
            window_end_ms: group.map_or(0, |group| group.window_end_ms),
            searches: totals.searches.cast_signed(),
            views: totals.views.cast_signed(),
            clicks: totals.clicks.cast_signed(),
            purchases: totals.purchases.cast_signed(),
            units: totals.units.cast_signed(),
            revenue_units: totals.revenue_units,
        }
    }

    /// What stage 2 takes of it. What no events add up to, which stage 1 never sends, is as if none
    /// had come.
    #[must_use]
    pub fn record<K: SalesKey>(self) -> SalesRecord<K> {
        let totals = SalesTotals {
            searches: self.searches.max(0).cast_unsigned(),
            views: self.views.max(0).cast_unsigned(),
            clicks: self.clicks.max(0).cast_unsigned(),
            purchases: self.purchases.max(0).cast_unsigned(),
            units: self.units.max(0).cast_unsigned(),
            revenue_units: self.revenue_units,
        };
        let key = self.key.and_then(|key| K::of_text(key.as_str()));
        let group = key.map(|key| Contribution {
            key,
            window_start_ms: self.window_start_ms,
            window_end_ms: self.window_end_ms,
            totals: Some(totals)
                .filter(SalesTotals::is_possible)
                .unwrap_or(SalesTotals::EMPTY),
        });
        SalesRecord {
            source_partition: self.source_partition,
            watermark_ms: self.watermark_ms,
            complete_ms: self.complete_ms,
            content: group.map_or(Content::Watermark, |group| Content::Final(vec![group])),
        }
    }
}
