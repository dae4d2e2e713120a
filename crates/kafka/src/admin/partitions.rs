//! Control topics follow the topics that their jobs read: a partition that is added there needs one
//! here.

use std::time::{Duration, Instant};

use millrace_contract::topic::ControlTopic;
use millrace_settings::Kafka;
use rdkafka::admin::NewPartitions;
use rdkafka::error::RDKafkaErrorCode;

use super::answered::decided;
use super::topics::Admin;
use super::{AdminError, Lookup};
use crate::topic_name;

/// How long electing leaders may take.
const ELECTION: Duration = Duration::from_secs(60);
/// Time between two looks for leaders.
const LOOK: Duration = Duration::from_millis(100);

/// A topic that has got more partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extended {
    /// Its full name.
    pub topic: String,
    /// How many it had.
    pub from: usize,
    /// How many it has.
    pub to: usize,
    /// The topic that it follows, by its full name.
    pub input: String,
}

/// The control topics that are there and have fewer partitions than the topics that their jobs
/// read; changes nothing.
///
/// # Errors
/// The cluster does not answer, or refuses.
pub fn plan_controls(kafka: &Kafka, controls: &[ControlTopic]) -> Result<Vec<Extended>, AdminError> {
    let lookup = Lookup::connect(kafka)?;
    let mut all = Vec::new();
    for control in controls {
        match behind(kafka, &lookup, *control) {
            // Each is made as it should be.
            Err(AdminError::UnknownTopic(_)) => {}
            found => all.extend(found?),
        }
    }
    Ok(all)
}

/// Gives each control topic as many partitions as the topic has that its job reads, and waits until
/// they have leaders. Of topics that have enough, nothing is changed.
///
/// # Errors
/// The cluster does not answer, or refuses: it takes the right to alter these topics. A topic does
/// not exist.
pub fn extend_controls(kafka: &Kafka, controls: &[ControlTopic]) -> Result<Vec<Extended>, AdminError> {
    let lookup = Lookup::connect(kafka)?;
    let mut all = Vec::new();
    for control in controls {
        if let Some(extended) = behind(kafka, &lookup, *control)? {
            extend(kafka, &lookup, &extended)?;
            all.push(extended);
        }
    }
    Ok(all)
}

/// How a control topic is to be extended, where it is.
fn behind(kafka: &Kafka, lookup: &Lookup, control: ControlTopic) -> Result<Option<Extended>, AdminError> {
    let (topic, input) = (topic_name(kafka, control.topic), topic_name(kafka, control.input));
    let from = lookup.topic(&topic)?.partitions.len();
    let to = lookup.topic(&input)?.partitions.len();
    Ok((from < to).then_some(Extended {
        topic,
        from,
        to,
        input,
    }))
}

fn extend(kafka: &Kafka, lookup: &Lookup, extended: &Extended) -> Result<(), AdminError> {
    let Extended { topic, to, input, .. } = extended;
    let admin = Admin::connect(kafka)?;
    let wanted = NewPartitions::new(topic, *to);
    let results = admin.call(|| async {
        let results = admin.client.create_partitions([&wanted], &admin.options).await;
        results.and_then(decided)
    });
    let results = results.map_err(|reason| AdminError::Kafka {
        action: format!("adding partitions to the topic {topic}"),
        reason,
    })?;
    match results.into_iter().next() {
        // Another process may do the same at the same time, which is refused as invalid: the look
        // below decides.
        Some(Ok(_) | Err((_, RDKafkaErrorCode::InvalidPartitions))) | None => {}
        Some(Err((_, code))) => {
            return Err(AdminError::Refused {
                topic: topic.clone(),
                action: "given more partitions",
                reason: format!(
                    "{code}. It has to have the {to} partitions of {input}. With a user who may alter topics: `millrace \
                     init`, or kafka-topics.sh --alter --topic {topic} --partitions {to}; then start the service again"
                ),
            });
        }
    }
    let deadline = Instant::now() + ELECTION;
    loop {
        let partitions = lookup.topic(topic)?.partitions;
        if partitions.len() >= *to && partitions.iter().all(|partition| partition.leader.is_some()) {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(AdminError::NoLeader(topic.clone()));
        }
        std::thread::park_timeout(LOOK);
    }
}
