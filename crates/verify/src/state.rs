//! What has been read of the topics, record by record.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use anyhow::Context;
use millrace_catalog::Service;
use millrace_contract::ReadError;
use millrace_domain::codec::{AggregateReader, AnomalyReader, TransactionReader};
use millrace_domain::{Currency, MerchantAggregate, ShortId};
use millrace_kafka::copies;
use millrace_registry::SchemaFetcher;
use rdkafka::message::{BorrowedMessage, Message};

use super::figures::{DeadLetters, Observed};
use super::firsts::Firsts;
use super::message;
use super::misplaced::Placement;
use super::once::{Entry, Records};
use super::places::Places;
use super::refusals::Refusals;
use super::totals::{Totals, Windows, add_to};

/// The service that may write a dead letter twice, as it writes outside transactions, and whose
/// dead letters are good transactions for everybody else.
const AT_LEAST_ONCE: &str = Service::ElasticSink.name();

pub(super) struct State {
    aggregate_reader: AggregateReader,
    transaction_reader: TransactionReader,
    anomaly_reader: AnomalyReader,
    refusals: Refusals,
    /// Where records lie; `None` where those that lie elsewhere are refused.
    pub(super) placement: Option<Placement>,
    /// Retention has removed dead letters, so that what they refused has to be told without them.
    pub(super) letters_are_lost: bool,
    /// The transactions' topic.
    pub(super) records: Records,
    pub(super) records_read: u64,
    /// Where transactions are rekeyed: those that producers wrote, and places of what of them was
    /// refused.
    pub(super) origin_records: u64,
    pub(super) dead_of_origin: Places,
    /// Records there that the jobs have to refuse.
    pub(super) refusable: u64,
    /// Records there that `millrace dlq replay` has sent.
    pub(super) replays: u64,
    pub(super) first_appended_ms: Firsts,
    /// The newest revision of each result, early or final, with its window's end.
    aggregates: HashMap<(ShortId, Currency, i64), Newest>,
    pub(super) window_sizes_ms: BTreeSet<i64>,
    pub(super) first_window_ms: Firsts,
    doubled_aggregates: u64,
    shrunken_aggregates: u64,
    early_results: u64,
    /// Places in the transactions' topic of what is on the late topic.
    pub(super) late: Places,
    late_twice: u64,
    pub(super) first_late_ms: Firsts,
    dead_letters: BTreeMap<String, ServiceLetters>,
    /// Places of what an exactly-once job has refused.
    pub(super) dead: Places,
    /// Places of what the sink has refused.
    pub(super) unsunk: Places,
    anomaly_ids: HashSet<[u8; 16]>,
    doubled_anomalies: u64,
    pub(super) labels: u64,
    undecodable: u64,
}

#[derive(Debug, Clone, Copy)]
struct Newest {
    revision: i32,
    end_ms: i64,
    totals: Totals,
}

#[derive(Default)]
struct ServiceLetters {
    sources: Places,
    copies: u64,
}

impl State {
    pub(super) fn new(fetcher: &SchemaFetcher, refusals: Refusals, placement: Option<Placement>) -> Self {
        Self {
            aggregate_reader: AggregateReader::new(fetcher.clone()),
            transaction_reader: TransactionReader::new(fetcher.clone()),
            anomaly_reader: AnomalyReader::new(fetcher.clone()),
            refusals,
            placement,
            letters_are_lost: false,
            records: Records::default(),
            records_read: 0,
            origin_records: 0,
            dead_of_origin: Places::default(),
            refusable: 0,
            replays: 0,
            first_appended_ms: Firsts::default(),
            aggregates: HashMap::new(),
            window_sizes_ms: BTreeSet::new(),
            first_window_ms: Firsts::default(),
            doubled_aggregates: 0,
            shrunken_aggregates: 0,
            early_results: 0,
            late: Places::default(),
            late_twice: 0,
            first_late_ms: Firsts::default(),
            dead_letters: BTreeMap::new(),
            dead: Places::default(),
            unsunk: Places::default(),
            anomaly_ids: HashSet::new(),
            doubled_anomalies: 0,
            labels: 0,
            undecodable: 0,
        }
    }

