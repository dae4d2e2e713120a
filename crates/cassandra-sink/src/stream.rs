//! The topics that are read, and what rows their records make.

use millrace_catalog::clickstream::topic::PAGE_VIEWS;
use millrace_catalog::payments::topic::{AGGREGATES, ANOMALIES};
use millrace_clickstream::PageViews;
use millrace_contract::{ReadError, Reader};
use millrace_domain::codec::{AggregateReader, AnomalyReader};
use millrace_domain::texts::InFlight;
use millrace_kafka::topic_name;
use millrace_registry::{Registry, RegistryError, SchemaFetcher};
use millrace_service::registry;
use millrace_settings::Settings;

use crate::row::Row;
use crate::tables::{NoRow, aggregates, anomalies, page_views};

/// A topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stream {
    /// `transaction_aggregates`.
    Aggregates,
    /// `transaction_anomalies`.
    Anomalies,
    /// `page_views`, where the clickstream is enabled.
    PageViews,
}

impl Stream {
    /// Every stream.
    pub const ALL: [Self; 3] = [Self::Aggregates, Self::Anomalies, Self::PageViews];
    /// Their labels.
    pub(crate) const LABELS: [&str; 3] = ["aggregates", "anomalies", "page_views"];

    /// Those that there are by the settings.
    #[must_use]
    pub fn of(settings: &Settings) -> Vec<Self> {
        let is_there = |stream: &Self| *stream != Self::PageViews || settings.clickstream.enabled;
        Self::ALL.into_iter().filter(is_there).collect()
    }

    /// The topic's full name.
    #[must_use]
    pub fn topic(self, settings: &Settings) -> String {
        let name = match self {
            Self::Aggregates => AGGREGATES,
            Self::Anomalies => ANOMALIES,
            Self::PageViews => PAGE_VIEWS,
        };
        topic_name(&settings.kafka, name)
    }

    /// A name for metrics, and for people.
    #[must_use]
    pub const fn label(self) -> &'static str {
        Self::LABELS[self as usize]
    }
}

/// Readers of the topics.
#[derive(Debug)]
pub struct Readers {
    /// Of merchant aggregates.
    pub aggregates: AggregateReader,
    /// Of anomalies.
    pub anomalies: AnomalyReader,
    /// Of page views.
    pub page_views: Reader<PageViews>,
}

impl Readers {
    /// Readers that have the newest schemas. Waits for a registry that is away.
    ///
    /// # Errors
    /// The registry's settings are wrong, or it refuses.
    pub async fn ask(settings: &Settings) -> anyhow::Result<Self> {
        let config = registry::config(&settings.schema_registry);
        let (client, fetcher) = (Registry::new(config.clone())?, SchemaFetcher::new(config));
        let topic = |stream: Stream| stream.topic(settings);
        Ok(Self {
            aggregates: registry::reader(&client, &fetcher, &topic(Stream::Aggregates)).await?,
            anomalies: registry::reader(&client, &fetcher, &topic(Stream::Anomalies)).await?,
            page_views: registry::reader(&client, &fetcher, &topic(Stream::PageViews)).await?,
        })
    }

    /// The rows of a record at `offset`; of one that gives none, the bounded name of why.
    pub(crate) fn rows(
        &self,
        stream: Stream,
        value: &[u8],
        offset: i64,
    ) -> Result<Result<Vec<Row>, &'static str>, RegistryError> {
        let _round = InFlight::begin();
        match stream {
            Stream::Aggregates => made(self.aggregates.read(value), |it| aggregates::rows(&it, offset)),
            Stream::Anomalies => made(self.anomalies.read(value), |it| anomalies::rows(&it, offset)),
            Stream::PageViews => made(self.page_views.read(value), |it| page_views::rows(&it, offset)),
        }
    }
}

fn made<T>(
    read: Result<T, ReadError>,
    rows: impl FnOnce(T) -> Result<Vec<Row>, NoRow>,
) -> Result<Result<Vec<Row>, &'static str>, RegistryError> {
    Ok(match read {
        Err(ReadError::Registry(error)) => return Err(error),
        Err(ReadError::Invalid(error)) => Err(error.code()),
        Ok(value) => rows(value).map_err(|NoRow { code }| code),
    })
}
