//! Looks for the record that an id is about.

use anyhow::{bail, ensure};
use millrace_catalog::payments::topic;
use millrace_detector::job::DetectJob;
use millrace_domain::TransactionId;
use millrace_domain::codec::{AnomalyReader, DecodedAnomaly};
use millrace_kafka::log::TopicLog;
use millrace_kafka::{partition_for, topic_name};
use millrace_registry::SchemaFetcher;
use millrace_runtime::Job as _;
use millrace_runtime::processor::Processor as _;
use millrace_service::registry;
use millrace_settings::Settings;
use rdkafka::message::Message as _;
use uuid::Uuid;

/// The most records that are looked through.
const MOST_RECORDS: u64 = 20_000_000;
/// The most records of one transaction that are gone back to.
const MOST_PLACES: usize = 100;
/// How far clocks may be apart.
const CLOCKS_MS: i64 = 60_000;

/// Where to look.
pub(super) struct Hints {
    /// From when to when the transaction was sent, in milliseconds since 1970.
    pub(super) times_ms: Option<(i64, i64)>,
    /// Whose it is.
    pub(super) user: Option<String>,
}

/// An alert as it is on its topic.
pub(super) struct Alert {
    pub(super) content: DecodedAnomaly,
    pub(super) payload: Vec<u8>,
    /// The user's id.
    key: Vec<u8>,
    appended_ms: Option<i64>,
}

/// Where a record lies.
pub(super) struct Place {
    pub(super) partition: i32,
    pub(super) offset: i64,
}

/// What an id is about.
pub(super) struct Found {
    /// The transaction's records, in the order of each partition.
    pub(super) places: Vec<Place>,
    /// The alert, where the id is that of one.
    pub(super) alert: Option<Alert>,
}

/// The topics that are looked through.
pub(super) struct Search<'a> {
    settings: &'a Settings,
    job: &'a DetectJob,
    transactions: TopicLog,
    looked_at: u64,
}

impl<'a> Search<'a> {
    /// # Errors
    /// Kafka does not answer, or `init` has not run.
    pub(super) fn open(settings: &'a Settings, job: &'a DetectJob) -> anyhow::Result<Self> {
        Ok(Self {
            settings,
            job,
            transactions: TopicLog::open(&settings.kafka, job.input_topic().to_owned())?,
            looked_at: 0,
        })
    }

    /// Looks among the alerts first: one of the transaction's tells when it was, and whose.
    ///
    /// # Errors
    /// There is nothing of this id, or Kafka or the registry do not answer.
    pub(super) fn find(mut self, id: Uuid, hints: &Hints) -> anyhow::Result<Found> {
        let (alert, hint) = self.alerts(id, hints)?;
        let of_alert = alert.as_ref().or(hint.as_ref());
        let last = |alert: &Alert| alert.content.transaction_ids.last().copied();
        let transaction = match of_alert {
            Some(of_alert) => match last(of_alert) {
                Some(transaction) => transaction,
                None => bail!("the alert {id} names no transaction"),
            },
            None => TransactionId::from_bytes(*id.as_bytes()),
        };
        let user = hints.user.as_ref().map(|user| user.clone().into_bytes());
        let user = of_alert.map(|alert| alert.key.clone()).or(user);
        let times_ms = match of_alert {
            Some(alert) => self.times_ms(alert),
            None => hints.times_ms.unwrap_or((0, i64::MAX)),
        };
        let partitions = self.transactions.partitions();
        let all: Vec<_> = (0..partitions).collect();
        let of_user = user.map(|user| partition_for(&user, partitions));
        // Of an alert all records within its time, as a transaction may have come again; else the
        // first.
        let is_one_enough = of_alert.is_none();
        let mut places = Vec::new();
        if let Some(partition) = of_user {
            places = self.places(transaction, &[partition], times_ms, is_one_enough)?;
        }
        // Records may lie elsewhere than those of their user.
        if places.is_empty() {
            places = self.places(transaction, &all, times_ms, is_one_enough)?;
        }
        ensure!(
            !places.is_empty(),
            self.nothing_found(id, alert.as_ref().map(|_| transaction), hints)
        );
        Ok(Found { places, alert })
    }