    /// All but what the transactions' topic and retention say.
    pub(super) fn observed(&self, window_ms: i64) -> Observed {
        let mut aggregates = Windows::new();
        let mut documents = BTreeMap::new();
        let mut closed_until_ms = None;
        for ((_, currency, start_ms), newest) in &self.aggregates {
            if newest.revision == MerchantAggregate::FINAL {
                let start_ms = start_ms - start_ms.rem_euclid(window_ms);
                add_to(&mut aggregates, start_ms, *currency, &newest.totals);
                *documents.entry(start_ms).or_default() += 1;
                closed_until_ms = closed_until_ms.max(Some(newest.end_ms));
            }
        }
        let dead_letters = self.dead_letters.iter().map(|(service, letters)| {
            let letters = DeadLetters {
                records: letters.sources.len(),
                copies: letters.copies,
                exactly_once: service != AT_LEAST_ONCE,
            };
            (service.clone(), letters)
        });
        Observed {
            window_ms,
            aggregates,
            documents,
            closed_until_ms,
            doubled_aggregates: self.doubled_aggregates,
            shrunken_aggregates: self.shrunken_aggregates,
            early_results: self.early_results,
            window_sizes_ms: self.window_sizes_ms.clone(),
            late_records: self.late.len(),
            late_twice: self.late_twice,
            dead_letters: dead_letters.collect(),
            anomalies: self.anomaly_ids.len() as u64,
            doubled_anomalies: self.doubled_anomalies,
            labels: self.labels,
            undecodable: self.undecodable,
            ..Observed::default()
        }
    }

    /// Takes note of a record of the first stage's control topic.
    pub(super) fn heard(&mut self, message: &BorrowedMessage<'_>) {
        let payload = message.payload().unwrap_or_default();
        self.refusals.heard(message.partition(), payload);
        if let Some(placement) = &mut self.placement {
            placement.heard(payload);
        }
    }

    pub(super) fn transaction(&mut self, message: &BorrowedMessage<'_>) -> anyhow::Result<()> {
        let (partition, offset) = (message.partition(), message.offset());
        let appended_ms = message.timestamp().to_millis().unwrap_or(-1);
        self.records_read += 1;
        self.first_appended_ms.take(partition, appended_ms);
        let is_replay = message::value(message, copies::header::REPLAYED_FROM).is_some();
        self.replays += u64::from(is_replay);
        match self
            .transaction_reader
            .read(message.payload().unwrap_or_default())
        {
            Ok(transaction) => {
                let is_refusable = self.refusals.refuse(&transaction, message);
                self.refusable += u64::from(is_refusable);
                // What is refused spoils no result.
                if let Some(placement) = self.placement.as_mut().filter(|_| !is_refusable) {
                    placement.take(transaction.user_id.text().as_bytes(), partition);
                }
                if is_refusable && self.letters_are_lost {
                    return Ok(());
                }
                let mut entry = Entry::of(&transaction, partition, offset);
                entry.is_replay = is_replay;
                entry.is_refusable = is_refusable;
                self.records.add(&entry)
            }
            Err(ReadError::Invalid(_)) => {
                self.refusable += 1;
                Ok(())
            }
            Err(error @ ReadError::Registry(_)) => Err(error).with_context(|| place(message)),
        }
    }

