//! A world of visitors for a generator: each comes from somewhere, looks around by the links of a
//! shop, and leaves.
//!
//! Who is there changes with the clicks alone: the same seed gives the same visits, whatever the
//! times.

use uuid::Uuid;

use crate::{Click, Page, User};

/// How many look around at once: at 200 clicks a second, one click each in 10 s.
const VISITORS: usize = 2_000;
/// Of a visit, one click in so many is the last.
const LEAVES: u64 = 8;
const CATEGORIES: u64 = 24;
const PRODUCTS: u64 = 5_000;
const OUTSIDE: [&str; 4] = [
    "https://www.search.example/?q=shop",
    "https://news.example/today",
    "https://mail.example/",
    "https://social.example/feed",
];

/// Visitors of a shop.
#[derive(Debug)]
pub struct World {
    random: Random,
    /// What the ids of its clicks begin with.
    run: [u8; 4],
    users: u64,
    visitors: Vec<Visitor>,
}

/// Somebody who looks around.
#[derive(Debug, Clone, Copy)]
struct Visitor {
    user: u64,
    /// The page that is open; at the start of a visit the one that the visitor comes from.
    open: Option<Page>,
    /// The kind of it.
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Outside,
    Home,
    Category,
    Product,
    Cart,
    Checkout,
}

impl World {
    /// A world of `users`, at least one. The ids of its clicks begin with `run`.
    #[must_use]
    pub fn new(seed: u64, users: u32, run: [u8; 4]) -> Self {
        let mut world = Self {
            random: Random(seed),
            run,
            users: u64::from(users.max(1)),
            visitors: Vec::new(),
        };
        world.visitors = (0..VISITORS).map(|_| world.arrives()).collect();
        world
    }

    /// The next click, at this time.
    pub fn next(&mut self, time_ms: i64) -> Click {
        let at = self.random.below(VISITORS as u64) as usize;
        loop {
            let visitor = self.visitors[at];
            let place = self.follows(visitor.place);
            // Texts of ours are pages and users.
            let (Some(page), Some(user)) = (self.page(place), User::new(&format!("u-{}", visitor.user)))
            else {
                self.visitors[at] = self.arrives();
                continue;
            };
            self.visitors[at] = match place == Place::Checkout || self.random.below(LEAVES) == 0 {
                true => self.arrives(),
                false => Visitor {
                    open: Some(page),
                    place,
                    ..visitor
                },
            };
            return Click {
                event_id: self.id(),
                user_id: user,
                page,
                referrer: visitor.open,
                time_ms,
            };
        }
    }

    /// Somebody who comes: users with low numbers more often, one in two by a link from elsewhere.
    fn arrives(&mut self) -> Visitor {
        let (one, other) = (self.random.below(self.users), self.random.below(self.users));
        let from = self.random.below(2 * OUTSIDE.len() as u64) as usize;
        Visitor {
            user: one.min(other),
            open: OUTSIDE.get(from).and_then(|url| Page::new(url)),
            place: Place::Outside,
        }
    }

    /// Where somebody goes from there.
    fn follows(&mut self, place: Place) -> Place {
        use Place::{Cart, Category, Checkout, Home, Outside, Product};
        let links: &[Place] = match place {
            Outside => &[Home, Home, Category, Product],
            Home => &[Category, Category, Category, Product],
            Category => &[Product, Product, Product, Category, Home],
            Product => &[Product, Category, Category, Cart, Home],
            Cart | Checkout => &[Checkout, Product, Home],
        };
        links[self.random.below(links.len() as u64) as usize]
    }

    fn page(&mut self, place: Place) -> Option<Page> {
        match place {
            Place::Outside => None,
            Place::Home => Page::new("https://shop.example/"),
            Place::Category => Page::new(&format!(
                "https://shop.example/c/{}",
                self.random.below(CATEGORIES)
            )),
            Place::Product => {
                let (one, other) = (self.random.below(PRODUCTS), self.random.below(PRODUCTS));
                Page::new(&format!("https://shop.example/p/{}", one.min(other)))
            }
            Place::Cart => Page::new("https://shop.example/cart"),
            Place::Checkout => Page::new("https://shop.example/checkout"),
        }
    }

    fn id(&mut self) -> Uuid {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&self.run);
        bytes[4..12].copy_from_slice(&self.random.next().to_be_bytes());
        bytes[12..].copy_from_slice(&(self.random.next() as u32).to_be_bytes());
        Uuid::from_bytes(bytes)
    }

    /// The next random number.
    pub fn random(&mut self) -> u64 {
        self.random.next()
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn clicks(seed: u64, count: usize) -> Vec<Click> {
        let mut world = World::new(seed, 10_000, [1, 2, 3, 4]);
        (0..count).map(|at| world.next(at as i64)).collect()
    }

    #[test]
    fn a_seed_is_a_stream_and_no_id_comes_twice() {
        assert_eq!(clicks(7, 1_000), clicks(7, 1_000));
        assert_ne!(clicks(7, 1_000), clicks(8, 1_000));
        let ids: BTreeSet<_> = clicks(7, 50_000).into_iter().map(|it| it.event_id).collect();
        assert_eq!(ids.len(), 50_000);
        assert!(ids.iter().all(|id| id.as_bytes().starts_with(&[1, 2, 3, 4])));
    }

    #[test]
    fn visitors_follow_links() {
        let all = clicks(42, 50_000);
        let mut views: BTreeMap<&str, u32> = BTreeMap::new();
        for click in &all {
            *views.entry(click.page.as_str()).or_default() += 1;
        }
        let share = |page| f64::from(views[page]) / all.len() as f64;
        assert!(
            share("shop.example/") > 0.1 && share("shop.example/cart") > 0.02,
            "{views:?}"
        );
        assert!(share("shop.example/checkout") < share("shop.example/cart"));
        assert!(views.len() > 3_000, "{} pages", views.len());
        let users: BTreeSet<_> = all.iter().map(|it| it.user_id.as_str().to_owned()).collect();
        assert!(users.len() > 3_000, "{} users", users.len());
        // Who checks out has been in the cart just before, and one in two comes by a link.
        let mut checkouts = all.iter().filter(|it| it.page.as_str().ends_with("/checkout"));
        assert!(checkouts.all(|it| it.referrer.is_some_and(|from| from.as_str().ends_with("/cart"))));
        let direct = all.iter().filter(|it| it.referrer.is_none()).count();
        assert!((1_000..10_000).contains(&direct), "{direct} direct visits");
    }
}
