//! When to pause the partitions, and when to go on.

use std::time::Instant;

use anyhow::Context as _;
use millrace_kafka::copies::KeptRecord;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

use crate::batch::Origin;
use crate::sink::Sink;

use super::context::SinkContext;

/// A record that the registry could not be asked about. It waits here, and with it everything after
/// it. (Seeking back would not do: a pause makes librdkafka go on after the record it handed out
/// last, whatever was sought between.)
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) origin: Origin,
    /// When the broker appended it to the log; `None` if only a producer says when.
    pub(crate) append_time_ms: Option<i64>,
    pub(crate) record: KeptRecord,
    /// How often the registry could not be asked.
    pub(crate) failures: u32,
    /// When it is asked again.
    pub(crate) until: Instant,
}

/// Pauses while nothing more is to be read.
#[derive(Debug, Default)]
pub(super) struct Flow {
    is_paused: bool,
}

impl Flow {
    /// Pauses or resumes what is assigned.
    pub(super) fn update<S: Sink>(
        &mut self,
        consumer: &BaseConsumer<SinkContext<S>>,
        pause: bool,
    ) -> anyhow::Result<()> {
        // Partitions just assigned are not paused, whatever the others are.
        let is_new = consumer.context().take_changed();
        if pause && (is_new || !self.is_paused) {
            consumer.pause(&consumer.assignment()?).context("pausing")?;
        } else if !pause && self.is_paused {
            consumer.resume(&consumer.assignment()?).context("resuming")?;
        }
        if pause != self.is_paused {
            tracing::debug!(paused = pause, "reading is paused or resumed");
        }
        self.is_paused = pause;
        Ok(())
    }
}
