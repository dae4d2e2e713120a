//! A record with a field of every kind.

use millrace_contract::{Decimal, Id, Text, Time, contract, symbols};
use uuid::Uuid;

symbols! {
    /// What a user did.
    pub enum Action {
        /// Followed a link.
        Click = "click",
        /// Looked at a product.
        View = "view",
        /// Bought it.
        Purchase = "purchase",
        /// Looked for one.
        Search = "search",
    }
}

contract! {
    schema "test.Everything" = include_str!("../schemas/everything.avsc");

    /// A field of every kind, alone and optional.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub struct Everything {
        pub id: Uuid,
        pub key: Id,
        pub note: Text<300>,
        pub at_ms: i64 as Time = "at",
        pub count: i64,
        pub change: i32,
        pub ratio: f64,
        pub is_open: bool = "isOpen",
        pub action: Action = "kind",
        pub price_cents: i128 as Decimal<2> = "price",
        pub maybe_key: Option<Id> = "maybeKey",
        pub maybe_at_ms: Option<i64> as Option<Time> = "maybeAt",
        pub maybe_ratio: Option<f64> = "maybeRatio",
        pub maybe_action: Option<Action> = "maybeKind",
        pub maybe_price_cents: Option<i128> as Option<Decimal<2>> = "maybePrice",
    }
}
