//! The policy of a job whose verdicts come while it runs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use millrace_incidents::{IncidentPolicy, Verdict};

/// The policy as it is by now: that of the settings, with the newest verdicts of the topic. The
/// jobs of a process share it.
#[derive(Debug)]
pub struct LivePolicy {
    policy: RwLock<IncidentPolicy>,
    changes: AtomicU64,
}

impl LivePolicy {
    /// With this policy to begin with.
    #[must_use]
    pub fn new(policy: IncidentPolicy) -> Self {
        Self {
            policy: RwLock::new(policy),
            changes: AtomicU64::new(0),
        }
    }

    /// The policy as it is by now.
    #[must_use]
    pub fn policy(&self) -> IncidentPolicy {
        self.policy.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often it has changed.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Goes on with these verdicts.
    pub fn set_verdicts(&self, verdicts: BTreeMap<String, Verdict>) {
        let mut policy = self.policy.write().unwrap_or_else(PoisonError::into_inner);
        let next = policy.clone().with_verdicts(verdicts);
        // A verdict that is there once more is no change: nothing has to be recorded.
        if *policy != next {
            *policy = next;
            self.changes.fetch_add(1, Ordering::Release);
        }
    }
}
