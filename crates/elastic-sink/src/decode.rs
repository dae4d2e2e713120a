//! From a record's bytes to what is to be done with it.

use millrace_clickstream::{PageViews, Session};
use millrace_contract::{DecodeError, ReadError, Reader};
use millrace_domain::EventTimeLimits;
use millrace_domain::codec::{AggregateReader, AnomalyReader, IncidentReader, TransactionReader};
use millrace_domain::texts::InFlight;
use millrace_iot::{DeviceAlert, DeviceMinute, DeviceState};
use millrace_kafka::{Misplaced, SourcePartitions};
use millrace_registry::{Registry, RegistryError, SchemaFetcher};
use millrace_service::{registry, topics};
use millrace_settings::{MisplacedRecords, Settings};
use millrace_sink::{Decision, Work};
use millrace_telemetry::Shutdown;

use crate::document::{self, Document, NoDocument};
use crate::sample::Sample;
use crate::stream::Stream;

/// A record's parts that matter here.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Its topic.
    pub stream: Stream,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// When the broker appended it to the log, in milliseconds since 1970; `None` if only a
    /// producer says when.
    pub append_time_ms: Option<i64>,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value; `None` for a tombstone.
    pub payload: Option<&'a [u8]>,
}

/// Why a value gives no document.
enum Fault {
    Undecodable(DecodeError),
    Unfit(NoDocument),
}

impl From<NoDocument> for Fault {
    fn from(error: NoDocument) -> Self {
        Self::Unfit(error)
    }
}

/// Readers of the topics.
#[derive(Debug)]
pub struct Readers {
    /// Of transactions.
    pub transactions: TransactionReader,
    /// Of merchant aggregates.
    pub aggregates: AggregateReader,
    /// Of anomalies.
    pub anomalies: AnomalyReader,
    /// Of page views.
    pub page_views: Reader<PageViews>,
    /// Of sessions.
    pub sessions: Reader<Session>,
    /// Of device minutes.
    pub device_minutes: Reader<DeviceMinute>,
    /// Of devices' alerts.
    pub device_alerts: Reader<DeviceAlert>,
    /// Of what is known last of devices.
    pub device_states: Reader<DeviceState>,
    /// Of incidents.
    pub incidents: IncidentReader,
    /// The partitions of the transactions, where those that lie elsewhere than their user's become
    /// dead letters.
    pub partitions: Option<SourcePartitions>,
}

impl Readers {
    /// Readers that have the newest schemas. Waits for a registry that is away.
    ///
    /// # Errors
    /// The registry's settings are wrong, or it refuses; or the topic does not exist.
    pub async fn ask(settings: &Settings, shutdown: &Shutdown) -> anyhow::Result<Self> {
        let config = registry::config(&settings.schema_registry);
        let (client, fetcher) = (Registry::new(config.clone())?, SchemaFetcher::new(config));
        let topic = |stream: Stream| stream.read_topic(settings);
        Ok(Self {
            transactions: registry::reader(&client, &fetcher, &topic(Stream::Transactions)).await?,
            aggregates: registry::reader(&client, &fetcher, &topic(Stream::Aggregates)).await?,
            anomalies: registry::reader(&client, &fetcher, &topic(Stream::Anomalies)).await?,
            page_views: registry::reader(&client, &fetcher, &topic(Stream::PageViews)).await?,
            sessions: registry::reader(&client, &fetcher, &topic(Stream::Sessions)).await?,
            device_minutes: registry::reader(&client, &fetcher, &topic(Stream::DeviceMinutes)).await?,
            device_alerts: registry::reader(&client, &fetcher, &topic(Stream::DeviceAlerts)).await?,
            device_states: registry::reader(&client, &fetcher, &topic(Stream::DeviceStates)).await?,
            incidents: registry::reader(&client, &fetcher, &topic(Stream::Incidents)).await?,
            partitions: match settings.aggregator.misplaced_records {
                MisplacedRecords::Count | MisplacedRecords::Rekey => None,
                MisplacedRecords::DeadLetter => {
                    let transactions = topic(Stream::Transactions);
                    let count = topics::partition_count(&settings.kafka, &transactions, shutdown).await?;
                    Some(SourcePartitions::new(&settings.kafka, &transactions, count))
                }
            },
        })
    }
}

