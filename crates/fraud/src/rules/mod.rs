//! The rules, one a file.
//!
//! All judge accepted transactions, each once, in the order of arrival. All but [`replay`] look at
//! purchases alone: money that comes back is no spending, and a refund is booked where the merchant
//! is, not where the user is.

pub mod amount_outlier;
pub mod impossible_travel;
pub mod replay;
pub mod velocity;