    /// The alert of this id, or else one of the transaction of this id.
    fn alerts(&mut self, id: Uuid, hints: &Hints) -> anyhow::Result<(Option<Alert>, Option<Alert>)> {
        let schemas = SchemaFetcher::new(registry::config(&self.settings.schema_registry));
        let reader = AnomalyReader::new(schemas);
        let name = topic_name(&self.settings.kafka, topic::ANOMALIES);
        let log = TopicLog::open(&self.settings.kafka, name)?;
        let partitions: Vec<_> = (0..log.partitions()).collect();
        let wanted = TransactionId::from_bytes(*id.as_bytes());
        let (mut alert, mut hint) = (None, None);
        let from_ms = hints.times_ms.map_or(0, |(from_ms, _)| from_ms);
        log.read_appended(&partitions, (from_ms, i64::MAX), |message| {
            self.count()?;
            // What is no alert of ours is passed over: it has no such id.
            if alert.is_none()
                && let Ok(content) = reader.read(message.payload().unwrap_or_default())
                && (content.id == id || (hint.is_none() && content.transaction_ids.last() == Some(&wanted)))
            {
                let is_it = content.id == id;
                let found = Alert {
                    content,
                    payload: message.payload().unwrap_or_default().to_vec(),
                    key: message.key().unwrap_or_default().to_vec(),
                    appended_ms: message.timestamp().to_millis(),
                };
                *if is_it { &mut alert } else { &mut hint } = Some(found);
            }
            anyhow::Ok(alert.is_none())
        })?;
        Ok((alert, hint))
    }

    /// When the transaction of an alert was appended: not before its event time, less what that
    /// may be ahead, and not after the alert.
    fn times_ms(&self, alert: &Alert) -> (i64, i64) {
        let max_future_ms = self.settings.detector.event_time.max_future_ms;
        let written_ms = alert.appended_ms.unwrap_or(i64::MIN);
        let written_ms = written_ms.max(alert.content.detection_time_ms);
        (
            alert
                .content
                .event_time_ms
                .saturating_sub(max_future_ms)
                .saturating_sub(CLOCKS_MS),
            written_ms.saturating_add(CLOCKS_MS),
        )
    }

    /// The records of a transaction in these partitions.
    fn places(
        &mut self,
        transaction: TransactionId,
        partitions: &[i32],
        times_ms: (i64, i64),
        is_one_enough: bool,
    ) -> anyhow::Result<Vec<Place>> {
        let mut places = Vec::new();
        let (mut intake, mut looked_at) = (self.job.intake(), self.looked_at);
        self.transactions.read_appended(partitions, times_ms, |message| {
            count(&mut looked_at)?;
            let payload = message.payload().unwrap_or_default();
            // What cannot be read has no id to be found by.
            if let Ok(found) = intake.read(message.offset(), payload)
                && found.transaction_id == transaction
            {
                ensure!(
                    places.len() < MOST_PLACES,
                    "the transaction came more than {MOST_PLACES} times"
                );
                places.push(Place {
                    partition: message.partition(),
                    offset: message.offset(),
                });
            }
            anyhow::Ok(!is_one_enough || places.is_empty())
        })?;
        self.looked_at = looked_at;
        Ok(places)
    }

    fn count(&mut self) -> anyhow::Result<()> {
        count(&mut self.looked_at)
    }

    fn nothing_found(&self, id: Uuid, of_alert: Option<TransactionId>, hints: &Hints) -> String {
        let topic = self.transactions.topic();
        match (of_alert, hints.times_ms) {
            (Some(transaction), _) => format!(
                "the alert is of transaction {transaction}, which is not in {topic} any more: kafka.retention_ms says \
                 how long it stays"
            ),
            (None, Some(_)) => format!(
                "there is no alert {id}, and no transaction in {topic} around --at; --within says how far around"
            ),
            (None, None) => format!(
                "there is no alert {id}, and no transaction in {topic}: is the id right, and is it still within \
                 kafka.retention_ms?"
            ),
        }
    }
}

fn count(looked_at: &mut u64) -> anyhow::Result<()> {
    *looked_at += 1;
    ensure!(
        *looked_at <= MOST_RECORDS,
        "{MOST_RECORDS} records were looked through, and none has the id: say with --at, and with --user, where to look"
    );
    Ok(())
}
