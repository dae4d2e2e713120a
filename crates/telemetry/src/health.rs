//! Whether a service is alive and ready, part by part.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

/// How a part of a service is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// It does its work.
    Ready,
    /// It cannot work for now.
    NotReady {
        /// Why.
        reason: String,
    },
    /// It cannot work any more: the process must be started anew.
    Failed {
        /// Why.
        reason: String,
    },
}

/// The health of a service, shared by its parts.
#[derive(Debug, Clone)]
pub struct Health {
    service: &'static str,
    components: Arc<Mutex<BTreeMap<&'static str, State>>>,
}

/// One part of a service, such as `kafka`; it says how it is.
#[derive(Debug, Clone)]
pub struct Component {
    name: &'static str,
    health: Health,
}

/// What `/health/ready` and `/health/live` answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The service.
    pub service: &'static str,
    /// Whether no part has failed for good.
    pub live: bool,
    /// Whether there are parts and all of them are ready.
    pub ready: bool,
    /// Every part by name.
    pub components: BTreeMap<&'static str, State>,
}

impl Health {
    /// The health of `service`, such as `elastic-sink`. It is alive, and not ready before its first
    /// part is.
    #[must_use]
    pub fn new(service: &'static str) -> Self {
        Self {
            service,
            components: Arc::default(),
        }
    }

    /// The service's name.
    #[must_use]
    pub fn service(&self) -> &'static str {
        self.service
    }

    /// A part that the service needs to be ready. It is not ready, for the reason `starting`, until
    /// it says otherwise. Asked for again, it is the same part, as it is.
    #[must_use]
    pub fn component(&self, name: &'static str) -> Component {
        self.with(|components| {
            components.entry(name).or_insert_with(|| State::NotReady {
                reason: "starting".to_owned(),
            });
        });
        Component {
            name,
            health: self.clone(),
        }
    }

    /// How every part is.
    #[must_use]
    pub fn report(&self) -> Report {
        let components = self.with(|components| components.clone());
        let failed = |state: &State| matches!(state, State::Failed { .. });
        Report {
            service: self.service,
            live: !components.values().any(failed),
            ready: !components.is_empty() && components.values().all(|state| *state == State::Ready),
            components,
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<&'static str, State>) -> T) -> T {
        // A panic elsewhere leaves every state whole.
        work(&mut self.components.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Component {
    /// It does its work.
    pub fn ready(&self) {
        self.set(State::Ready);
    }

    /// It cannot work for now: `/health/ready` says why.
    pub fn not_ready(&self, reason: impl Into<String>) {
        self.set(State::NotReady {
            reason: reason.into(),
        });
    }

    /// It cannot work any more: `/health/live` says why, and whoever runs the service starts it
    /// anew.
    pub fn failed(&self, reason: impl Into<String>) {
        self.set(State::Failed {
            reason: reason.into(),
        });
    }

    fn set(&self, state: State) {
        let changed = self.health.with(|components| {
            let changed = components.get(self.name) != Some(&state);
            components.insert(self.name, state.clone());
            changed
        });
        if !changed {
            return;
        }
        match state {
            State::Ready => tracing::info!(component = self.name, "ready"),
            State::NotReady { reason } => tracing::warn!(component = self.name, reason, "not ready"),
            State::Failed { reason } => tracing::error!(component = self.name, reason, "failed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_without_parts_is_alive_and_not_ready() {
        let report = Health::new("x").report();
        assert!(report.live && !report.ready);
    }

    #[test]
    fn every_part_must_be_ready() {
        let health = Health::new("x");
        let (kafka, registry) = (health.component("kafka"), health.component("registry"));
        kafka.ready();
        assert!(!health.report().ready);
        registry.ready();
        assert!(health.report().ready);
        kafka.not_ready("no broker answers");
        let report = health.report();
        assert!(report.live && !report.ready);
        assert_eq!(
            report.components["kafka"],
            State::NotReady {
                reason: "no broker answers".to_owned()
            }
        );
    }

    #[test]
    fn a_failed_part_is_the_end() {
        let health = Health::new("x");
        health.component("worker").failed("fenced");
        assert!(!health.report().live);
    }

    #[test]
    fn a_part_asked_for_again_is_as_it_was() {
        let health = Health::new("x");
        health.component("kafka").ready();
        let _ = health.component("kafka");
        assert!(health.report().ready);
    }
}
