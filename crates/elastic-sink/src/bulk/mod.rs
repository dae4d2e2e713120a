//! Bulk requests: how many documents go into one, its bytes, and what the answer means. Nothing
//! here does I/O.

pub mod batch;
pub mod encode;
pub mod fault;
pub mod response;
pub mod size;

pub use batch::{Batch, Batcher, Entry, Limits, Origin, Work};
pub use encode::encode;
pub use fault::IndexFault;
pub use response::{Answer, ItemOutcome, RefusedItem, RequestOutcome, RetryReason, classify};
pub use size::BulkSize;
