//! The generator as a source of records: a stream, its clock and its pace.

mod skew;

use std::sync::Arc;

use millrace_domain::FraudLabel;

pub use skew::Skew;

use crate::encode::Encoder;
use crate::sender::Pacer;
use crate::source::{Next, Outgoing, Source};
use crate::stream::{EventClock, Stream};

/// One thread's generator.
#[derive(Debug)]
pub struct Generator {
    /// What is sent.
    pub stream: Stream,
    /// As what bytes.
    pub encoder: Encoder,
    /// With what event times.
    pub clock: EventClock,
    /// How fast.
    pub pacer: Arc<Pacer>,
    /// How many records, labels not counted; `None` is without end.
    pub remaining: Option<u64>,
    /// Keeps threads of simulated time together.
    pub skew: Option<Skew>,
    /// Records granted by the pacer and not sent yet.
    pub granted: u64,
    /// Labels to be sent.
    pub labels: Vec<FraudLabel>,
}

impl Source for Generator {
    #[inline]
    fn next(&mut self, value: &mut Vec<u8>) -> anyhow::Result<Next> {
        if self.remaining == Some(0) {
            return Ok(Next::End);
        }
        if self.granted == 0 {
            match self.pacer.take() {
                Ok(granted) => self.granted = granted,
                Err(wait) => return Ok(Next::Wait(wait)),
            }
        }
        if let Some(skew) = &mut self.skew
            && let Some(wait) = skew.wait_at(self.clock.peek())
        {
            return Ok(Next::Wait(wait));
        }
        self.granted -= 1;
        if let Some(remaining) = &mut self.remaining {
            *remaining -= 1;
        }
        let item = self.stream.next(self.clock.tick());
        self.encoder.item(&item, value);
        if !self.stream.labels().is_empty() {
            self.labels.append(self.stream.labels());
        }
        Ok(Next::Record(Outgoing::of(&item)))
    }

    fn next_label(&mut self, value: &mut Vec<u8>) -> Option<FraudLabel> {
        let label = self.labels.pop()?;
        self.encoder.label(&label, value);
        Some(label)
    }

    fn acknowledged_until(&mut self, event_time_ms: i64) {
        if let Some(skew) = &self.skew {
            skew.acknowledged_until(event_time_ms);
        }
    }
}
