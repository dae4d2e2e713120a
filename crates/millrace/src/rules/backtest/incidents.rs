//! The incidents that each side's alerts become.

use std::collections::BTreeMap;
use std::sync::Arc;

use millrace_domain::Transaction;
use millrace_rules::{Fired, Version};

use crate::detect::{Desk, Ended};

/// Typology and user.
type Key = (String, Box<str>);

/// The incidents of one side, of the shipped typologies.
pub(super) struct Told {
    version: Arc<Version>,
    desk: Desk,
    ended: Ended,
    /// From when to when, in milliseconds of event time.
    spans: BTreeMap<Key, Vec<(i64, i64)>>,
}

impl Told {
    pub(super) fn new(version: &Arc<Version>) -> anyhow::Result<Self> {
        Ok(Self {
            desk: Desk::new(None, version)?,
            version: Arc::clone(version),
            ended: Ended::default(),
            spans: BTreeMap::new(),
        })
    }

    /// Takes what was said of the next transaction.
    pub(super) fn take(&mut self, transaction: &Transaction, fired: &[Fired]) {
        self.desk.take(&self.version, transaction, fired, &mut self.ended);
        self.keep();
    }

    /// There are no more.
    pub(super) fn end(&mut self) {
        self.ended = self.desk.end();
        self.keep();
    }

    fn keep(&mut self) {
        self.ended.campaigns.clear();
        for incident in self.ended.incidents.drain(..) {
            let spans = self.spans.entry((incident.typology, incident.user)).or_default();
            spans.push((incident.first_ms, incident.last_ms));
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.spans.values().map(Vec::len).sum()
    }

    /// How many of these the other side has none for: of the same user and typology, at the same
    /// time.
    pub(super) fn not_in(&self, other: &Self) -> usize {
        let is_there = |key: &Key, (first_ms, last_ms): (i64, i64)| {
            let known = other.spans.get(key).map(Vec::as_slice).unwrap_or_default();
            known
                .iter()
                .any(|&(from_ms, until_ms)| from_ms <= last_ms && first_ms <= until_ms)
        };
        let spans = self.spans.iter();
        spans
            .map(|(key, spans)| spans.iter().filter(|&&span| !is_there(key, span)).count())
            .sum()
    }
}
