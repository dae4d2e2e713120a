//! Aggregates over tumbling windows of event time, in two stages, as jobs: whoever says what is
//! added up, and how its records are written, has both jobs.
//!
//! [`PartialJob`] adds up each partition of events and sends one contribution for each window and
//! key, then its watermark; [`MergeJob`] adds the contributions up once every partition has passed
//! the window. The operators are those of [`millrace_engine::windowed`].

mod beginning;
mod fingerprint;
mod merge;
mod metrics;
mod partial;

use std::fmt::Debug;

use millrace_contract::Contract;
use millrace_engine::EventTimeBounds;
use millrace_engine::windowed::{self, Aggregation};

use crate::processor::{Refused, check_event};
pub use merge::{MergeJob, MergeParts, MergeTopics};
pub use metrics::{PartitionMetrics, WindowMetrics};
pub use partial::{PartialJob, PartialParts, PartialTopics};

/// What aggregates in two stages are of: what is added up, and how its records are read and
/// written. The names of the jobs are those of the aggregation's stages.
pub trait TwoStage: Clone + Debug + Send + Sync + 'static {
    /// What is added up.
    type Aggregation: Aggregation<Event: Debug + Contract<Kept: Send>>;
    /// The value of a record between the stages.
    type Partial: Contract + Clone + Debug + Send;

    /// What the events are called, for messages: `transactions`.
    const EVENTS: &'static str;

    /// What is added up.
    fn aggregation() -> Self::Aggregation;

    /// Whether an event is one that its stream may have, beside that it could be read.
    /// `append_time_ms` is when the broker appended it, where that is known.
    ///
    /// # Errors
    /// Why it is left out.
    fn check(
        event: &EventOf<Self>,
        append_time_ms: Option<i64>,
        bounds: &EventTimeBounds,
    ) -> Result<(), Refused> {
        check_event(event, append_time_ms, bounds)
    }

    /// What the records between the stages are keyed by, and those of the results.
    fn key(key: &KeyOf<Self>) -> impl AsRef<[u8]>;

    /// Appends the value of a record between the stages, in its framing.
    fn encode_partial(schema_id: u32, record: RecordOf<Self>, value: &mut Vec<u8>);

    /// What such a value tells.
    fn record_of(partial: Self::Partial) -> RecordOf<Self>;

    /// Appends the value of a result, in its framing.
    fn encode_result(schema_id: u32, result: &ResultOf<Self>, value: &mut Vec<u8>);
}

/// What is added up.
pub type EventOf<W> = <<W as TwoStage>::Aggregation as Aggregation>::Event;
/// What tells groups apart.
pub type KeyOf<W> = <<W as TwoStage>::Aggregation as Aggregation>::Key;
/// What groups add up to.
pub type TotalsOf<W> = <<W as TwoStage>::Aggregation as Aggregation>::Totals;
/// What is sent from stage to stage.
pub type RecordOf<W> = windowed::Record<KeyOf<W>, TotalsOf<W>>;
/// What stage 2 gives.
pub type ResultOf<W> = windowed::Aggregate<KeyOf<W>, TotalsOf<W>>;
