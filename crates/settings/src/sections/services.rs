//! What every service is set with, whichever it is.

use millrace_catalog::{Installation, Service};

use super::{Settings, StreamJobs};

/// What the settings have of every service, of one line for each: its section, the key that enables
/// it where it runs by that alone, with what its jobs are set with where it is a stream's, and the
/// key that bounds its stop.
macro_rules! sections {
    ($($service:ident: $section:ident $([$enabled:ident $($jobs:ident)?])? $($drain:ident).*;)+) => {
        impl Settings {
            /// What is installed by these settings.
            #[must_use]
            pub fn installation(&self) -> Installation {
                Installation::default()
                    .rekeying(self.rekeys())
                    $($(.with(Service::$service, self.$section.$enabled))?)+
            }

            /// Enables a service that runs only where its section says so; the others run as they
            /// do.
            pub fn enable(&mut self, service: Service) {
                match service {
                    $(Service::$service => { $(self.$section.$enabled = true;)? })+
                }
            }

            /// What the jobs of a stream are set with, by the stream's service; `None` of others.
            #[must_use]
            pub fn stream_jobs(&self, service: Service) -> Option<StreamJobs<'_>> {
                match service {
                    $($($(Service::$service => Some(self.$section.$jobs()),)?)?)+
                    _ => None,
                }
            }

            /// Port of a service's `/metrics` and `/health/*`; 0 is any free one.
            #[must_use]
            pub fn metrics_port(&self, service: Service) -> u16 {
                match service {
                    $(Service::$service => self.$section.metrics_port,)+
                }
            }

            /// Sets [`Self::metrics_port`].
            pub fn set_metrics_port(&mut self, service: Service, port: u16) {
                match service {
                    $(Service::$service => self.$section.metrics_port = port,)+
                }
            }

            /// How long a stop of the service may take by its settings; `None` where it has none
            /// for that.
            #[must_use]
            pub fn drain_timeout_ms(&self, service: Service) -> Option<u64> {
                match service {
                    $(Service::$service => sections!(@drain self.$section $($drain).*),)+
                }
            }
        }
    };
    (@drain $self:ident.$section:ident) => { None };
    (@drain $self:ident.$section:ident $($drain:ident).+) => { Some($self.$section.$($drain).+) };
}

sections! {
    Producer: producer;
    Aggregator: aggregator worker.drain_timeout_ms;
    Detector: detector worker.drain_timeout_ms;
    ElasticSink: elastic_sink drain_timeout_ms;
    Rekey: rekey worker.drain_timeout_ms;
    Gateway: gateway [enabled] drain_timeout_ms;
    Clickstream: clickstream [enabled jobs] worker.drain_timeout_ms;
    LakeSink: lake_sink [enabled] drain_timeout_ms;
    Iot: iot [enabled jobs] worker.drain_timeout_ms;
    CassandraSink: cassandra_sink [enabled] drain_timeout_ms;
    Commerce: commerce [enabled jobs] worker.drain_timeout_ms;
    Incidents: incidents [enabled] worker.drain_timeout_ms;
}

impl Settings {
    /// The services that run by these settings.
    pub fn services(&self) -> impl Iterator<Item = Service> + use<> {
        Service::of(self.installation())
    }

    /// Port that others call the service at, where it has one; 0 is any free one.
    #[must_use]
    pub fn api_port(&self, service: Service) -> Option<u16> {
        (service == Service::Gateway).then_some(self.gateway.port)
    }
}

#[cfg(test)]
mod tests {
    use millrace_catalog::When;

    use super::*;

    #[test]
    fn each_service_that_waits_for_its_section_can_be_enabled() {
        for service in Service::ALL {
            let mut settings = Settings::default();
            settings.enable(service);
            let waits = service.spec().when == When::Enabled;
            assert_eq!(settings.installation().enables(service), waits, "{service:?}");
        }
    }

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
