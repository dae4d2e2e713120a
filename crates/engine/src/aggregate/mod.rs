//! Merchant aggregates over tumbling windows of event time, in two stages: [`partial`] adds up one partition of
//! transactions, [`merge`] adds up what all of them send.

mod combine;
mod early;
mod groups;
pub mod merge;
mod open_window;
pub mod partial;
pub mod policy;

pub use crate::policy::ConfigError;
pub use combine::partials;
pub use merge::MergeAggregate;
pub use partial::{PartialAggregate, PartialOutput};
pub use policy::{EarlyResults, MergePolicy, PartialPolicy};

use crate::Disposition;

/// Whether a window has closed, and if so, what becomes of a record for it.
///
/// A window `[start, end)` closes when the watermark reaches `end + lateness`. How late a record is counts from the
/// last millisecond that the window covers, so it is never 0.
#[inline]
fn late(watermark_ms: Option<i64>, window_end_ms: i64, allowed_lateness_ms: i64) -> Option<Disposition> {
    let watermark_ms = watermark_ms?;
    let closes_ms = window_end_ms.saturating_add(allowed_lateness_ms);
    (watermark_ms >= closes_ms).then(|| Disposition::Late {
        late_by_ms: watermark_ms.saturating_sub(closes_ms).saturating_add(1),
    })
}
