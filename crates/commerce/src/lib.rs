//! A shop's events on the engine: revenue of each region, device and window, sales of each product,
//! and how far each session came on the way from a search to a purchase.
//!
//! [`SalesBy`] and [`Funnels`] are all that the stages and the machines by key of
//! [`millrace_engine`] know of an event. Nothing here does I/O, reads a clock or draws a random
//! number.

#![forbid(unsafe_code)]

mod event;
pub mod funnel;
mod key;
pub mod ledger;
mod partial;
mod result;
mod sales;
mod totals;

pub use event::{EventType, MOST_QUANTITY, ShopEvent};
pub use funnel::{Funnel, FunnelSettings, Funnels, Reached};
pub use key::{Product, Segment, User};
pub use partial::SalesPartial;
pub use result::{ProductSales, Revenue};
pub use sales::{SalesBy, SalesKey, SalesLine};
pub use totals::SalesTotals;

use millrace_engine::keyed::Ordered;
use millrace_engine::keyed::ordered::Said;
use millrace_engine::windowed::{Aggregate, Merge, Partial, Record};

/// Stage 1 of sales over one partition of the events.
pub type PartialSales<K> = Partial<SalesBy<K>>;
/// Stage 2 of sales over one partition of what stage 1 sends.
pub type MergeSales<K> = Merge<SalesBy<K>>;
/// What stage 1 of sales sends.
pub type SalesRecord<K> = Record<K, SalesTotals>;
/// What stage 2 of sales gives.
pub type SalesResult<K> = Aggregate<K, SalesTotals>;
/// Funnels over one partition of the events.
pub type UserFunnels = Ordered<Funnels>;
/// What comes out of it.
pub type FunnelSaid = Said<User, funnel::Visited>;
