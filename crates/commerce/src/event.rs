//! The source: what users do in a shop, keyed by user.

use millrace_contract::{DecodeError, Event, Id, Text, Time, contract, symbols};
use millrace_domain::Amount;
use uuid::Uuid;

use crate::{Product, User};

/// Pieces in a purchase, at most: more is a mistake.
pub const MOST_QUANTITY: i32 = 1_000_000;

symbols! {
    /// What a user did.
    pub enum EventType {
        /// Opened a product.
        Click = "click",
        /// Saw it among others.
        View = "view",
        /// Bought it.
        Purchase = "purchase",
        /// Searched.
        Search = "search",
    }
}

contract! {
    schema "millrace.ShopEvent" = include_str!("../schemas/shop_event.avsc");

    /// What a user did in a shop. Whether it can have been so, [`Event::check`] says.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct ShopEvent {
        /// Unique for ever.
        pub event_id: Uuid,
        /// What.
        pub event_type: EventType,
        /// Who; the record's key.
        pub user_id: User,
        /// With which product.
        pub product_id: Option<Product>,
        /// The price of one piece, in the shop's one currency.
        pub price: Option<Amount>,
        /// How many pieces.
        pub quantity: Option<i32>,
        /// Where.
        pub region: Id,
        /// On what kind of device.
        pub device: Id,
        /// Event time in milliseconds since 1970.
        pub time_ms: i64 as Time = "ts",
        /// What was searched for.
        pub query: Option<Text<256>>,
        /// What the product is called.
        pub product_name: Option<Text<192>>,
        /// What kind of product it is.
        pub category: Option<Text<64>>,
    }
}

impl ShopEvent {
    /// What a purchase comes to: its price by its quantity. `None` of other events, of one that is
    /// incomplete, and of more than the largest amount.
    #[must_use]
    pub fn paid(&self) -> Option<Amount> {
        let units = self.price?.units().checked_mul(self.units()?.into())?;
        Amount::from_units(units)
    }

    /// The pieces of a purchase; `None` of other events, and of an impossible number.
    #[must_use]
    pub fn units(&self) -> Option<i32> {
        let quantity = self.quantity.filter(|it| (1..=MOST_QUANTITY).contains(it));
        quantity.filter(|_| self.event_type == EventType::Purchase)
    }

    /// As [`ShopEvent::paid`], in 1/10,000, and 0 of what comes to nothing.
    #[must_use]
    pub fn paid_units(&self) -> i64 {
        self.paid().map_or(0, Amount::units)
    }
}

impl Event for ShopEvent {
    fn id(&self) -> [u8; 16] {
        self.event_id.into_bytes()
    }

    fn time_ms(&self) -> i64 {
        self.time_ms
    }

    fn key(&self) -> impl AsRef<[u8]> {
        self.user_id.as_str()
    }

    /// A purchase has a product, a price and a possible quantity; a device has no `/`.
    fn check(&self) -> Result<(), DecodeError> {
        if self.device.as_bytes().contains(&b'/') {
            return Err(DecodeError::Invalid {
                code: "invalid_device",
                message: format!("device {:?} must have no /", self.device),
            });
        }
        let is_purchase = self.event_type == EventType::Purchase;
        if is_purchase && (self.product_id.is_none() || self.paid().is_none()) {
            return Err(DecodeError::Invalid {
                code: "incomplete_purchase",
                message: format!(
                    "a purchase must have a product_id, a price and a quantity from 1 to {MOST_QUANTITY}, and has \
                     {:?}, {:?} and {:?}",
                    self.product_id,
                    self.price.map(Amount::to_f64),
                    self.quantity
                ),
            });
        }
        Ok(())
    }
}
