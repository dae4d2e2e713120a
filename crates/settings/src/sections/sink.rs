//! What the sections of sinks have in common.
//!
//! `sink_section` makes a section of what is its own alone, as `stream_section` does.

use std::collections::BTreeMap;

/// What the loop of any sink is set with.
#[derive(Debug, Clone, Copy)]
pub struct SinkLoop<'s> {
    /// Names the process among all sinks.
    pub instance: Option<&'s str>,
    /// First pause before a retry.
    pub retry_initial_ms: u64,
    /// Longest pause before a retry.
    pub retry_max_ms: u64,
    /// How long a stop waits for what is in flight.
    pub drain_timeout_ms: u64,
    /// Further librdkafka properties of the consumer.
    pub consumer_properties: &'s BTreeMap<String, String>,
}

/// Makes the section of a sink, which has the name of its service: the keys that all have, with
/// their defaults, and its own.
macro_rules! sink_section {
    (
        $(#[$doc:meta])*
        $section:ident {
            $($(#[$own_doc:meta])* $own:ident: $type:ty = $default:expr;)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $section {
            /// Port of `/metrics` and `/health/*`.
            pub metrics_port: u16,
            /// Names the process among all sinks, as [`crate::Worker::instance`] does.
            pub instance: Option<String>,
            $($(#[$own_doc])* pub $own: $type,)*
            /// First pause before a retry; doubles each time, with jitter.
            pub retry_initial_ms: u64,
            /// Longest pause before a retry. Retries go on until the store takes what it is given:
            /// an outage holds back the sink alone.
            pub retry_max_ms: u64,
            /// How long a stop waits for what is in flight.
            pub drain_timeout_ms: u64,
            /// Further librdkafka properties of the consumer.
            pub consumer_properties: std::collections::BTreeMap<String, String>,
        }

        impl Default for $section {
            fn default() -> Self {
                Self {
                    metrics_port: millrace_catalog::Service::$section.spec().port,
                    instance: None,
                    $($own: $default,)*
                    retry_initial_ms: 100,
                    retry_max_ms: 30_000,
                    drain_timeout_ms: 20_000,
                    consumer_properties: std::collections::BTreeMap::new(),
                }
            }
        }

        impl $section {
            /// What the loop of any sink is set with.
            #[must_use]
            pub fn sink_loop(&self) -> $crate::sections::SinkLoop<'_> {
                $crate::sections::SinkLoop {
                    instance: self.instance.as_deref(),
                    retry_initial_ms: self.retry_initial_ms,
                    retry_max_ms: self.retry_max_ms,
                    drain_timeout_ms: self.drain_timeout_ms,
                    consumer_properties: &self.consumer_properties,
                }
            }
        }

        $crate::redact::redacted_debug!($section);
    };
}
pub(crate) use sink_section;
