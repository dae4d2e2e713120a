//! Whether the store can be reached, as the readiness of the service tells it.

use std::sync::{Arc, Mutex, PoisonError};

use millrace_telemetry::Component;

/// What is known of the store, from calls made to ask and from the writes themselves.
#[derive(Debug, Clone)]
pub struct Reachability(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    component: Component,
    known: Mutex<Known>,
}

/// Four sources, each with its last reason against the store: one that answers may still refuse
/// every write, one that takes most items those of one target, and one that has taken none yet may
/// be set up so that it will not.
#[derive(Debug)]
struct Known {
    probe: Option<String>,
    writes: Option<String>,
    blocked: Option<String>,
    unfit: Option<String>,
}

impl Reachability {
    /// Not ready before the first answer.
    #[must_use]
    pub fn new(component: Component) -> Self {
        Self(Arc::new(Inner {
            component,
            known: Mutex::new(Known {
                probe: Some("not asked yet".to_owned()),
                writes: None,
                blocked: None,
                unfit: None,
            }),
        }))
    }

    /// What the last writes met: `None` where they succeed.
    pub fn writes(&self, reason: Option<String>) {
        self.with(|known| known.writes = reason);
    }

    /// What the last question met: `None` where the store answered.
    pub fn probe(&self, reason: Option<String>) {
        self.with(|known| known.probe = reason);
    }

    /// Which targets take no items: `None` where all do.
    pub fn blocked(&self, reason: Option<String>) {
        self.with(|known| known.blocked = reason);
    }

    /// What is set up in the store so that it will take no items: `None` where nothing is known.
    pub fn unfit(&self, reason: Option<String>) {
        self.with(|known| known.unfit = reason);
    }

    fn with(&self, change: impl FnOnce(&mut Known)) {
        let mut known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut known);
        let reasons = [&known.probe, &known.writes, &known.blocked, &known.unfit];
        match reasons.into_iter().flatten().next() {
            None => self.0.component.ready(),
            Some(reason) => self.0.component.not_ready(reason.clone()),
        }
    }
}
