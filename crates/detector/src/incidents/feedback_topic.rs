//! The topic of verdicts: read to its end, and followed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context as _;
use millrace_catalog::incidents::topic;
use millrace_contract::ReadError;
use millrace_domain::{AlertFeedback, Verdict};
use millrace_incidents::MOST_VERDICTS;
use millrace_kafka::topic_name;
use millrace_settings::Settings;
use rdkafka::message::{BorrowedMessage, Message as _};

use super::{IncidentMetrics, LivePolicy};
use crate::follow::{Follower, patiently};
use crate::ordered_topic::{OrderedTopic, PARTITION};

/// The newest verdicts, in their order.
#[derive(Debug, Default)]
pub(super) struct Newest(VecDeque<(String, Verdict)>);

impl Newest {
    fn put(&mut self, feedback: &AlertFeedback) {
        let id = feedback.incident.to_string();
        self.0.retain(|(known, _)| *known != id);
        if self.0.len() >= MOST_VERDICTS {
            self.0.pop_front();
        }
        self.0.push_back((id, feedback.verdict));
    }

    /// As a policy has them.
    pub(super) fn verdicts(&self) -> BTreeMap<String, millrace_incidents::Verdict> {
        let of = |verdict: &Verdict| match verdict {
            Verdict::Confirmed => millrace_incidents::Verdict::Confirmed,
            Verdict::Dismissed => millrace_incidents::Verdict::FalseAlarm,
        };
        self.0
            .iter()
            .map(|(id, verdict)| (id.clone(), of(verdict)))
            .collect()
    }
}

/// The topic of verdicts.
pub type FeedbackTopic = OrderedTopic<AlertFeedback>;

impl FeedbackTopic {
    /// Opens it.
    ///
    /// # Errors
    /// The brokers or the registry do not answer, or `init` has not run.
    pub async fn open_made(settings: &Settings) -> anyhow::Result<Self> {
        let found = Self::open(settings, topic::FEEDBACK, "millrace-alerts").await?;
        found.with_context(|| {
            let name = topic_name(&settings.kafka, topic::FEEDBACK);
            format!("there is no topic {name}: `millrace init` must run first")
        })
    }

    /// All verdicts that there are, in their order, and the offset after the last. A record that is
    /// none is passed over. Blocks.
    ///
    /// # Errors
    /// The brokers or the registry do not answer.
    pub fn read(&self) -> anyhow::Result<(Vec<AlertFeedback>, i64)> {
        patiently(|| self.try_read()).with_context(|| format!("reading {}", self.name))
    }

    fn try_read(&self) -> anyhow::Result<(Vec<AlertFeedback>, i64)> {
        let (low, end) = self.kafka.bounds(&self.name, PARTITION)?;
        let (mut all, mut failed, mut next) = (Vec::new(), None, low);
        self.kafka.read(&self.name, PARTITION, low, |message| {
            next = message.offset() + 1;
            match self.values.read(message.payload().unwrap_or_default()) {
                Ok(feedback) => all.push(feedback),
                Err(ReadError::Registry(error)) => failed = Some(anyhow::Error::new(error)),
                Err(ReadError::Invalid(error)) => pass_over(message.offset(), &error.to_string()),
            }
            failed.is_none()
        })?;
        failed.map_or(Ok((all, next.max(end))), Err)
    }
}

/// What is known of the topic by now.
pub(super) struct Followed {
    topic: FeedbackTopic,
    newest: Newest,
    /// The offset from which on it is followed.
    next: i64,
}

impl Followed {
    /// Reads all that there is.
    ///
    /// # Errors
    /// The brokers or the registry do not answer, or `init` has not run.
    pub(super) async fn open(settings: &Settings) -> anyhow::Result<Self> {
        let topic = FeedbackTopic::open_made(settings).await?;
        let read = move || topic.read().map(|read| (topic, read));
        let (topic, (all, next)) = tokio::task::spawn_blocking(read).await??;
        let mut newest = Newest::default();
        all.iter().for_each(|feedback| newest.put(feedback));
        Ok(Self { topic, newest, next })
    }

    /// The newest verdicts.
    pub(super) fn newest(&self) -> &Newest {
        &self.newest
    }

    /// Has `live` follow the topic.
    pub(super) fn start(self, live: Arc<LivePolicy>, metrics: IncidentMetrics) -> Follower {
        Follower::start(move |flag| self.follow(&live, &metrics, flag))
    }

    fn follow(self, live: &LivePolicy, metrics: &IncidentMetrics, is_wanted: &AtomicBool) {
        let Self {
            topic,
            mut newest,
            next,
        } = self;
        let mut is_changed = false;
        let take = |message: Option<&BorrowedMessage<'_>>| {
            let Some(message) = message else {
                // Many verdicts are one change: nothing more has come for the moment.
                if std::mem::take(&mut is_changed) {
                    live.set_verdicts(newest.verdicts());
                }
                return Ok(());
            };
            let feedback = topic.values.read(message.payload().unwrap_or_default())?;
            metrics.verdict(feedback.verdict);
            newest.put(&feedback);
            is_changed = true;
            Ok(())
        };
        let refuse = |offset, error: &ReadError| pass_over(offset, &error.to_string());
        let followed = topic.follow((next, "a verdict"), is_wanted, take, refuse);
        if let Err(error) = followed {
            tracing::error!(%error, "{} is not followed any more: verdicts hold from the next start on", topic.name);
        }
    }
}

/// Says that a record is no verdict.
fn pass_over(offset: i64, why: &str) {
    tracing::error!(offset, why, "a record of the verdicts is none: it is passed over");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_verdict_of_an_incident_holds_and_the_oldest_go() {
        let mut newest = Newest::default();
        let put = |newest: &mut Newest, number: u128, verdict| {
            newest.put(&AlertFeedback {
                incident: uuid::Uuid::from_u128(number),
                verdict,
                author: "ann".to_owned(),
                reason: "r".to_owned(),
                time_ms: 0,
            });
        };
        put(&mut newest, 1, Verdict::Confirmed);
        put(&mut newest, 2, Verdict::Confirmed);
        put(&mut newest, 1, Verdict::Dismissed);
        let of = |newest: &Newest, number| {
            let id = uuid::Uuid::from_u128(number).to_string();
            newest.verdicts().get(&id).copied()
        };
        assert_eq!(of(&newest, 1), Some(millrace_incidents::Verdict::FalseAlarm));
        for number in 0..MOST_VERDICTS as u128 - 1 {
            put(&mut newest, 100 + number, Verdict::Confirmed);
        }
        assert_eq!(newest.verdicts().len(), MOST_VERDICTS);
        assert_eq!(of(&newest, 2), None, "the oldest");
        assert!(of(&newest, 1).is_some(), "it was decided on later");
    }
}
