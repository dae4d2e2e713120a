//! An operator with what it has raised.

use millrace_domain::{Anomaly, Transaction};
use millrace_engine::{Disposition, HashSeed, Operator as _};
use millrace_fraud::{DetectOperator, DetectSettings};

use super::purchase;

pub(crate) const MINUTE: i64 = 60_000;

pub(crate) struct Detector {
    pub(crate) operator: DetectOperator,
    pub(crate) anomalies: Vec<Anomaly>,
}

impl Detector {
    pub(crate) fn new() -> Self {
        Self::with(&DetectSettings::default())
    }

    pub(crate) fn with(settings: &DetectSettings) -> Self {
        Self {
            operator: DetectOperator::new(settings, HashSeed::FIXED).unwrap(),
            anomalies: Vec::new(),
        }
    }

    pub(crate) fn send(&mut self, transaction: Transaction) -> Disposition {
        self.operator.process(&transaction, &mut self.anomalies)
    }

    /// Twelve purchases of 20 euros, a minute apart, with the numbers from 1,000 on.
    pub(crate) fn settle(&mut self, user: &str, from_ms: i64) {
        for number in 0..12 {
            self.send(purchase(1_000 + number, user, from_ms + number as i64 * MINUTE));
        }
        assert_eq!(self.anomalies, []);
    }

    pub(crate) fn rules(&self) -> Vec<&str> {
        self.anomalies
            .iter()
            .map(|anomaly| anomaly.rule.as_ref())
            .collect()
    }
}
