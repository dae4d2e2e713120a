//! The marks that a worker leaves as it gives partitions up in good order.

use std::time::Instant;

use millrace_kafka::clock::now_ms;

use super::core::Core;
use super::partitions::Partition;
use crate::Job;
use crate::snapshot_store::Mark;

impl<J: Job> Core<J> {
    /// Marks the last commits of partitions that go, until `deadline`: exact proofs, should the
    /// group's offsets get lost. One that cannot be set is missed only then.
    pub(super) fn set_marks(&self, numbers: &[i32], deadline: Instant) {
        let Some(store) = &self.store else { return };
        for partition in self
            .partitions
            .iter()
            .filter(|partition| numbers.contains(&partition.number()))
        {
            let Some(active) = partition.active().filter(|active| active.is_snapshot()) else {
                continue;
            };
            if Instant::now() >= deadline {
                tracing::warn!(
                    numbers = ?numbers,
                    "the last commits were not marked in time: snapshots alone prove them"
                );
                return;
            }
            let mark = Mark {
                offset: active.next(),
                at_ms: now_ms(),
                identity: self.identity.clone(),
            };
            if let Err(error) = store.set_mark(partition.number(), &mark) {
                tracing::warn!(partition = partition.number(), %error, "the last commit could not be marked");
            }
        }
    }

    /// Marks the last commits of every partition.
    pub(super) fn set_all_marks(&self, deadline: Instant) {
        let numbers: Vec<i32> = self.partitions.iter().map(Partition::number).collect();
        self.set_marks(&numbers, deadline);
    }
}
