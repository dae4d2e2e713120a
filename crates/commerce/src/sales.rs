//! Adds events up, by whatever they are told apart by.

use std::fmt::Debug;
use std::marker::PhantomData;

use millrace_contract::{Contract, Encode};
use millrace_engine::windowed::{Aggregation, Group, Key, Line, Totals as _};

use crate::{Product, ProductSales, Revenue, SalesResult, SalesTotals, Segment, ShopEvent};

/// What events are told apart by where they are added up.
pub trait SalesKey: Key {
    /// The name of the first stage, for errors.
    const PARTIAL: &'static str;
    /// The name of the second stage, for errors.
    const MERGE: &'static str;

    /// The record of a result.
    type Result: Contract + Encode + Debug;

    /// Where an event is added.
    fn of_event(event: &ShopEvent) -> Self;

    /// As the records between the stages have it, and their keys and those of results.
    fn as_text(&self) -> &str;

    /// Reads [`SalesKey::as_text`].
    fn of_text(text: &str) -> Option<Self>;

    /// The record of a result; `None` of a key that no event has.
    fn result(of: &SalesResult<Self>) -> Option<Self::Result>;
}

impl SalesKey for Segment {
    const PARTIAL: &'static str = "revenue-partial";
    const MERGE: &'static str = "revenue-merge";

    type Result = Revenue;

    fn of_event(event: &ShopEvent) -> Self {
        Self::joined(&event.region, &event.device)
    }

    fn as_text(&self) -> &str {
        self.as_str()
    }

    fn of_text(text: &str) -> Option<Self> {
        Self::new(text)
    }

    fn result(of: &SalesResult<Self>) -> Option<Revenue> {
        Revenue::of(of)
    }
}

impl SalesKey for Product {
    const PARTIAL: &'static str = "product-sales-partial";
    const MERGE: &'static str = "product-sales-merge";

    type Result = ProductSales;

    fn of_event(event: &ShopEvent) -> Self {
        event.product_id.unwrap_or_else(Self::none)
    }

    /// Empty of none.
    fn as_text(&self) -> &str {
        Some(self.as_str()).filter(|_| self.is_some()).unwrap_or_default()
    }

    fn of_text(text: &str) -> Option<Self> {
        match text {
            "" => Some(Self::none()),
            id => Self::new(id).filter(Self::is_some),
        }
    }

    fn result(of: &SalesResult<Self>) -> Option<ProductSales> {
        Some(ProductSales::of(of))
    }
}

/// Adds events up for each key.
#[derive(Debug, Clone, Copy, Default)]
pub struct SalesBy<K>(PhantomData<K>);

impl<K> SalesBy<K> {
    /// By this key.
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

/// A group in memory.
#[derive(Debug, Clone, Copy)]
pub struct SalesLine<K> {
    key: K,
    totals: SalesTotals,
}

impl<K: SalesKey> Line for SalesLine<K> {
    type Key = K;

    fn key(&self) -> K {
        self.key
    }
}

impl<K: SalesKey> Aggregation for SalesBy<K> {
    const PARTIAL: &'static str = K::PARTIAL;
    const MERGE: &'static str = K::MERGE;

    type Event = ShopEvent;
    type Key = K;
    type Line = SalesLine<K>;
    type Rare = ();
    type Totals = SalesTotals;

    fn key(&self, event: &ShopEvent) -> K {
        K::of_event(event)
    }

    fn open(&self, key: K) -> SalesLine<K> {
        let totals = SalesTotals::EMPTY;
        SalesLine { key, totals }
    }

    fn add(&self, group: &mut Group<'_, Self>, event: &ShopEvent) {
        group.line.totals.add(event);
    }

    fn totals(&self, line: &SalesLine<K>, _: Option<&()>) -> SalesTotals {
        line.totals
    }

    fn set(&self, group: &mut Group<'_, Self>, totals: &SalesTotals) {
        group.line.totals = *totals;
    }
}
