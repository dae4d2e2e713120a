//! Clickstream on the engine: the views of each page and window with their distinct visitors, and
//! the sessions of each user.
//!
//! [`ViewsPerPage`] and [`Visits`] are all that the stages and the sessions of
//! [`millrace_engine`] know of a page view. A [`World`] makes clicks for a generator, by a seed.
//! Nothing here does I/O, reads a clock or draws a random number.

#![forbid(unsafe_code)]

mod click;
mod hashed;
pub mod ledger;
mod page_views;
mod partial;
mod session;
mod world;

pub use click::Click;
pub use hashed::{Page, User};
pub use page_views::{MOST_VISITORS, PageLine, PageViews, ViewsPerPage, ViewsTotals};
pub use partial::PageViewsPartial;
pub use session::{Session, Visit, VisitTotals, Visits};
pub use world::World;

use millrace_engine::keyed::Sessions;
use millrace_engine::windowed::{Aggregate, Merge, Partial, Record};

/// Stage 1 of page views over one partition of the clickstream.
pub type PartialViews = Partial<ViewsPerPage>;
/// Stage 2 of page views over one partition of what stage 1 sends.
pub type MergeViews = Merge<ViewsPerPage>;
/// What stage 1 of page views sends.
pub type PartialRecord = Record<Page, ViewsTotals>;
/// What stage 2 of page views gives.
pub type ViewsResult = Aggregate<Page, ViewsTotals>;
/// Sessions over one partition of the clickstream.
pub type UserSessions = Sessions<Visits>;
