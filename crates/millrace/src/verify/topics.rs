//! What the topics hold, kept up to date from one look to the next.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use anyhow::Context;
use millrace_codec::{AggregateReader, AnomalyReader, ReadError, SchemaFetcher, TransactionReader};
use millrace_domain::{Currency, MerchantAggregate, ShortId, topic};
use millrace_kafka::topic_name;
use millrace_settings::{Kafka, Settings};
use rdkafka::message::{BorrowedMessage, Headers, Message};

use super::compare::{DeadLetters, Observed};
use super::late::Late;
use super::log::TopicLog;
use super::totals::{Totals, Windows, add_to};

/// The service that may write a dead letter twice, as it writes outside transactions.
const AT_LEAST_ONCE: &str = "elastic-sink";

/// The logs of the topics that are compared, and what has been read of them.
pub struct Topics {
    kafka: Kafka,
    logs: Logs,
    state: State,
}

struct Logs {
    transactions: TopicLog,
    aggregates: TopicLog,
    late: TopicLog,
    dead_letters: TopicLog,
    anomalies: TopicLog,
    labels: TopicLog,
}

struct State {
    window_ms: i64,
    aggregate_reader: AggregateReader,
    transaction_reader: TransactionReader,
    anomaly_reader: AnomalyReader,
    /// The newest revision of each result, early or final.
    aggregates: HashMap<(ShortId, Currency, i64), (i32, Totals)>,
    doubled_aggregates: u64,
    shrunken_aggregates: u64,
    early_results: u64,
    window_sizes_ms: BTreeSet<i64>,
    late: Late,
    dead_letters: BTreeMap<String, ServiceLetters>,
    anomaly_ids: HashSet<[u8; 16]>,
    doubled_anomalies: u64,
    labels: u64,
    undecodable: u64,
}

#[derive(Default)]
struct ServiceLetters {
    sources: HashSet<(Vec<u8>, Vec<u8>)>,
    copies: u64,
}

impl Topics {
    /// Opens the topics.
    ///
    /// # Errors
    /// The brokers are away, or a topic does not exist.
    pub fn open(settings: &Settings) -> anyhow::Result<Self> {
        let kafka = &settings.kafka;
        let open = |name: &str| TopicLog::open(kafka, topic_name(kafka, name));
        let fetcher = SchemaFetcher::new(millrace_service::registry::config(&settings.schema_registry));
        Ok(Self {
            kafka: kafka.clone(),
            logs: Logs {
                transactions: open(topic::TRANSACTIONS)?,
                aggregates: open(topic::AGGREGATES)?,
                late: open(topic::LATE)?,
                dead_letters: open(&topic::dead_letter(topic::TRANSACTIONS))?,
                anomalies: open(topic::ANOMALIES)?,
                labels: open(topic::FRAUD_LABELS)?,
            },
            state: State {
                window_ms: settings.aggregator.window_ms,
                aggregate_reader: AggregateReader::new(fetcher.clone()),
                transaction_reader: TransactionReader::new(fetcher.clone()),
                anomaly_reader: AnomalyReader::new(fetcher),
                aggregates: HashMap::new(),
                doubled_aggregates: 0,
                shrunken_aggregates: 0,
                early_results: 0,
                window_sizes_ms: BTreeSet::new(),
                late: Late::default(),
                dead_letters: BTreeMap::new(),
                anomaly_ids: HashSet::new(),
                doubled_anomalies: 0,
                labels: 0,
                undecodable: 0,
            },
        })
    }

    /// Reads what is new and says what the topics hold.
    ///
    /// # Errors
    /// The brokers or the registry are away.
    pub fn observe(&mut self) -> anyhow::Result<Observed> {
        let (logs, state) = (&mut self.logs, &mut self.state);
        let transactions = logs.transactions.length()?;
        logs.aggregates.read_new(|message| state.aggregate(message))?;
        logs.late.read_new(|message| state.late(message))?;
        logs.dead_letters.read_new(|message| state.dead_letter(message))?;
        logs.anomalies.read_new(|message| state.anomaly(message))?;
        logs.labels.read_new(|_| {
            state.labels += 1;
            Ok(())
        })?;
        if state.late.wants_search() {
            let topic = topic_name(&self.kafka, topic::TRANSACTIONS);
            TopicLog::open(&self.kafka, topic)?.read_new(|message| state.search(message))?;
            state.late.searched();
        }
        Ok(self.state.observed(transactions))
    }
}

impl State {
    fn observed(&self, transactions: Option<u64>) -> Observed {
        let mut aggregates = Windows::new();
        let mut aggregate_count = 0;
        for ((_, currency, start_ms), (revision, totals)) in &self.aggregates {
            if *revision == MerchantAggregate::FINAL {
                add_to(&mut aggregates, *start_ms, *currency, totals);
                aggregate_count += 1;
            }
        }
        let dead_letters = self.dead_letters.iter().map(|(service, letters)| {
            let letters = DeadLetters {
                records: letters.sources.len() as u64,
                copies: letters.copies,
                exactly_once: service != AT_LEAST_ONCE,
            };
            (service.clone(), letters)
        });
        Observed {
            transactions,
            last_window_ms: aggregates.keys().map(|key| key.0).max(),
            aggregates,
            aggregate_count,
            doubled_aggregates: self.doubled_aggregates,
            shrunken_aggregates: self.shrunken_aggregates,
            early_results: self.early_results,
            window_sizes_ms: self.window_sizes_ms.clone(),
            late: self.late.windows(self.window_ms),
            late_copies: self.late.copies(),
            dead_letters: dead_letters.collect(),
            anomalies: self.anomaly_ids.len() as u64,
            doubled_anomalies: self.doubled_anomalies,
            labels: self.labels,
            undecodable: self.undecodable,
        }
    }

