//! The topic of changes of the rules: read to its end, and followed.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use millrace_catalog::payments::topic;
use millrace_contract::ReadError;
use millrace_domain::RuleChange;
use millrace_fraud::{DetectPolicy, RuleHistory};
use millrace_settings::{Detector, Settings};
use rdkafka::message::{BorrowedMessage, Message as _};

use crate::follow::{Follower, patiently};
use crate::live_rules::{LiveRules, policy_of};
use crate::metrics::DetectMetrics;
use crate::ordered_topic::{OrderedTopic, PARTITION};

/// The topic of changes of the rules.
pub type RuleTopic = OrderedTopic<RuleChange>;

impl RuleTopic {
    /// Opens it; `None` where it was not made yet.
    ///
    /// # Errors
    /// The brokers or the registry do not answer, or `init` has not come to its end.
    pub async fn open_if_any(settings: &Settings) -> anyhow::Result<Option<Self>> {
        Self::open(settings, topic::FRAUD_RULES, "millrace-rules").await
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
        let take = |message: Option<&BorrowedMessage<'_>>| {
            let Some(message) = message else { return Ok(()) };
            if let Some(change) = topic.take(message.key(), message.payload(), &mut history)? {
                take(&change, (&history, &base), detector, to);
            }
            Ok(())
        };
        let refuse = |offset, error: &ReadError| {
            to.1.refused_change();
            tracing::error!(%error, offset, "a record of {} is no change", topic.name);
        };
        let followed = topic.follow((next, "a change of the rules"), is_wanted, take, refuse);
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
