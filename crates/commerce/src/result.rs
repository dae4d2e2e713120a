//! The records of results.

use millrace_contract::{Decimal, Id, Time, contract};

use crate::{Product, SalesResult, Segment};

contract! {
    schema "millrace.Revenue" = include_str!("../schemas/revenue.avsc");

    /// What users did in a window in a region on a kind of device, final.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Revenue {
        /// The region; the record's key begins with it.
        pub region: Id,
        /// The kind of device; the record's key ends with it.
        pub device: Id,
        /// Start of the window, inclusive, in milliseconds since 1970.
        pub window_start_ms: i64 as Time = "windowStart",
        /// End of the window, exclusive.
        pub window_end_ms: i64 as Time = "windowEnd",
        /// Searches, each event once.
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

impl Revenue {
    /// The record of a result; `None` of a key without its two parts, which no event has.
    #[must_use]
    pub fn of(result: &SalesResult<Segment>) -> Option<Self> {
        let ((region, device), totals) = (result.key.parts()?, &result.totals);
        Some(Self {
            region,
            device,
            window_start_ms: result.window_start_ms,
            window_end_ms: result.window_end_ms,
            searches: totals.searches.cast_signed(),
            views: totals.views.cast_signed(),
            clicks: totals.clicks.cast_signed(),
            purchases: totals.purchases.cast_signed(),
            units: totals.units.cast_signed(),
            revenue_units: totals.revenue_units,
        })
    }

    /// Both that it is of; the record's key.
    #[must_use]
    pub fn segment(&self) -> Segment {
        Segment::joined(&self.region, &self.device)
    }

    /// The events in it.
    #[must_use]
    pub fn events(&self) -> i64 {
        self.searches + self.views + self.clicks + self.purchases
    }
}

contract! {
    schema "millrace.ProductSales" = include_str!("../schemas/product_sales.avsc");

    /// What users did with a product in a window, final.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct ProductSales {
        /// The product, the record's key; `None` of events without one.
        pub product_id: Option<Product> = "productId",
        /// Start of the window, inclusive, in milliseconds since 1970.
        pub window_start_ms: i64 as Time = "windowStart",
        /// End of the window, exclusive.
        pub window_end_ms: i64 as Time = "windowEnd",
        /// Searches, each event once.
        pub searches: i64,
        /// How often it was seen.
        pub views: i64,
        /// How often it was opened.
        pub clicks: i64,
        /// Purchases.
        pub purchases: i64,
        /// Pieces that were bought.
        pub units: i64,
        /// What they came to, in 1/10,000.
        pub revenue_units: i128 as Decimal<4> = "revenue",
    }
}

impl ProductSales {
    /// The record of a result.
    #[must_use]
    pub fn of(result: &SalesResult<Product>) -> Self {
        let totals = &result.totals;
        Self {
            product_id: Some(result.key).filter(Product::is_some),
            window_start_ms: result.window_start_ms,
            window_end_ms: result.window_end_ms,
            searches: totals.searches.cast_signed(),
            views: totals.views.cast_signed(),
            clicks: totals.clicks.cast_signed(),
            purchases: totals.purchases.cast_signed(),
            units: totals.units.cast_signed(),
            revenue_units: totals.revenue_units,
        }
    }

    /// What it is of: a product, or none.
    #[must_use]
    pub fn product(&self) -> Product {
        self.product_id.unwrap_or_else(Product::none)
    }

    /// The events in it.
    #[must_use]
    pub fn events(&self) -> i64 {
        self.searches + self.views + self.clicks + self.purchases
    }
}
