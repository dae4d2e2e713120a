//! What the shop sells: each product is what its number makes of it, for ever.

use millrace_commerce::Product;
use millrace_contract::Text;
use millrace_domain::Amount;

use crate::world::random::mix;

/// Products on sale.
pub(super) const PRODUCTS: u64 = 500;

const CATEGORIES: [(&str, [&str; 4]); 5] = [
    ("shoes", ["running shoes", "hiking boots", "sandals", "sneakers"]),
    (
        "kitchen",
        ["espresso machine", "chef's knife", "cast iron pan", "kettle"],
    ),
    (
        "audio",
        [
            "wireless headphones",
            "turntable",
            "bookshelf speakers",
            "microphone",
        ],
    ),
    ("books", ["cookbook", "travel guide", "detective novel", "atlas"]),
    (
        "garden",
        ["hedge trimmer", "watering can", "lawn mower", "bird feeder"],
    ),
];
const COLOURS: [&str; 6] = ["black", "white", "red", "blue", "green", "grey"];

/// A product.
#[derive(Debug, Clone, Copy)]
pub(super) struct Good {
    number: u64,
}

impl Good {
    /// The product of a number.
    pub(super) fn of(number: u64) -> Self {
        let number = number % PRODUCTS;
        Self { number }
    }

    fn drawn(self, what: u64, bound: usize) -> usize {
        (mix(what, self.number) % bound as u64) as usize
    }

    fn kind(self) -> (&'static str, &'static str) {
        let (category, kinds) = &CATEGORIES[self.drawn(1, CATEGORIES.len())];
        (category, kinds[self.drawn(2, kinds.len())])
    }

    pub(super) fn id(self) -> Option<Product> {
        Product::new(&format!("p-{:04}", self.number))
    }

    pub(super) fn name(self) -> Option<Text<192>> {
        let colour = COLOURS[self.drawn(3, COLOURS.len())];
        Text::new(&format!("{colour} {} {}", self.kind().1, self.number))
    }

    pub(super) fn category(self) -> Option<Text<64>> {
        Text::new(self.kind().0)
    }

    /// What somebody who finds it has searched for.
    pub(super) fn query(self) -> Option<Text<256>> {
        let colour = COLOURS[self.drawn(3, COLOURS.len())];
        Text::new(&format!("{} {colour}", self.kind().1))
    }

    /// From 1.99 to 400.99, to the cent.
    pub(super) fn price(self) -> Option<Amount> {
        let whole = 1 + mix(4, self.number) % 400;
        Amount::from_units((whole * 10_000 + 9_900).cast_signed())
    }
}
