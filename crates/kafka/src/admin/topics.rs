//! Creates topics, and changes of those there are what the pipeline depends on.

use std::time::{Duration, Instant};

use futures::executor::block_on;
use millrace_contract::topic::TopicSpec;
use millrace_domain::plan::{Action, Consent, Difference, State};
use millrace_settings::Kafka;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigResource, ConfigSource, NewTopic, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};

use super::answered::{answered, decided};
use super::plan::{self, Found};
use super::{AdminError, Lookup, propagation};
use crate::client::{LogBridge, admin_config};
use crate::topic_name;

/// How long one call may take.
const CALL: Duration = Duration::from_secs(30);
/// How long controllers that are busy are asked again: what is twice asked for is there once.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a look-up in the midst of a transaction may take.
const QUICK: Duration = Duration::from_secs(5);
/// How long electing leaders may take.
const ELECTION: Duration = Duration::from_secs(60);

/// What is to be done about a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicPlan {
    /// Its full name.
    pub name: String,
    /// What was found, and what is done.
    pub state: State,
    spec: TopicSpec,
    /// What a new one is made with.
    settings: Vec<(&'static str, String)>,
}

/// Looks at the topics of `specs`, under `kafka.topic_prefix`, and says what is to be done about
/// each; changes nothing. The result is in the order of `specs`.
///
/// # Errors
/// The cluster does not answer, or refuses.
pub fn plan_topics(
    kafka: &Kafka,
    specs: &[TopicSpec],
    consent: Consent,
) -> Result<Vec<TopicPlan>, AdminError> {
    let admin = Admin::connect(kafka)?;
    let lookup = Lookup::connect(kafka)?;
    let existing = lookup.topic_names()?;
    let is_new = |spec: &TopicSpec| !existing.contains(&topic_name(kafka, spec.name));
    let brokers_max_bytes = match specs.iter().any(is_new) {
        true => admin.brokers_max_bytes(&lookup)?,
        false => None,
    };
    let mut plans = Vec::new();
    for spec in specs {
        let name = topic_name(kafka, spec.name);
        let limit = plan::limit_of_new(spec, brokers_max_bytes);
        let settings = plan::settings_of_new(kafka, spec).into_iter().chain(limit);
        let state = match existing.contains(&name) {
            true => State::of(differences(kafka, spec, (&admin, &lookup), consent)?),
            false => State::New,
        };
        plans.push(TopicPlan {
            name,
            state,
            spec: *spec,
            settings: settings.collect(),
        });
    }
    Ok(plans)
}

fn differences(
    kafka: &Kafka,
    spec: &TopicSpec,
    (admin, lookup): (&Admin, &Lookup),
    consent: Consent,
) -> Result<Vec<Difference>, AdminError> {
    let name = topic_name(kafka, spec.name);
    let partitions = lookup.topic(&name)?.partitions;
    let replicas = partitions.iter().map(|partition| partition.replicas).min();
    let mut differences = Vec::new();
    differences.extend(plan::partitions(spec, partitions.len()));
    differences.extend(plan::replicas(replicas.unwrap_or(0), kafka.replication_factor));
    let current = admin.describe(&name)?;
    for (key, wanted) in plan::settings_of_existing(kafka, spec) {
        let Some(entry) = current.get(key) else { continue };
        let found = Found {
            value: entry.value.clone().unwrap_or_default(),
            is_own: matches!(entry.source, ConfigSource::DynamicTopic),
        };
        differences.extend(plan::difference(spec, key, &found, &wanted, consent));
    }
    Ok(differences)
}

/// Does what `plans` say, and waits until every partition has a leader and every broker knows the
/// new topics, so that whatever is asked next, of whichever broker, finds them.
///
/// # Errors
/// The cluster does not answer, or refuses; or a plan has something that is refused: then nothing
/// is done. A partition has got no leader in time, or a broker has not heard of a topic.
pub fn apply_topics(kafka: &Kafka, plans: &[TopicPlan]) -> Result<(), AdminError> {
    for plan in plans {
        if let Some(reason) = plan.state.refusals().into_iter().next() {
            return Err(AdminError::Unfit {
                topic: plan.name.clone(),
                reason,
            });
        }
    }
    let admin = Admin::connect(kafka)?;
    for plan in plans {
        match plan.state {
            State::New => admin.create(plan, kafka.replication_factor)?,
            _ => admin.update(plan)?,
        }
    }
    let lookup = Lookup::connect(kafka)?;
    wait_for_leaders(&lookup, plans)?;
    let is_new = |plan: &&TopicPlan| matches!(plan.state, State::New);
    let new: Vec<&str> = plans
        .iter()
        .filter(is_new)
        .map(|plan| plan.name.as_str())
        .collect();
    propagation::wait_until_known(kafka, &lookup, &new)
}

