//! What every service is set with, whichever it is.

use millrace_catalog::Service;

use super::Settings;

impl Settings {
    /// The services that run by these settings.
    pub fn services(&self) -> impl Iterator<Item = Service> + use<> {
        Service::of(self.installation())
    }

    /// Port of a service's `/metrics` and `/health/*`; 0 is any free one.
    #[must_use]
    pub fn metrics_port(&self, service: Service) -> u16 {
        match service {
            Service::Producer => self.producer.metrics_port,
            Service::Aggregator => self.aggregator.metrics_port,
            Service::Detector => self.detector.metrics_port,
            Service::ElasticSink => self.elastic_sink.metrics_port,
            Service::Rekey => self.rekey.metrics_port,
            Service::Gateway => self.gateway.metrics_port,
            Service::Clickstream => self.clickstream.metrics_port,
            Service::LakeSink => self.lake_sink.metrics_port,
            Service::CassandraSink => self.cassandra_sink.metrics_port,
        }
    }

    /// Sets [`Self::metrics_port`].
    pub fn set_metrics_port(&mut self, service: Service, port: u16) {
        *match service {
            Service::Producer => &mut self.producer.metrics_port,
            Service::Aggregator => &mut self.aggregator.metrics_port,
            Service::Detector => &mut self.detector.metrics_port,
            Service::ElasticSink => &mut self.elastic_sink.metrics_port,
            Service::Rekey => &mut self.rekey.metrics_port,
            Service::Gateway => &mut self.gateway.metrics_port,
            Service::Clickstream => &mut self.clickstream.metrics_port,
            Service::LakeSink => &mut self.lake_sink.metrics_port,
            Service::CassandraSink => &mut self.cassandra_sink.metrics_port,
        } = port;
    }

    /// Port that others call the service at, where it has one; 0 is any free one.
    #[must_use]
    pub fn api_port(&self, service: Service) -> Option<u16> {
        (service == Service::Gateway).then_some(self.gateway.port)
    }

    /// How long a stop of the service may take by its settings; `None` where it has none for that.
    #[must_use]
    pub fn drain_timeout_ms(&self, service: Service) -> Option<u64> {
        match service {
            Service::Producer => None,
            Service::Aggregator => Some(self.aggregator.worker.drain_timeout_ms),
            Service::Detector => Some(self.detector.worker.drain_timeout_ms),
            Service::ElasticSink => Some(self.elastic_sink.drain_timeout_ms),
            Service::Rekey => Some(self.rekey.worker.drain_timeout_ms),
            Service::Gateway => Some(self.gateway.drain_timeout_ms),
            Service::Clickstream => Some(self.clickstream.worker.drain_timeout_ms),
            Service::LakeSink => Some(self.lake_sink.drain_timeout_ms),
            Service::CassandraSink => Some(self.cassandra_sink.drain_timeout_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_has_its_section_and_its_port() {
        let mut settings = Settings::default();
        let sections = serde_json::to_value(&settings).expect("settings are JSON");
        for (service, port) in Service::ALL.into_iter().zip(1..) {
            let default = service.spec().port;
            assert_eq!(
                sections[service.section()]["metrics_port"],
                default,
                "{service:?}"
            );
            assert_eq!(settings.metrics_port(service), default, "{service:?}");
            settings.set_metrics_port(service, port);
            assert_eq!(settings.metrics_port(service), port, "{service:?}");
        }
    }
}
