//! Stage 2: contributions of every source partition in, one aggregate for each window, merchant and
//! currency out.

use millrace_runtime::processor::ProcessorTask;
use millrace_runtime::windowed;
pub use millrace_runtime::windowed::MergeTopics;

use crate::merchants::Merchants;

/// The name of stage 2.
pub const NAME: &str = millrace_catalog::payments::AGGREGATE_MERGE.name;

/// The job of stage 2.
pub type MergeJob = windowed::MergeJob<Merchants>;
/// What it is made of.
pub type MergeParts = windowed::MergeParts<Merchants>;
/// Stage 2 over one partition.
pub type MergeTask = ProcessorTask<MergeJob>;
