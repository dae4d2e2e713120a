//! Events are added up as every aggregation has to be, and money to the last unit.

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

#[path = "../../engine/tests/laws/mod.rs"]
mod laws;
mod support;

use std::collections::BTreeMap;
use std::fmt::Debug;

use millrace_commerce::{
    EventType, MergeSales, PartialSales, Product, ProductSales, Revenue, SalesBy, SalesKey, SalesPartial,
    SalesRecord, SalesTotals, Segment, ShopEvent,
};
use millrace_contract::{Contract as _, Encode as _};
use millrace_engine::snapshot::{StateReader, StateWriter};
use millrace_engine::windowed::{Content, MergePolicy, PartialPolicy, Totals as _, records};
use millrace_engine::{Disposition, HashSeed, Operator as _};
use proptest::prelude::*;
use support::event;

/// From a unit to more than a double has digits for, when it is summed.
fn units() -> impl Strategy<Value = i64> {
    prop_oneof![1_i64..20_000_000, Just(1), Just(333_333_333_333_333)]
}

/// What and who, where, price and quantity, when.
type Raw = ((usize, usize), usize, (i64, i32), i64);

fn raw() -> impl Strategy<Value = Raw> {
    (
        (0_usize..4, 0_usize..6),
        0_usize..6,
        (units(), 1_i32..7),
        0_i64..200_000,
    )
}

fn events(raw: &[Raw]) -> Vec<ShopEvent> {
    (0_u64..)
        .zip(raw)
        .map(|(id, &(what, place, paid, time_ms))| event(id, what, place, paid, time_ms))
        .collect()
}

/// A record as it comes out of the topic that it was sent to.
fn sent<K: SalesKey>(record: &SalesRecord<K>) -> SalesRecord<K> {
    let mut body = Vec::new();
    SalesPartial::of(record).encode(&mut body);
    SalesPartial::decode(&body).unwrap().record()
}

/// Through both stages and the records between them: two partitions, keyed by user.
fn results<K: SalesKey + Debug>(events: &[ShopEvent]) -> Vec<K::Result> {
    let policy = PartialPolicy::new(60_000, 0, 200_000).unwrap();
    let mut sources = [0, 1].map(|_| PartialSales::<K>::new(SalesBy::new(), policy, HashSeed::FIXED));
    let mut outputs = [Vec::new(), Vec::new()];
    for event in events {
        let at = usize::from(event.user_id.as_str().as_bytes()[2] % 2);
        assert_eq!(
            sources[at].process(event, &mut outputs[at]),
            Disposition::Accepted
        );
    }
    let policy = MergePolicy::new(2, 0).unwrap();
    let mut merge = MergeSales::<K>::new(SalesBy::new(), policy, HashSeed::FIXED);
    let mut results = Vec::new();
    for ((source, outputs), number) in sources.iter_mut().zip(&mut outputs).zip(0..) {
        source.advance(300_000, outputs);
        for record in records(number, outputs) {
            assert_eq!(sent(&record), record.clone());
            assert_eq!(merge.process(&record, &mut results), Disposition::Accepted);
        }
    }
    results.iter().map(|result| K::result(result).unwrap()).collect()
}

/// Searches, views, clicks, purchases, pieces, and money, of each window and key.
type Naive = BTreeMap<(i64, String), ([i64; 5], i128)>;

fn naive(events: &[ShopEvent], key: fn(&ShopEvent) -> String) -> Naive {
    let mut all = Naive::new();
    for event in events {
        let start_ms = event.time_ms / 60_000 * 60_000;
        let (counts, money) = all.entry((start_ms, key(event))).or_default();
        let at = match event.event_type {
            EventType::Search => 0,
            EventType::View => 1,
            EventType::Click => 2,
            EventType::Purchase => 3,
        };
        counts[at] += 1;
        if at == 3 {
            let quantity = event.quantity.unwrap();
            counts[4] += i64::from(quantity);
            *money += i128::from(event.price.unwrap().units()) * i128::from(quantity);
        }
    }
    all
}

proptest! {
    #[test]
    fn the_laws_hold(raw in prop::collection::vec((raw(), any::<u32>()), 0..100)) {
        let events = events(&raw.iter().map(|(raw, _)| *raw).collect::<Vec<_>>());
        let mut order: Vec<_> = (0..events.len()).collect();
        order.sort_by_key(|&at| raw[at].1);
        laws::check(&SalesBy::<Segment>::new(), &events, &order);
        laws::check(&SalesBy::<Product>::new(), &events, &order);
    }

    #[test]
    fn results_are_a_plain_sum_to_the_last_unit(raw in prop::collection::vec(raw(), 0..80)) {
        let events = events(&raw);
        let found = results::<Segment>(&events);
        let by_place = |found: &Revenue| {
            let key = format!("{}/{}", found.region, found.device);
            let counts = [found.searches, found.views, found.clicks, found.purchases, found.units];
            ((found.window_start_ms, key), (counts, found.revenue_units))
        };
        let by_key: Naive = found.iter().map(by_place).collect();
        prop_assert_eq!(by_key.len(), found.len());
        prop_assert_eq!(by_key, naive(&events, |event| format!("{}/{}", event.region, event.device)));

        let found = results::<Product>(&events);
        let by_product = |found: &ProductSales| {
            let key = found.product_id.map_or_else(String::new, |id| id.as_str().to_owned());
            let counts = [found.searches, found.views, found.clicks, found.purchases, found.units];
            ((found.window_start_ms, key), (counts, found.revenue_units))
        };
        let by_key: Naive = found.iter().map(by_product).collect();
        prop_assert_eq!(by_key.len(), found.len());
        let product = |event: &ShopEvent| event.product_id.map_or_else(String::new, |id| id.as_str().to_owned());
        prop_assert_eq!(by_key, naive(&events, product));
    }

    /// Sums that no events come to are refused, from a state and from the topic between the stages.
    #[test]
    fn no_other_sums_are_read(raw in prop::collection::vec(raw(), 1..5), bit in 0_usize..56 * 8) {
        let mut totals = SalesTotals::EMPTY;
        events(&raw).iter().for_each(|event| totals.add(event));
        let mut bytes = Vec::new();
        totals.write(&mut StateWriter::new(&mut bytes));
        prop_assert_eq!(SalesTotals::read(&mut StateReader::new(&bytes)), Ok(totals));
        bytes[bit / 8] ^= 1 << (bit % 8);
        // What is read of changed bytes is possible, so that adding it cannot fail.
        if let Ok(mut read) = SalesTotals::read(&mut StateReader::new(&bytes)) {
            read.merge(&totals);
            prop_assert!(read.count() > 0 && read.revenue_units >= 0);
        }
    }
}

#[test]
fn what_no_events_come_to_adds_nothing() {
    let partial = SalesPartial {
        source_partition: 0,
        watermark_ms: 0,
        complete_ms: None,
        key: millrace_contract::Text::new("EU/tv"),
        window_start_ms: 0,
        window_end_ms: 60_000,
        searches: 1,
        views: 0,
        clicks: 0,
        purchases: 0,
        units: 0,
        revenue_units: 1,
    };
    let Content::Final(groups) = partial.record::<Segment>().content else {
        panic!("a contribution")
    };
    assert_eq!(groups[0].totals, SalesTotals::EMPTY);
}
