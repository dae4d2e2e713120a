//! Whether Elasticsearch can be reached, as the readiness of the service tells it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use millrace_telemetry::Component;
use reqwest::Method;

use crate::client::{Elasticsearch, explain};

/// Time between two calls that ask whether the server is there.
const PROBE_INTERVAL: Duration = Duration::from_secs(2);

/// What is known of the server, from calls made to ask and from the writes themselves.
#[derive(Debug, Clone)]
pub struct Reachability(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    component: Component,
    known: Mutex<Known>,
}

/// Three sources, each with its last reason against the server: a server that answers may still
/// refuse every write, and one that takes most documents those of one index.
#[derive(Debug)]
struct Known {
    probe: Option<String>,
    writes: Option<String>,
    blocked: Option<String>,
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
            }),
        }))
    }

    /// What the last writes met: `None` where they succeed.
    pub fn writes(&self, reason: Option<String>) {
        self.with(|known| known.writes = reason);
    }

    /// What the last question met: `None` where the server answered.
    pub fn probe(&self, reason: Option<String>) {
        self.with(|known| known.probe = reason);
    }

    /// Which indices take no documents: `None` where all do.
    pub fn blocked(&self, reason: Option<String>) {
        self.with(|known| known.blocked = reason);
    }

    fn with(&self, change: impl FnOnce(&mut Known)) {
        let mut known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut known);
        let reasons = [&known.probe, &known.writes, &known.blocked];
        match reasons.into_iter().flatten().next() {
            None => self.0.component.ready(),
            Some(reason) => self.0.component.not_ready(reason.clone()),
        }
    }

    /// Asks the server now and again, for ever.
    pub async fn watch(self, client: Elasticsearch) {
        loop {
            let reason = match client.request(Method::HEAD, &[]).send().await {
                Ok(answer) if answer.status().is_success() => None,
                Ok(answer) => Some(format!("Elasticsearch answers with status {}", answer.status())),
                Err(error) => Some(format!("Elasticsearch does not answer: {}", explain(&error))),
            };
            self.probe(reason);
            tokio::time::sleep(PROBE_INTERVAL).await;
        }
    }
}