    pub(super) fn aggregate(&mut self, message: &BorrowedMessage<'_>) -> anyhow::Result<()> {
        let read = self.aggregate_reader.read(message.payload().unwrap_or_default());
        let Some(aggregate) = self.decoded(message, read)? else {
            return Ok(());
        };
        let start_ms = aggregate.window_start_ms;
        self.window_sizes_ms.insert(aggregate.window_end_ms - start_ms);
        if aggregate.is_final() {
            self.first_window_ms.take(message.partition(), start_ms);
        }
        let key = (aggregate.merchant_id, aggregate.currency, start_ms);
        let newest = Newest {
            revision: aggregate.revision,
            end_ms: aggregate.window_end_ms,
            totals: totals(&aggregate),
        };
        self.early_results += u64::from(!aggregate.is_final());
        match self.aggregates.get_mut(&key) {
            // Revisions rise, as a merchant is in one partition: what does not rise was there
            // before.
            Some(older) if newest.revision <= older.revision => self.doubled_aggregates += 1,
            Some(older) => {
                if aggregate.is_final() && older.totals.exceeds(&newest.totals, &Totals::default()) {
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

    // One form for all that a log's records are handed to.
    #[allow(clippy::unnecessary_wraps)]
    pub(super) fn late(&mut self, message: &BorrowedMessage<'_>) -> anyhow::Result<()> {
        let Some((partition, offset)) = self.source(message) else {
            return Ok(());
        };
        let written_ms = message.timestamp().to_millis().unwrap_or(-1);
        self.first_late_ms.take(message.partition(), written_ms);
        self.late_twice += u64::from(!self.late.insert(partition, offset));
        Ok(())
    }

    pub(super) fn anomaly(&mut self, message: &BorrowedMessage<'_>) -> anyhow::Result<()> {
        let read = self.anomaly_reader.read(message.payload().unwrap_or_default());
        if let Some(anomaly) = self.decoded(message, read)?
            && !self.anomaly_ids.insert(anomaly.id.into_bytes())
        {
            self.doubled_anomalies += 1;
        }
        Ok(())
    }

    #[allow(clippy::unnecessary_wraps)]
    pub(super) fn dead_letter(&mut self, message: &BorrowedMessage<'_>) -> anyhow::Result<()> {
        if let Some((partition, offset)) = self.letter(message) {
            self.dead.insert(partition, offset);
        }
        Ok(())
    }

    #[allow(clippy::unnecessary_wraps)]
    pub(super) fn dead_letter_of_origin(&mut self, message: &BorrowedMessage<'_>) -> anyhow::Result<()> {
        if let Some((partition, offset)) = self.letter(message) {
            self.dead_of_origin.insert(partition, offset);
        }
        Ok(())
    }

    /// Counts a record that is rekeyed, or refused.
    pub(super) fn transaction_of_origin(&mut self, message: &BorrowedMessage<'_>) -> anyhow::Result<()> {
        self.origin_records += 1;
        match self
            .transaction_reader
            .read(message.payload().unwrap_or_default())
        {
            Ok(transaction) => {
                self.refusable += u64::from(self.refusals.refuse_of_origin(&transaction, message));
                Ok(())
            }
            Err(ReadError::Invalid(_)) => {
                self.refusable += 1;
                Ok(())
            }
            Err(error @ ReadError::Registry(_)) => Err(error).with_context(|| place(message)),
        }
    }

    /// Counts a dead letter; the place of what an exactly-once job has refused.
    fn letter(&mut self, message: &BorrowedMessage<'_>) -> Option<(i32, i64)> {
        let service = message::value(message, "service").map_or_else(
            || "an unknown service".to_owned(),
            |service| String::from_utf8_lossy(service).into_owned(),
        );
        let (partition, offset) = self.source(message)?;
        let is_refused = service != AT_LEAST_ONCE;
        if !is_refused {
            self.unsunk.insert(partition, offset);
        }
        let letters = self.dead_letters.entry(service).or_default();
        letters.copies += u64::from(!letters.sources.insert(partition, offset));
        is_refused.then_some((partition, offset))
    }

    /// A bad record is counted; only a registry that is away is an error.
    fn decoded<T>(
        &mut self,
        message: &BorrowedMessage<'_>,
        read: Result<T, ReadError>,
    ) -> anyhow::Result<Option<T>> {
        match read {
            Ok(value) => Ok(Some(value)),
            Err(ReadError::Invalid(error)) => {
                tracing::warn!(record = place(message), %error, "a result cannot be decoded");
                self.undecodable += 1;
                Ok(None)
            }
            Err(error @ ReadError::Registry(_)) => Err(error).with_context(|| place(message)),
        }
    }

    /// Partition and offset of the record that a late record or a dead letter was.
    fn source(&mut self, message: &BorrowedMessage<'_>) -> Option<(i32, i64)> {
        let source = message::source(message);
        if source.is_none() {
            tracing::warn!(
                record = place(message),
                "it does not say by its headers which record it was"
            );
            self.undecodable += 1;
        }
        source
    }
}

fn place(message: &BorrowedMessage<'_>) -> String {
    format!(
        "{}-{} at offset {}",
        message.topic(),
        message.partition(),
        message.offset()
    )
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
