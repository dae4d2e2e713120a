//! The topics of the contracts.

use std::time::Duration;

use millrace_catalog::{Installation, controls, topics};
use millrace_domain::plan::{Consent, Difference, Item, Need, State};

use millrace_kafka::admin::{
    AdminError, Extended, Lookup, TopicPlan, apply_topics, extend_controls, plan_controls, plan_topics,
};
use millrace_settings::{Kafka, Settings};

use super::Steps;
use super::wait::{Deadline, Failure};

/// What is to be done about the topics.
pub(super) struct Plan {
    topics: Vec<TopicPlan>,
    items: Vec<Item>,
}

/// Looks at the topics that are there.
pub(super) async fn plan(settings: &Settings, consent: Consent, deadline: &Deadline) -> anyhow::Result<Plan> {
    let (kafka, specs) = (&settings.kafka, topics(settings.installation()));
    let service = format!("Kafka at {}", kafka.bootstrap_servers);
    deadline
        .until_final(&service, || enough_brokers(kafka, deadline.left()))
        .await?;
    let kafka = kafka.clone();
    let look = move || {
        Ok::<_, AdminError>((
            plan_topics(&kafka, &specs, consent)?,
            plan_controls(&kafka, &controls(Installation::ALL))?,
        ))
    };
    let (topics, behind) = tokio::task::spawn_blocking(look).await??;
    let item = |topic: &TopicPlan| Item {
        name: format!("topic {}", topic.name),
        state: match behind.iter().find(|control| control.topic == topic.name) {
            Some(control) => extended(topic.state.clone(), control, consent),
            None => topic.state.clone(),
        },
    };
    let items = topics.iter().map(item).collect();
    Ok(Plan { topics, items })
}

/// A control topic's state, which is to have the partitions of its job's input.
fn extended(state: State, control: &Extended, consent: Consent) -> State {
    let mut differences = match state {
        State::Differs(differences) => differences,
        _ => Vec::new(),
    };
    let values = (&*control.from.to_string(), &*control.to.to_string());
    let rule = (Need::Required, format!("{} has as many", control.input));
    differences.push(Difference::decide("number of partitions", values, rule, consent));
    State::of(differences)
}

impl Plan {
    pub(super) fn items(&self) -> &[Item] {
        &self.items
    }

    pub(super) async fn apply(self, settings: &Settings, steps: &mut Steps) -> anyhow::Result<()> {
        let (kafka, controls) = (settings.kafka.clone(), controls(settings.installation()));
        let work = move || {
            apply_topics(&kafka, &self.topics)?;
            extend_controls(&kafka, &controls)
        };
        tokio::task::spawn_blocking(work).await??;
        self.items.iter().for_each(|item| steps.add_item(item));
        Ok(())
    }
}

/// A cluster that is starting answers before all of its brokers are there, and would refuse to make
/// a topic.
async fn enough_brokers(kafka: &Kafka, left: Duration) -> Result<(), Failure> {
    let asked = kafka.clone();
    // Less than the wait has, so that the client's own reason is heard.
    let limit = left.mul_f64(0.7);
    let brokers = tokio::task::spawn_blocking(move || Lookup::connect(&asked)?.within(limit).brokers())
        .await
        .map_err(Failure::passing)?
        .map_err(|error| match error {
            error if error.is_final() => Failure::Final(error.into()),
            AdminError::Kafka { .. } => Failure::Silence(error.to_string()),
            error => Failure::passing(error),
        })?;
    let wanted = usize::try_from(kafka.replication_factor).unwrap_or(1);
    if brokers.len() < wanted {
        return Err(Failure::passing(format!(
            "{} of the {wanted} brokers that kafka.replication_factor needs are running",
            brokers.len()
        )));
    }
    Ok(())
}
