//! The processes of a pipeline.

use std::fmt;

use millrace_catalog::Service;

/// One process of a service; number 1 has the port of the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Worker(pub Service, pub u8);

impl fmt::Display for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0.name(), self.1)
    }
}

/// The producer.
pub const PRODUCER: Worker = Worker(Service::Producer, 1);
/// The first aggregator.
pub const AGGREGATOR: Worker = Worker(Service::Aggregator, 1);
/// The first detector.
pub const DETECTOR: Worker = Worker(Service::Detector, 1);
/// The sink.
pub const SINK: Worker = Worker(Service::ElasticSink, 1);
/// The first of those that rekey, where transactions are rekeyed.
pub const REKEY: Worker = Worker(Service::Rekey, 1);
/// The first of each service that reads what the producer sends.
pub const READERS: [Worker; 3] = [AGGREGATOR, DETECTOR, SINK];
