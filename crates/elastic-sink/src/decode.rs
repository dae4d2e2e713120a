//! From a record's bytes to what is to be done with it.

mod events;

use millrace_domain::codec::TransactionReader;
use millrace_domain::texts::InFlight;
use millrace_kafka::{Misplaced, SourcePartitions};
use millrace_registry::{Registry, RegistryError, SchemaFetcher};
use millrace_service::registry::{self, TopicSchemas};
use millrace_service::sink::{Taken, value};
use millrace_settings::{MisplacedRecords, Settings};
use millrace_sink::{Decision, Work};
use millrace_telemetry::Shutdown;

pub(crate) use self::events::Events;
use crate::document::{self, Document, NoDocument};
use crate::sample::Sample;
use crate::stream::Stream;
use crate::table::{Decide, Opening};

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

impl<'a> Record<'a> {
    /// Its value, empty for a tombstone.
    pub(crate) fn value(self) -> &'a [u8] {
        self.payload.unwrap_or_default()
    }
}

/// Readers of the topics.
#[derive(Debug)]
pub struct Readers {
    /// Of transactions.
    transactions: TransactionReader,
    /// Of each stream, in their order; `None` of transactions.
    others: Vec<Option<Box<dyn Decide>>>,
    /// The partitions of the transactions, where those that lie elsewhere than their user's become
    /// dead letters.
    partitions: Option<SourcePartitions>,
}

impl Readers {
    /// Readers that have the newest schemas. Waits for a registry that is away.
    ///
    /// # Errors
    /// The registry's settings are wrong, or it refuses; or the topic does not exist.
    pub async fn ask(settings: &Settings, shutdown: &Shutdown) -> anyhow::Result<Self> {
        let config = registry::config(&settings.schema_registry);
        let (client, fetcher) = (Registry::new(config.clone())?, SchemaFetcher::new(config));
        let transactions = Stream::TRANSACTIONS.read_topic(settings);
        let there = Stream::of(settings);
        let mut others = Vec::new();
        for stream in Stream::ALL {
            others.push(match stream.line().decoding {
                None => None,
                Some(decoding) => {
                    let topic = stream.read_topic(settings);
                    let schemas = TopicSchemas::ask(&client, &fetcher, &topic).await?;
                    let misplaced = decoding.misplaced_records(settings);
                    Some(decoding.open(Opening {
                        settings,
                        schemas: &schemas,
                        partitions: match there.contains(&stream) {
                            true => partitions(settings, stream, misplaced, shutdown).await?,
                            false => None,
                        },
                    }))
                }
            });
        }
        Ok(Self {
            transactions: registry::reader(&client, &fetcher, &transactions).await?,
            others,
            partitions: {
                let misplaced = settings.aggregator.misplaced_records;
                partitions(settings, Stream::TRANSACTIONS, misplaced, shutdown).await?
            },
        })
    }
}

/// The partitions of a stream whose misplaced records become dead letters.
async fn partitions(
    settings: &Settings,
    stream: Stream,
    misplaced: MisplacedRecords,
    shutdown: &Shutdown,
) -> anyhow::Result<Option<SourcePartitions>> {
    let topic = stream.read_topic(settings);
    Taken::partitions(&settings.kafka, &topic, misplaced, shutdown).await
}

/// Reads all topics.
#[derive(Debug)]
pub struct Decoder {
    readers: Readers,
    sample: Sample,
    /// Which transactions are taken.
    taken: Taken,
}

impl Decoder {
    /// A decoder that indexes `sample` of the transactions.
    #[must_use]
    pub fn new(mut readers: Readers, settings: &Settings, sample: Sample) -> Self {
        Self {
            taken: Taken::of(&settings.aggregator.event_time, readers.partitions.take()),
            readers,
            sample,
        }
    }

    /// Decides what to do with a record.
    ///
    /// # Errors
    /// Nothing is known of the record, as the registry cannot be asked for its schema.
    pub fn decide(&self, record: Record<'_>) -> Result<Decision<Document>, RegistryError> {
        let _round = InFlight::begin();
        match self.readers.others.get(record.stream.at()) {
            Some(Some(other)) => other.decide(record),
            _ => self.transaction(record),
        }
    }

    fn transaction(&self, record: Record<'_>) -> Result<Decision<Document>, RegistryError> {
        let transaction = match value(&self.readers.transactions, record.value())? {
            Ok(transaction) => transaction,
            // The aggregator reads the same topic, and sends it to the dead letters.
            Err(error) => return Ok(Decision::Skip { code: error.code() }),
        };
        if !self.sample.has(&transaction.transaction_id) {
            return Ok(Decision::NotChosen);
        }
        // As the aggregator decides; and each far month would be an index more.
        if let Err(error) = transaction.check_event_time(record.append_time_ms, self.taken.limits) {
            return Ok(Decision::Skip { code: error.code() });
        }
        let user_id = transaction.user_id.text();
        if self
            .taken
            .is_misplaced(record.partition, record.key, user_id.as_bytes())
        {
            return Ok(Decision::Skip {
                code: Misplaced::CODE,
            });
        }
        Ok(written(document::transaction(&transaction, record.offset)))
    }
}

/// What becomes of a stream's event, whose dead letters are its job's.
fn written(document: Result<Document, NoDocument>) -> Decision<Document> {
    match document {
        Ok(document) => Decision::Work(Work::Write(document)),
        Err(error) => Decision::Skip { code: error.code() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_catalog::{commerce, payments};
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
        let schemas = TopicSchemas::new(fetcher.clone(), None);
        let readers = Readers {
            transactions: TransactionReader::new(fetcher),
            others: Stream::ALL
                .map(|it| {
                    Some(it.line().decoding?.open(Opening {
                        settings: &settings,
                        schemas: &schemas,
                        partitions: Some(SourcePartitions::fixed(5)),
                    }))
                })
                .into(),
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
        let decision = decide(1.0, Stream::TRANSACTIONS, Some(&json(APPENDED_MS)));
        assert!(
            matches!(&decision, Decision::Work(Work::Write(document)) if document.id == "07070707-0707-0707-0707-070707070707"),
            "{decision:?}"
        );
        assert_eq!(
            decide(0.0, Stream::TRANSACTIONS, Some(&json(APPENDED_MS))),
            Decision::NotChosen
        );
    }

    #[test]
    fn bad_transactions_are_passed_over() {
        let (ahead, seconds) = (json(APPENDED_MS + 60_001), json(APPENDED_MS / 1_000));
        let skip = |payload| match decide(1.0, Stream::TRANSACTIONS, payload) {
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
            decide_in(elsewhere, 1.0, Stream::TRANSACTIONS, Some(&payload)),
            Decision::Skip { code: "misplaced" }
        );
    }

    #[test]
    fn bad_results_are_dead_letters() {
        let sources = [payments::topic::TRANSACTIONS, commerce::topic::EVENTS];
        for stream in Stream::ALL
            .into_iter()
            .filter(|it| !sources.contains(&it.topic()))
        {
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
