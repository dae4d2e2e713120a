//! Stage 1: transactions in, one record for each window and merchant out, with a contribution for
//! each currency.

use millrace_runtime::processor::ProcessorTask;
use millrace_runtime::windowed;
pub use millrace_runtime::windowed::PartialTopics;

use crate::merchants::Merchants;

/// The name of stage 1.
pub const NAME: &str = millrace_catalog::payments::AGGREGATE_PARTIAL.name;

/// The job of stage 1.
pub type PartialJob = windowed::PartialJob<Merchants>;
/// What it is made of.
pub type PartialParts = windowed::PartialParts<Merchants>;
/// Stage 1 over one partition.
pub type PartialTask = ProcessorTask<PartialJob>;