/// Makes the topics of `specs`, or changes of those there are what the pipeline depends on; see
/// [`plan_topics`] and [`apply_topics`].
///
/// # Errors
/// As for these two.
pub fn ensure_topics(kafka: &Kafka, specs: &[TopicSpec]) -> Result<(), AdminError> {
    apply_topics(kafka, &plan_topics(kafka, specs, Consent::default())?)
}

/// Deletes the topics of `specs` under `kafka.topic_prefix`, with all that is in them, and waits
/// until they have gone. One that does not exist is no error.
///
/// # Errors
/// The cluster does not answer, or refuses.
pub fn delete_topics(kafka: &Kafka, specs: &[TopicSpec]) -> Result<(), AdminError> {
    let admin = Admin::connect(kafka)?;
    let names: Vec<String> = specs.iter().map(|spec| topic_name(kafka, spec.name)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let results = admin.call(|| admin.client.delete_topics(&names, &admin.options));
    let results = results.map_err(|reason| AdminError::Kafka {
        action: format!("deleting the topics {}", names.join(", ")),
        reason,
    })?;
    for result in results {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)) => {}
            Err((topic, code)) => {
                return Err(AdminError::Refused {
                    topic,
                    action: "deleted",
                    reason: code.to_string(),
                });
            }
        }
    }
    wait_until_gone(&Lookup::connect(kafka)?, &names)
}

fn wait_until_gone(lookup: &Lookup, names: &[&str]) -> Result<(), AdminError> {
    let deadline = Instant::now() + CALL;
    loop {
        let existing = lookup.topic_names()?;
        let Some(left) = existing.iter().find(|name| names.contains(&name.as_str())) else {
            return Ok(());
        };
        if Instant::now() > deadline {
            return Err(AdminError::Refused {
                topic: left.clone(),
                action: "deleted",
                reason: format!("it is still there after {} s", CALL.as_secs()),
            });
        }
        std::thread::park_timeout(Duration::from_millis(100));
    }
}

/// Bytes that a batch of `topic` (its full name) may have: its `max.message.bytes`.
///
/// # Errors
/// The cluster does not answer within some seconds, or refuses: the right to describe the topic's
/// settings is needed.
pub fn max_message_bytes(kafka: &Kafka, topic: &str) -> Result<usize, AdminError> {
    let mut admin = Admin::connect(kafka)?;
    admin.options = AdminOptions::new().request_timeout(Some(QUICK));
    admin.patience = Duration::ZERO;
    let resource = admin.describe(topic)?;
    let value = resource.get("max.message.bytes");
    value
        .and_then(|entry| entry.value.as_ref()?.parse().ok())
        .ok_or_else(|| failed(topic, "describing", KafkaError::Canceled))
}

/// A connection for calls that make or change something, with how long each may take.
pub(super) struct Admin {
    pub(super) client: AdminClient<LogBridge>,
    pub(super) options: AdminOptions,
    patience: Duration,
}

impl Admin {
    pub(super) fn connect(kafka: &Kafka) -> Result<Self, AdminError> {
        let client = admin_config(kafka)?
            .create_with_context(LogBridge)
            .map_err(AdminError::Client)?;
        let options = AdminOptions::new()
            .request_timeout(Some(CALL))
            .operation_timeout(Some(CALL));
        Ok(Self {
            client,
            options,
            patience: PATIENCE,
        })
    }

    /// Makes a call, again where it was not answered in time.
    pub(super) fn call<T, F: Future<Output = KafkaResult<T>>>(&self, call: impl Fn() -> F) -> KafkaResult<T> {
        answered(self.patience, || block_on(call()))
    }

