//! The processes of a pipeline.

use std::fmt;

use millrace_catalog::{Pipeline, Service};
use millrace_settings::Settings;

use super::group::streams_beside;

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
/// The first of each service that reads transactions.
pub const READERS: [Worker; 3] = [AGGREGATOR, DETECTOR, SINK];

/// The first of each service that reads what the producer sends by these settings, but for that of
/// rekeying.
#[must_use]
pub fn readers(settings: &Settings) -> Vec<Worker> {
    let beside = services_beside(settings).into_iter();
    READERS
        .into_iter()
        .chain(beside.map(|service| Worker(service, 1)))
        .collect()
}

/// The services of jobs of the streams beside the transactions.
#[must_use]
pub fn services_beside(settings: &Settings) -> Vec<Service> {
    let enabled_by = |pipeline: &Pipeline| pipeline.enabled_by;
    streams_beside(settings).filter_map(enabled_by).collect()
}
