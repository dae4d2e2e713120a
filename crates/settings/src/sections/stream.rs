//! What the sections of streams have in common.
//!
//! `stream_section` makes a section of what is its own alone. A struct that serde flattens into
//! each would be one type as well; but serde tells what is wrong in such a one without its key.

use super::worker::{EventTime, MisplacedRecords, Worker};

/// What the jobs of any stream are set with.
#[derive(Debug, Clone, Copy)]
pub struct StreamJobs<'s> {
    /// Size of the tumbling window.
    pub window_ms: i64,
    /// How long after the watermark has passed its end a window still takes records.
    pub allowed_lateness_ms: i64,
    /// Records that lie elsewhere than those of their key.
    pub misplaced_records: MisplacedRecords,
    /// Event time.
    pub event_time: &'s EventTime,
    /// The worker loops.
    pub worker: &'s Worker,
}

/// Makes the section of a stream, which has the name of its service: the keys that all have, with
/// their defaults, and then its own.
macro_rules! stream_section {
    (
        $(#[$doc:meta])*
        $section:ident {
            $($(#[$own_doc:meta])* $own:ident: $type:ty = $default:expr;)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $section {
            /// Whether it is there: its topics, its jobs, its documents.
            pub enabled: bool,
            /// Port of `/metrics` and `/health/*`.
            pub metrics_port: u16,
            /// Size of the tumbling window.
            pub window_ms: i64,
            /// How long after the watermark has passed its end a window still takes records, and
            /// how long what is kept by key waits for them.
            pub allowed_lateness_ms: i64,
            $($(#[$own_doc])* pub $own: $type,)*
            /// Records that lie elsewhere than those of their key; not `rekey`.
            pub misplaced_records: $crate::sections::MisplacedRecords,
            /// Event time.
            pub event_time: $crate::sections::EventTime,
            /// The worker loops.
            pub worker: $crate::sections::Worker,
        }

        impl Default for $section {
            fn default() -> Self {
                Self {
                    enabled: false,
                    metrics_port: millrace_catalog::Service::$section.spec().port,
                    window_ms: 60_000,
                    allowed_lateness_ms: 0,
                    $($own: $default,)*
                    misplaced_records: $crate::sections::MisplacedRecords::Count,
                    event_time: $crate::sections::EventTime::default(),
                    worker: $crate::sections::Worker::default(),
                }
            }
        }

        impl $section {
            /// What the jobs of any stream are set with.
            #[must_use]
            pub const fn jobs(&self) -> $crate::sections::StreamJobs<'_> {
                $crate::sections::StreamJobs {
                    window_ms: self.window_ms,
                    allowed_lateness_ms: self.allowed_lateness_ms,
                    misplaced_records: self.misplaced_records,
                    event_time: &self.event_time,
                    worker: &self.worker,
                }
            }
        }
    };
}
pub(crate) use stream_section;