/// Reads all topics.
#[derive(Debug)]
pub struct Decoder {
    readers: Readers,
    sample: Sample,
    limits: EventTimeLimits,
    /// The partitions of the transactions, where those that are misplaced become dead letters.
    partitions: Option<SourcePartitions>,
}

impl Decoder {
    /// A decoder that indexes `sample` of the transactions.
    #[must_use]
    pub fn new(mut readers: Readers, settings: &Settings, sample: Sample) -> Self {
        Self {
            partitions: readers.partitions.take(),
            readers,
            sample,
            limits: EventTimeLimits {
                earliest_ms: Some(settings.aggregator.event_time.earliest_time.ms()),
                max_future_ms: settings.aggregator.event_time.max_future_ms,
            },
        }
    }

    /// Decides what to do with a record.
    ///
    /// # Errors
    /// Nothing is known of the record, as the registry cannot be asked for its schema.
    pub fn decide(&self, record: Record<'_>) -> Result<Decision<Document>, RegistryError> {
        let _round = InFlight::begin();
        match record.stream {
            Stream::Transactions => self.transaction(record),
            Stream::Aggregates => decided(self.readers.aggregates.read(value(record)), |aggregate| {
                Ok(document::aggregate(&aggregate)?)
            }),
            Stream::Anomalies => decided(self.readers.anomalies.read(value(record)), |anomaly| {
                Ok(document::anomaly(&anomaly, record.offset)?)
            }),
            Stream::PageViews => decided(self.readers.page_views.read(value(record)), |views| {
                Ok(document::page_views(&views)?)
            }),
            Stream::Sessions => decided(self.readers.sessions.read(value(record)), |session| {
                Ok(document::session(&session)?)
            }),
            Stream::DeviceMinutes => decided(self.readers.device_minutes.read(value(record)), |minute| {
                Ok(document::device_minute(&minute)?)
            }),
            Stream::DeviceAlerts => decided(self.readers.device_alerts.read(value(record)), |alert| {
                Ok(document::device_alert(&alert)?)
            }),
            Stream::DeviceStates => decided(self.readers.device_states.read(value(record)), |state| {
                Ok(document::device_state(&state, record.offset)?)
            }),
            Stream::Incidents => decided(self.readers.incidents.read(value(record)), |incident| {
                Ok(document::incident(&incident)?)
            }),
        }
    }

    fn transaction(&self, record: Record<'_>) -> Result<Decision<Document>, RegistryError> {
        let transaction = match self.readers.transactions.read(value(record)) {
            Ok(transaction) => transaction,
            // The aggregator reads the same topic, and sends it to the dead letters.
            Err(ReadError::Invalid(error)) => return Ok(Decision::Skip { code: error.code() }),
            Err(ReadError::Registry(error)) => return Err(error),
        };
        if !self.sample.has(&transaction.transaction_id) {
            return Ok(Decision::NotChosen);
        }
        // As the aggregator decides; and each far month would be an index more.
        if let Err(error) = transaction.check_event_time(record.append_time_ms, self.limits) {
            return Ok(Decision::Skip { code: error.code() });
        }
        let user_id = transaction.user_id.text();
        let is_misplaced = |source: &SourcePartitions| {
            let misplaced = Misplaced::of(
                user_id.as_bytes(),
                record.key,
                record.partition,
                source.at_start(),
            );
            // Where partitions were added, the aggregator refuses to refuse such records, and so
            // they are no dead letters.
            misplaced.is_some() && {
                source.look_for_record();
                !source.have_grown()
            }
        };
        if self.partitions.as_ref().is_some_and(is_misplaced) {
            return Ok(Decision::Skip {
                code: Misplaced::CODE,
            });
        }
        Ok(match document::transaction(&transaction, record.offset) {
            Ok(document) => Decision::Work(Work::Write(document)),
            Err(error) => Decision::Skip { code: error.code() },
        })
    }
}

fn value(record: Record<'_>) -> &[u8] {
    record.payload.unwrap_or_default()
}

