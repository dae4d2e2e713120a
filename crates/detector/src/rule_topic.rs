//! The topic of changes of the rules: read to its end, and followed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;

use anyhow::Context as _;
use millrace_catalog::payments::topic;
use millrace_contract::ReadError;
use millrace_domain::codec::RuleChangeReader;
use millrace_domain::{RuleChange, schema};
use millrace_fraud::{DetectPolicy, RuleHistory};
use millrace_kafka::client::reader_config;
use millrace_kafka::reader::Reader;
use millrace_kafka::topic_name;
use millrace_registry::{Registry, SchemaFetcher};
use millrace_service::registry;
use millrace_settings::{Detector, Settings};
use rdkafka::message::Message as _;

use crate::follow::{Follower, PAUSE, patiently};
use crate::live_rules::{LiveRules, policy_of};
use crate::metrics::DetectMetrics;

/// The one partition: changes have one order.
const PARTITION: i32 = 0;

/// The topic of changes of the rules.
pub struct RuleTopic {
    kafka: Reader,
    name: String,
    values: RuleChangeReader,
    schema_id: u32,
}

impl RuleTopic {
    /// Opens it; `None` where it was not made yet.
    ///
    /// # Errors
    /// The brokers or the registry do not answer, or `init` has not come to its end.
    pub async fn open_if_any(settings: &Settings) -> anyhow::Result<Option<Self>> {
        let name = topic_name(&settings.kafka, topic::FRAUD_RULES);
        let group = format!("{}millrace-rules", settings.kafka.topic_prefix);
        let kafka = Reader::new(&reader_config(&settings.kafka, &group)?)?;
        let asked = name.clone();
        let look = move || patiently(|| Ok(kafka.partitions(&asked)?)).map(|found| (kafka, found));
        let (kafka, partitions) = tokio::task::spawn_blocking(look)
            .await?
            .with_context(|| format!("Kafka at {} does not answer", settings.kafka.bootstrap_servers))?;
        if partitions == 0 {
            return Ok(None);
        }
        let config = registry::config(&settings.schema_registry);
        let client = Registry::new(config.clone())?;
        let schema_id = registry::schema_id(&client, &name, schema::RULE_CHANGE).await?;
        let values = RuleChangeReader::new(SchemaFetcher::new(config)).with_own_schema_id(schema_id);
        Ok(Some(Self {
            kafka,
            name,
            values,
            schema_id,
        }))
    }

    /// Its full name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id of the schema that changes are written with.
    #[must_use]
    pub fn schema_id(&self) -> u32 {
        self.schema_id
    }

    /// All changes that there are, and the offset after the last. Blocks.
    ///
    /// # Errors
    /// The brokers or the registry do not answer, or a record is no change.
    pub fn read(&self) -> anyhow::Result<(RuleHistory, i64)> {
        patiently(|| self.try_read())
    }

    fn try_read(&self) -> anyhow::Result<(RuleHistory, i64)> {
        let (mut history, mut failed) = (RuleHistory::default(), None);
        let (low, end) = self.kafka.bounds(&self.name, PARTITION)?;
        let mut next = low;
        self.kafka.read(&self.name, PARTITION, low, |message| {
            next = message.offset() + 1;
            let taken = self.take(message.key(), message.payload(), &mut history);
            failed = taken
                .err()
                .map(|error| anyhow::Error::new(error).context(format!("{} at {}", self.name, next - 1)));
            failed.is_none()
        })?;
        failed.map_or(Ok((history, next.max(end))), Err)
    }

    /// Adds a record to the history; the change that it is.
    fn take(
        &self,
        key: Option<&[u8]>,
        payload: Option<&[u8]>,
        history: &mut RuleHistory,
    ) -> Result<Option<RuleChange>, ReadError> {
        let Some(payload) = payload else {
            let key = std::str::from_utf8(key.unwrap_or_default()).unwrap_or_default();
            key.parse().into_iter().for_each(|number| history.remove(number));
            return Ok(None);
        };
        let change = self.values.read(payload)?;
        history.add(change.clone());
        Ok(Some(change))
    }
}

/// What is known of the topic by now.
pub(crate) struct Followed {
    pub(crate) topic: RuleTopic,
    pub(crate) history: RuleHistory,
    /// The offset from which on it is followed.
    pub(crate) next: i64,
    /// The policy of the settings.
    pub(crate) base: DetectPolicy,
}

impl Followed {
    /// Has `rules` follow the topic.
    pub(crate) fn start(
        self,
        detector: &Detector,
        (rules, metrics): (Arc<LiveRules>, DetectMetrics),
    ) -> Follower {
        let detector = detector.clone();
        Follower::start(move |flag| self.follow(&detector, (&rules, &metrics), flag))
    }

    fn follow(self, detector: &Detector, to: (&LiveRules, &DetectMetrics), is_wanted: &AtomicBool) {
        let Self {
            topic,
            mut history,
            next,
            base,
        } = self;
        let is_wanted = || is_wanted.load(Ordering::Relaxed);
        let followed = topic
            .kafka
            .follow(&topic.name, PARTITION, next, is_wanted, |message| {
                let change = loop {
                    match topic.take(message.key(), message.payload(), &mut history) {
                        Ok(change) => break change,
                        Err(ReadError::Registry(error)) if is_wanted() => {
                            tracing::warn!(%error, "a change of the rules waits for the schema registry");
                            sleep(PAUSE);
                        }
                        Err(error) => {
                            to.1.refused_change();
                            let offset = message.offset();
                            tracing::error!(%error, offset, "a record of {} is no change", topic.name);
                            break None;
                        }
                    }
                };
                if let Some(change) = change {
                    take(&change, (&history, &base), detector, to);
                }
            });
        if let Err(error) = followed {
            to.1.refused_change();
            tracing::error!(%error, "{} is not followed any more: rules change at the next start", topic.name);
        }
    }
}

/// Takes a change, if it is the one that is in force with it.
fn take(
    change: &RuleChange,
    (history, base): (&RuleHistory, &DetectPolicy),
    detector: &Detector,
    (rules, metrics): (&LiveRules, &DetectMetrics),
) {
    let in_force = history.in_force(detector.rules.two_keys);
    if in_force.is_none_or(|in_force| in_force.number != change.number) {
        if change.status == millrace_domain::RuleChangeStatus::InForce {
            metrics.refused_change();
            tracing::error!(
                change = change.number,
                author = change.author,
                "a change of the rules is passed over: detector.rules.two_keys asks for a second person"
            );
        }
        return;
    }
    let policy = policy_of(base, change, &detector.budget);
    match policy.and_then(|policy| rules.set_rules(policy.clone()).map(|()| policy)) {
        Ok(policy) => {
            metrics.rule_change(change.number);
            tell(change, &policy);
        }
        Err(error) => {
            metrics.refused_change();
            let error = format!("{error:#}");
            tracing::error!(error, "a change of the rules is refused: those of before go on");
        }
    }
}

/// Says which rules are in force.
pub(crate) fn tell(change: &RuleChange, policy: &DetectPolicy) {
    tracing::info!(
        change = change.number,
        action = change.action,
        author = change.author,
        approved_by = change.approved_by,
        reason = change.reason,
        version = policy.version().map(|version| version.hash().to_string()),
        rules = policy.version().map(|version| version.rules().len()),
        "the rules are those of this change"
    );
}
