//! Finds partitions that no member of the group owns, and has them dealt out again.
//!
//! A cooperative rebalance (KIP-429) takes two rounds: in the first a member gives partitions up,
//! in the second, which it asks for by joining again, another gets them. A static member (KIP-345)
//! that dies in between and comes back is given its last assignment without a rebalance. So there
//! is no second round, and what it gave up has no owner until something else makes the group
//! rebalance.
//!
//! Therefore each process looks at its group now and then. Where partitions have no owner twice in
//! a row, one worker of the group, the one with the least member id, drains, leaves and joins
//! again: both make the group deal all partitions out.

mod look;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use millrace_kafka::client::{LogBridge, Timeouts};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;

use crate::Job;
use crate::runner::Shared;
use look::Look;

/// How long the cluster may take to answer.
const CALL: Duration = Duration::from_secs(5);
/// How long the stop flag may go unseen.
const NAP: Duration = Duration::from_millis(100);

/// Asks one worker thread of this process to leave the group and to join it again.
#[derive(Debug, Default)]
pub(crate) struct Rejoin(AtomicUsize);

impl Rejoin {
    fn ask(&self, thread: usize) {
        self.0.store(thread + 1, Ordering::Relaxed);
    }

    /// Whether `thread` was asked; it is asked once.
    pub(crate) fn take(&self, thread: usize) -> bool {
        self.0.load(Ordering::Relaxed) == thread + 1 && self.0.swap(0, Ordering::Relaxed) == thread + 1
    }
}

/// Time between two looks: longer than a member may take to give partitions up, as they have no
/// owner meanwhile.
fn interval(timeouts: Timeouts) -> Duration {
    Duration::from_millis((timeouts.session_ms / 2).max(timeouts.drain_ms + 1_000))
}

/// Looks at the job's group until the job stops.
pub(crate) fn watch<J: Job>(
    shared: &Shared<J>,
    consumer: &BaseConsumer<LogBridge>,
    partitions: usize,
    threads: usize,
) {
    let interval = interval(shared.timeouts);
    let group = shared.config.group(shared.job.name());
    let mut before = BTreeSet::new();
    let mut next = Instant::now() + interval;
    while !shared.stop.load(Ordering::Relaxed) {
        std::thread::park_timeout(NAP);
        if Instant::now() < next {
            continue;
        }
        next = Instant::now() + interval;
        let look = match look_at(consumer, &group, shared.job.input_topic(), partitions) {
            Ok(look) => look,
            Err(error) => {
                tracing::debug!(%error, group, "the group's assignments are not known");
                continue;
            }
        };
        before = judge(shared, look, &before, threads);
    }
}

fn look_at(
    consumer: &BaseConsumer<LogBridge>,
    group: &str,
    topic: &str,
    partitions: usize,
) -> KafkaResult<Option<Look>> {
    let list = consumer.fetch_group_list(Some(group), CALL)?;
    let found = list.groups().iter().find(|found| found.name() == group);
    Ok(found.and_then(|found| Look::of(found, topic, partitions)))
}

/// Acts on what has no owner now, as it had none `before`. Returns what the next look is to be
/// compared with.
fn judge<J: Job>(
    shared: &Shared<J>,
    look: Option<Look>,
    before: &BTreeSet<i32>,
    threads: usize,
) -> BTreeSet<i32> {
    let Some(look) = look else {
        return BTreeSet::new();
    };
    let still: Vec<_> = look.unowned.intersection(before).copied().collect();
    shared
        .metrics
        .unowned_partitions
        .set(i64::try_from(still.len()).unwrap_or(i64::MAX));
    if still.is_empty() {
        return look.unowned;
    }
    let operator = shared.job.name();
    let first = (0..threads).find(|thread| look.is_first(&shared.config.member(*thread)));
    tracing::warn!(operator, partitions = ?still, first_member = look.first_member, "partitions have no owner");
    if let Some(thread) = first {
        tracing::warn!(
            operator,
            thread,
            "the worker leaves and joins again, so that they get one"
        );
        shared.rejoin.ask(thread);
    }
    // The next rebalance starts anew: what has no owner in the midst of it is on its way.
    BTreeSet::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_thread_that_is_asked_rejoins_and_once() {
        let rejoin = Rejoin::default();
        assert!(!rejoin.take(0));
        rejoin.ask(1);
        assert!(!rejoin.take(0) && rejoin.take(1) && !rejoin.take(1));
    }

    #[test]
    fn a_drain_is_over_between_two_looks() {
        let timeouts = |session_ms, drain_ms| Timeouts {
            message_ms: 1,
            transaction_ms: 2,
            session_ms,
            drain_ms,
        };
        assert_eq!(interval(timeouts(45_000, 20_000)), Duration::from_millis(22_500));
        assert_eq!(interval(timeouts(8_000, 7_000)), Duration::from_millis(8_000));
    }
}
