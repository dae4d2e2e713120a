//! What can be measured.

use std::fmt;

use clap::ValueEnum;

/// One thing that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Line {
    /// What the machine does in a nanosecond, to compare the other figures by
    Machine,
    /// Decoding and encoding a transaction, in this process
    Codec,
    /// Aggregation and detection without Kafka, in this process
    Engine,
    /// The same for few and many users and merchants
    Growth,
    /// The producer as fast as it goes
    Producer,
    /// The aggregator, from a backlog
    Aggregator,
    /// The detector, from a backlog
    Detector,
    /// The job that rekeys, from a backlog
    Rekey,
    /// The Elasticsearch sink with every transaction, from a backlog
    Sink,
    /// From a transaction's timestamp to its anomaly read by a read_committed consumer, at a steady
    /// rate
    Latency,
    /// Everything at once at the headline rate, and verified
    Sustained,
}

impl Line {
    /// Whether it needs the stack.
    #[must_use]
    pub fn needs_stack(self) -> bool {
        !matches!(self, Self::Machine | Self::Codec | Self::Engine | Self::Growth)
    }

    /// Whether it reads what the line `producer` has sent.
    #[must_use]
    pub fn needs_backlog(self) -> bool {
        matches!(self, Self::Producer | Self::Aggregator | Self::Detector)
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // None is skipped, so each has a value.
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}