    fn aggregate(&mut self, message: &BorrowedMessage<'_>) -> anyhow::Result<()> {
        let read = self.aggregate_reader.read(message.payload().unwrap_or_default());
        let Some(aggregate) = self.decoded(message, read)? else {
            return Ok(());
        };
        self.window_sizes_ms
            .insert(aggregate.window_end_ms - aggregate.window_start_ms);
        let key = (
            aggregate.merchant_id,
            aggregate.currency,
            aggregate.window_start_ms,
        );
        let newest = (aggregate.revision, totals(&aggregate));
        self.early_results += u64::from(!aggregate.is_final());
        match self.aggregates.get_mut(&key) {
            // Revisions rise, as a merchant is in one partition: what does not rise was there before.
            Some((revision, _)) if aggregate.revision <= *revision => self.doubled_aggregates += 1,
            Some(older) => {
                if aggregate.is_final() && older.1.exceeds(&newest.1, &Totals::default()) {
                    self.shrunken_aggregates += 1;
                }
                *older = newest;
            }
            None => {
                self.aggregates.insert(key, newest);
            }
        }
        Ok(())
    }

    fn late(&mut self, message: &BorrowedMessage<'_>) -> anyhow::Result<()> {
        let read = self
            .transaction_reader
            .read(message.payload().unwrap_or_default());
        let Some(transaction) = self.decoded(message, read)? else {
            return Ok(());
        };
        let source = header(message, "source.offset");
        let offset = source.and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
        let offset = offset.with_context(|| {
            let (partition, offset) = (message.partition(), message.offset());
            format!(
                "{}-{partition} at offset {offset} has no source.offset",
                message.topic()
            )
        })?;
        self.late.add(transaction, offset);
        Ok(())
    }

    /// Looks for the first copies of what came late.
    fn search(&mut self, message: &BorrowedMessage<'_>) -> anyhow::Result<()> {
        let payload = message.payload().unwrap_or_default();
        let transaction = match self.transaction_reader.read(payload) {
            Ok(transaction) => transaction,
            // A dead letter.
            Err(ReadError::Invalid(_)) => return Ok(()),
            Err(error @ ReadError::Registry(_)) => return Err(error.into()),
        };
        if self.late.contains(&transaction.transaction_id) {
            let (partition, offset) = (message.partition(), message.offset());
            let source = (
                partition.to_string().into_bytes(),
                offset.to_string().into_bytes(),
            );
            let is_dead = |letters: &ServiceLetters| letters.sources.contains(&source);
            if !self.dead_letters.values().any(is_dead) {
                self.late.search(&transaction.transaction_id, offset);
            }
        }
        Ok(())
    }

    fn anomaly(&mut self, message: &BorrowedMessage<'_>) -> anyhow::Result<()> {
        let read = self.anomaly_reader.read(message.payload().unwrap_or_default());
        if let Some(anomaly) = self.decoded(message, read)?
            && !self.anomaly_ids.insert(anomaly.id.into_bytes())
        {
            self.doubled_anomalies += 1;
        }
        Ok(())
    }

    // One form for all that a log's records are handed to.
    #[allow(clippy::unnecessary_wraps)]
    fn dead_letter(&mut self, message: &BorrowedMessage<'_>) -> anyhow::Result<()> {
        let header = |name: &str| header(message, name).map(<[u8]>::to_vec);
        let service = header("service").map_or_else(
            || "an unknown service".to_owned(),
            |service| String::from_utf8_lossy(&service).into_owned(),
        );
        let source = (
            header("source.partition").unwrap_or_default(),
            header("source.offset").unwrap_or_default(),
        );
        let letters = self.dead_letters.entry(service).or_default();
        if !letters.sources.insert(source) {
            letters.copies += 1;
        }
        Ok(())
    }

    /// A bad record is counted; only a registry that is away is an error.
    fn decoded<T>(
        &mut self,
        message: &BorrowedMessage<'_>,
        read: Result<T, ReadError>,
    ) -> anyhow::Result<Option<T>> {
        let place = || {
            format!(
                "{}-{} at offset {}",
                message.topic(),
                message.partition(),
                message.offset()
            )
        };
        match read {
            Ok(value) => Ok(Some(value)),
            Err(ReadError::Invalid(error)) => {
                tracing::warn!(record = place(), %error, "a result cannot be decoded");
                self.undecodable += 1;
                Ok(None)
            }
            Err(error @ ReadError::Registry(_)) => Err(error).with_context(place),
        }
    }
}

fn header<'a>(message: &'a BorrowedMessage<'_>, name: &str) -> Option<&'a [u8]> {
    let headers = message.headers()?;
    headers.iter().find(|header| header.key == name)?.value
}

fn totals(aggregate: &MerchantAggregate) -> Totals {
    let totals = &aggregate.totals;
    Totals {
        purchase_count: totals.purchase_count,
        purchase_sum: totals.purchase_sum,
        refund_count: totals.refund_count,
        refund_sum: totals.refund_sum,
    }
}