    fn create(&self, topic: &TopicPlan, replication_factor: i32) -> Result<(), AdminError> {
        let mut new = NewTopic::new(
            &topic.name,
            topic.spec.partitions,
            TopicReplication::Fixed(replication_factor),
        );
        for (key, value) in &topic.settings {
            new = new.set(key, value);
        }
        let results = self.call(|| async {
            let results = self.client.create_topics([&new], &self.options).await;
            results.and_then(decided)
        });
        let results = results.map_err(|reason| failed(&topic.name, "creating", reason))?;
        match results.into_iter().next() {
            // Another `init` may run beside this one.
            Some(Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(()),
            Some(Err((_, code))) => Err(AdminError::Refused {
                topic: topic.name.clone(),
                action: "created",
                reason: match code {
                    RDKafkaErrorCode::InvalidReplicationFactor => {
                        format!(
                            "{code}: kafka.replication_factor is {replication_factor}; are as many brokers running?"
                        )
                    }
                    _ => code.to_string(),
                },
            }),
            None => Err(failed(&topic.name, "creating", KafkaError::Canceled)),
        }
    }

    fn update(&self, topic: &TopicPlan) -> Result<(), AdminError> {
        let changes: Vec<&Difference> = topic.state.with(Action::Change).collect();
        if changes.is_empty() {
            return Ok(());
        }
        let current = self.describe(&topic.name)?;
        // This call replaces all of a topic's own settings: those that someone has made must be
        // said again.
        let mut config = AlterConfig::new(ResourceSpecifier::Topic(&topic.name));
        for entry in &current.entries {
            if matches!(entry.source, ConfigSource::DynamicTopic)
                && let Some(value) = &entry.value
            {
                config = config.set(&entry.name, value);
            }
        }
        for change in &changes {
            config = config.set(&change.setting, &change.wanted);
        }
        let results = self.call(|| self.client.alter_configs([&config], &self.options));
        let results = results.map_err(|reason| failed(&topic.name, "changing", reason))?;
        match results.into_iter().next() {
            Some(Ok(_)) => {
                for change in changes {
                    tracing::info!(topic = topic.name, %change, "a topic's setting is changed");
                }
                Ok(())
            }
            Some(Err((_, code))) => Err(AdminError::Refused {
                topic: topic.name.clone(),
                action: "changed",
                reason: code.to_string(),
            }),
            None => Err(failed(&topic.name, "changing", KafkaError::Canceled)),
        }
    }

    /// What a broker takes in one batch where a topic does not say; `None` where it does not tell,
    /// for want of the right to describe it.
    fn brokers_max_bytes(&self, lookup: &Lookup) -> Result<Option<u32>, AdminError> {
        let Some(id) = lookup.brokers()?.first().copied() else {
            return Ok(None);
        };
        let resource = ResourceSpecifier::Broker(id);
        let found = self.call(|| self.client.describe_configs([&resource], &self.options));
        let found = found.ok().and_then(|results| results.into_iter().next()?.ok());
        let value = found.and_then(|it| it.get("message.max.bytes")?.value.as_ref()?.parse().ok());
        if value.is_none() {
            tracing::debug!(broker = id, "the broker does not tell its message.max.bytes");
        }
        Ok(value)
    }

    fn describe(&self, topic: &str) -> Result<ConfigResource, AdminError> {
        let resource = ResourceSpecifier::Topic(topic);
        let results = self.call(|| self.client.describe_configs([&resource], &self.options));
        let results = results.map_err(|reason| failed(topic, "describing", reason))?;
        match results.into_iter().next() {
            Some(Ok(resource)) => Ok(resource),
            Some(Err(code)) => Err(failed(topic, "describing", KafkaError::AdminOp(code))),
            None => Err(failed(topic, "describing", KafkaError::Canceled)),
        }
    }
}

fn failed(topic: &str, action: &str, reason: KafkaError) -> AdminError {
    AdminError::Kafka {
        action: format!("{action} the topic {topic}"),
        reason,
    }
}

fn wait_for_leaders(lookup: &Lookup, wanted: &[TopicPlan]) -> Result<(), AdminError> {
    let deadline = Instant::now() + ELECTION;
    for topic in wanted {
        loop {
            match lookup.topic(&topic.name) {
                Ok(state)
                    if plan::takes_partitions(&topic.spec, state.partitions.len())
                        && state
                            .partitions
                            .iter()
                            .all(|partition| partition.leader.is_some()) =>
                {
                    break;
                }
                Ok(_) | Err(AdminError::UnknownTopic(_)) if Instant::now() < deadline => {}
                Ok(_) | Err(AdminError::UnknownTopic(_)) => {
                    return Err(AdminError::NoLeader(topic.name.clone()));
                }
                Err(error) => return Err(error),
            }
            std::thread::park_timeout(Duration::from_millis(100));
        }
    }
    Ok(())
}