fn decided<T>(
    read: Result<T, ReadError>,
    document: impl FnOnce(T) -> Result<Document, Fault>,
) -> Result<Decision<Document>, RegistryError> {
    let fault = match read {
        Err(ReadError::Registry(error)) => return Err(error),
        Err(ReadError::Invalid(error)) => Fault::Undecodable(error),
        Ok(value) => match document(value) {
            Ok(document) => return Ok(Decision::Work(Work::Write(document))),
            Err(fault) => fault,
        },
    };
    let (code, error) = match fault {
        Fault::Undecodable(error) => (error.code(), error.to_string()),
        Fault::Unfit(error) => (error.code(), error.to_string()),
    };
    Ok(Decision::Work(Work::DeadLetter { code, error }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_domain::{
        Amount, Currency, PaymentMethod, ShortId, Transaction, TransactionId, TransactionType,
    };
    use millrace_kafka::partition_for;

    const APPENDED_MS: i64 = 1_767_225_600_000;

    fn json(transaction_time_ms: i64) -> Vec<u8> {
        let id = |text| ShortId::new(text, "test").unwrap();
        let transaction = Transaction {
            transaction_id: TransactionId::from_bytes([7; 16]),
            user_id: id("u-1"),
            amount: Amount::from_units(571_600).unwrap(),
            transaction_time_ms,
            merchant_id: id("m-7"),
            transaction_type: TransactionType::Purchase,
            location: id("Oslo"),
            payment_method: PaymentMethod::Paypal,
            is_international: false,
            currency: Currency::parse(b"NOK").unwrap(),
        };
        let mut bytes = Vec::new();
        millrace_domain::codec::json::encode(&transaction, &mut bytes);
        bytes
    }

    fn decide(share: f64, stream: Stream, payload: Option<&[u8]>) -> Decision<Document> {
        decide_in(partition_for(b"u-1", 5), share, stream, payload)
    }

    fn decide_in(partition: i32, share: f64, stream: Stream, payload: Option<&[u8]>) -> Decision<Document> {
        let settings = Settings::default();
        let fetcher = SchemaFetcher::new(registry::config(&settings.schema_registry));
        let readers = Readers {
            transactions: TransactionReader::new(fetcher.clone()),
            aggregates: AggregateReader::new(fetcher.clone()),
            anomalies: AnomalyReader::new(fetcher.clone()),
            page_views: Reader::new(fetcher.clone()),
            sessions: Reader::new(fetcher.clone()),
            device_minutes: Reader::new(fetcher.clone()),
            device_alerts: Reader::new(fetcher.clone()),
            device_states: Reader::new(fetcher.clone()),
            incidents: Reader::new(fetcher),
            partitions: Some(SourcePartitions::fixed(5)),
        };
        let decoder = Decoder::new(readers, &settings, Sample::of(share));
        decoder
            .decide(Record {
                stream,
                partition,
                offset: 3,
                append_time_ms: Some(APPENDED_MS),
                key: None,
                payload,
            })
            .unwrap()
    }

    #[test]
    fn a_chosen_transaction_is_indexed() {
        let decision = decide(1.0, Stream::Transactions, Some(&json(APPENDED_MS)));
        assert!(
            matches!(&decision, Decision::Work(Work::Write(document)) if document.id == "07070707-0707-0707-0707-070707070707"),
            "{decision:?}"
        );
        assert_eq!(
            decide(0.0, Stream::Transactions, Some(&json(APPENDED_MS))),
            Decision::NotChosen
        );
    }

    #[test]
    fn bad_transactions_are_passed_over() {
        let (ahead, seconds) = (json(APPENDED_MS + 60_001), json(APPENDED_MS / 1_000));
        let skip = |payload| match decide(1.0, Stream::Transactions, payload) {
            Decision::Skip { code } => code,
            other => panic!("{other:?}"),
        };
        assert_eq!(skip(None), "empty");
        assert_eq!(skip(Some(b"{")), "bad_json");
        assert_eq!(skip(Some(&[1, 2])), "wrong_magic");
        assert_eq!(skip(Some(&ahead)), "far_future");
        assert_eq!(skip(Some(&seconds)), "before_earliest_time");
        let elsewhere = (partition_for(b"u-1", 5) + 1) % 5;
        let payload = json(APPENDED_MS);
        assert_eq!(
            decide_in(elsewhere, 1.0, Stream::Transactions, Some(&payload)),
            Decision::Skip { code: "misplaced" }
        );
    }

    #[test]
    fn bad_results_are_dead_letters() {
        for stream in Stream::ALL.into_iter().filter(|it| *it != Stream::Transactions) {
            for (payload, expected) in [(None, "empty"), (Some(&[1_u8, 2][..]), "wrong_magic")] {
                let decision = decide(1.0, stream, payload);
                assert!(
                    matches!(&decision, Decision::Work(Work::DeadLetter { code, .. }) if *code == expected),
                    "{decision:?}"
                );
            }
        }
    }
}
