//! Bulk requests: how large one may be, its bytes, and what the answer means. Nothing
//! here does I/O.

pub mod encode;
pub mod fault;
pub mod response;
pub mod size;

pub use encode::encode;
pub use fault::{IndexFault, Reason};
pub use response::{Answer, ItemOutcome, RefusedItem, RequestOutcome, RetryReason, classify};
pub use size::BulkSize;
