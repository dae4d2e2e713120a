//! Payments on the engine: the aggregates of merchants, and what payments put into a state.
//!
//! [`PerMerchant`] is all that the two stages of aggregation know of a transaction; the stages
//! themselves are [`millrace_engine::windowed`]. Nothing here does I/O, reads a clock or draws a
//! random number.

#![forbid(unsafe_code)]

pub mod ledger;
mod per_merchant;
mod records;
pub mod state;

pub use per_merchant::{MerchantKey, MerchantLine, MerchantTotals, PerMerchant, Refunds};
pub use records::{merchant_aggregate, partial_of, record_of};

use millrace_engine::windowed::{Aggregate, Merge, Partial, PartialOutput};

/// Stage 1 over one partition of transactions.
pub type PartialAggregate = Partial<PerMerchant>;
/// Stage 2 over one partition of what stage 1 sends.
pub type MergeAggregate = Merge<PerMerchant>;
/// What stage 1 sends.
pub type MerchantOutput = PartialOutput<MerchantKey, MerchantTotals>;
/// What stage 2 gives.
pub type MerchantResult = Aggregate<MerchantKey, MerchantTotals>;
