//! The generator as a source of records: a stream, its clock and its pace.

mod skew;

use std::sync::Arc;

use millrace_domain::FraudLabel;
use millrace_domain::texts::InFlight;
use millrace_publisher::{Class, Next, Pacer, Record, Source};

pub use skew::Skew;

use crate::encode::Encoder;
use crate::ledger::Facts;
use crate::source::fill;
use crate::stream::{EventClock, Stream};

/// The machine's clock is read at least once for so many records, and whenever the pacer was asked.
const CLOCK_EVERY_RECORDS: u64 = 16;

/// One thread's generator.
#[derive(Debug)]
pub struct Generator {
    stream: Stream,
    encoder: Encoder,
    clock: EventClock,
    pacer: Arc<Pacer>,
    remaining: Option<u64>,
    skew: Option<Skew>,
    /// Records granted by the pacer and not sent yet.
    granted: u64,
    labels: Vec<FraudLabel>,
    /// Of the last record.
    facts: Option<Facts>,
}

impl Generator {
    /// A generator of `stream` with the clock's event times, encoded by `encoder`, as fast as
    /// `pacer` allows and for as many records as `count` says, labels not counted. `skew` keeps
    /// threads of simulated time together.
    #[must_use]
    pub fn new(
        stream: Stream,
        encoder: Encoder,
        clock: EventClock,
        pacer: Arc<Pacer>,
        count: Option<u64>,
        skew: Option<Skew>,
    ) -> Self {
        Self {
            stream,
            encoder,
            clock,
            pacer,
            remaining: count,
            skew,
            granted: 0,
            labels: Vec::new(),
            facts: None,
        }
    }
}

impl Source for Generator {
    type Entry = Facts;
    type Round = InFlight;

    fn round(&mut self) -> InFlight {
        InFlight::begin()
    }

    #[inline]
    fn next(&mut self, record: &mut Record) -> anyhow::Result<Next<Facts>> {
        if self.remaining == Some(0) {
            return Ok(Next::End);
        }
        if self.granted == 0 {
            match self.pacer.take() {
                Ok(granted) => {
                    self.granted = granted;
                    self.clock.refresh();
                }
                Err(wait) => return Ok(Next::Wait(wait)),
            }
        }
        if self.granted.is_multiple_of(CLOCK_EVERY_RECORDS) {
            self.clock.refresh();
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
        let facts = fill(record, &item, &self.encoder);
        if !self.stream.labels().is_empty() {
            self.labels.append(self.stream.labels());
            self.facts = Some(facts);
        }
        Ok(Next::Record(facts))
    }

    /// A label of injected fraud. It is counted apart and enters no sum; of the facts only its
    /// class matters.
    #[inline]
    fn next_aside(&mut self, record: &mut Record) -> Option<Facts> {
        let label = self.labels.pop()?;
        self.encoder.label(&label, &mut record.value);
        record.set_key(&label.transaction_id.to_text());
        Some(Facts {
            class: Class::Aside,
            event_time_ms: label.event_time_ms,
            ..self.facts?
        })
    }

    fn acknowledged_until(&mut self, event_time_ms: i64) {
        if let Some(skew) = &self.skew {
            skew.acknowledged_until(event_time_ms);
        }
    }
}
