//! Shoppers who search, see products, open some, and buy one now and then.
//!
//! Who is there changes with the events alone: the same seed gives the same events, whatever the
//! times.

use millrace_commerce::{EventType, ShopEvent, User};
use millrace_contract::Id;

use super::goods::{Good, PRODUCTS};
use crate::beside::Draws;

/// How many look around at once: at one event a second, one each in 20 s.
const SHOPPERS: usize = 20;
/// Of a visit, one event in so many is the last.
const LEAVES: u64 = 12;
/// Regions, the first ones more often, each with how many in 16 are there.
const REGIONS: [(&str, u64); 4] = [("EU", 7), ("NA", 5), ("APAC", 3), ("LATAM", 1)];
const DEVICES: [&str; 4] = ["mobile", "mobile", "desktop", "tablet"];

/// Those who look around.
#[derive(Debug)]
pub(crate) struct Shoppers {
    pub(super) draws: Draws,
    users: u64,
    shoppers: Vec<Shopper>,
}

/// Somebody who looks around.
#[derive(Debug, Clone, Copy)]
struct Shopper {
    user: u64,
    region: &'static str,
    device: &'static str,
    /// The last that was done; `None` at the start.
    did: Option<EventType>,
    /// What it was done with.
    good: Good,
}

impl Shoppers {
    /// A world of `users`, at least one. The ids of its events begin with `run`.
    pub(crate) fn new(seed: u64, users: u32, run: [u8; 4]) -> Self {
        let mut world = Self {
            draws: Draws::new(seed, run),
            users: u64::from(users.max(1)),
            shoppers: Vec::new(),
        };
        world.shoppers = (0..SHOPPERS).map(|_| world.arrives()).collect();
        world
    }

    /// The next event, at this time.
    pub(crate) fn next(&mut self, time_ms: i64) -> ShopEvent {
        let at = self.draws.below(SHOPPERS as u64) as usize;
        loop {
            let before = self.shoppers[at];
            let (event_type, good) = self.follows(&before);
            let shopper = Shopper {
                did: Some(event_type),
                good,
                ..before
            };
            let leaves = event_type == EventType::Purchase || self.draws.below(LEAVES) == 0;
            self.shoppers[at] = if leaves { self.arrives() } else { shopper };
            // Texts of ours are ids.
            if let Some(event) = self.event(&shopper, event_type, time_ms) {
                return event;
            }
        }
    }

    fn event(&mut self, shopper: &Shopper, event_type: EventType, time_ms: i64) -> Option<ShopEvent> {
        let good = shopper.good;
        let is_search = event_type == EventType::Search;
        let quantity = 1 + self.draws.below(3) as i32;
        Some(ShopEvent {
            event_id: self.draws.id(),
            event_type,
            user_id: User::new(&format!("u-{}", shopper.user))?,
            product_id: good.id().filter(|_| !is_search),
            price: good.price().filter(|_| !is_search),
            quantity: (event_type == EventType::Purchase).then_some(quantity),
            region: Id::new(shopper.region)?,
            device: Id::new(shopper.device)?,
            time_ms,
            query: good.query().filter(|_| is_search),
            product_name: good.name().filter(|_| !is_search),
            category: good.category().filter(|_| !is_search),
        })
    }

    /// Somebody who comes: users with low numbers more often.
    fn arrives(&mut self) -> Shopper {
        let (one, other) = (self.draws.below(self.users), self.draws.below(self.users));
        let user = one.min(other);
        let mut place = user % 16;
        let mut region = REGIONS[0].0;
        for (name, share) in REGIONS {
            region = name;
            match place.checked_sub(share) {
                Some(rest) => place = rest,
                None => break,
            }
        }
        Shopper {
            user,
            region,
            device: DEVICES[self.draws.below(DEVICES.len() as u64) as usize],
            did: None,
            good: self.good(),
        }
    }

    /// A product: those with low numbers more often.
    fn good(&mut self) -> Good {
        let (one, other) = (self.draws.below(PRODUCTS), self.draws.below(PRODUCTS));
        Good::of(one.min(other))
    }

    /// What somebody does next, and with which product: a click and a purchase are of the one that
    /// was seen.
    fn follows(&mut self, shopper: &Shopper) -> (EventType, Good) {
        use EventType::{Click, Purchase, Search, View};
        let next: &[EventType] = match shopper.did {
            // Three in four come to search, the others by a link.
            None => &[Search, Search, Search, View],
            Some(Search) => &[View, View, View, Search],
            Some(View) => &[View, View, Click, Click, Search],
            Some(Click | Purchase) => &[Purchase, View, View, Search],
        };
        let event_type = next[self.draws.below(next.len() as u64) as usize];
        let good = match (shopper.did, event_type) {
            (Some(View), View) | (Some(Click), View | Search) | (Some(View), Search) => self.good(),
            _ => shopper.good,
        };
        (event_type, good)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use millrace_contract::Event as _;

    use super::*;

    fn events(seed: u64, count: usize) -> Vec<ShopEvent> {
        let mut world = Shoppers::new(seed, 1_000, [1, 2, 3, 4]);
        (0..count).map(|at| world.next(at as i64)).collect()
    }

    #[test]
    fn a_seed_is_a_stream_and_no_id_comes_twice() {
        assert_eq!(events(7, 1_000), events(7, 1_000));
        assert_ne!(events(7, 1_000), events(8, 1_000));
        let ids: BTreeSet<_> = events(7, 50_000).into_iter().map(|it| it.event_id).collect();
        assert_eq!(ids.len(), 50_000);
        assert!(ids.iter().all(|id| id.as_bytes().starts_with(&[1, 2, 3, 4])));
    }

    #[test]
    fn every_event_is_possible_and_all_kinds_regions_and_devices_are_there() {
        let all = events(42, 20_000);
        assert!(all.iter().all(|event| event.check().is_ok()));
        let mut kinds: BTreeMap<EventType, usize> = BTreeMap::new();
        for event in &all {
            *kinds.entry(event.event_type).or_default() += 1;
            assert_eq!(event.event_type == EventType::Search, event.query.is_some());
            assert_eq!(event.event_type == EventType::Purchase, event.paid().is_some());
        }
        assert_eq!(kinds.len(), 4, "{kinds:?}");
        let (views, purchases) = (kinds[&EventType::View], kinds[&EventType::Purchase]);
        assert!(purchases > 200 && views > 5 * purchases, "{kinds:?}");
        let regions: BTreeSet<_> = all.iter().map(|it| it.region).collect();
        let devices: BTreeSet<_> = all.iter().map(|it| it.device).collect();
        assert_eq!((regions.len(), devices.len()), (4, 3));
        let products: BTreeSet<_> = all
            .iter()
            .filter_map(|it| Some(it.product_id?.as_str().to_owned()))
            .collect();
        assert!(products.len() > 400, "{} products", products.len());
    }
}
