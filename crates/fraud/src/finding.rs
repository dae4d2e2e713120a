//! What a rule found, and what becomes of it.

use millrace_domain::{Anomaly, EntityType, Evidence, Severity, ShortId, TransactionId};

/// Most transactions in the evidence of an anomaly.
pub(crate) const MAX_EVIDENCE: usize = 20;

/// What a rule found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Finding {
    /// The rule's standard name.
    pub(crate) rule: &'static str,
    /// From 0 to 1: how far past the threshold.
    pub(crate) score: f64,
    /// The first is part of the anomaly's identity, the last is the one that fired; at most
    /// [`MAX_EVIDENCE`].
    pub(crate) transaction_ids: Vec<TransactionId>,
    /// Name, with the unit last, and value; in any order.
    pub(crate) figures: Vec<(&'static str, f64)>,
}

impl Finding {
    /// The anomaly about `user`, as a transaction at `event_time_ms` fired it.
    pub(crate) fn into_anomaly(mut self, user: ShortId, event_time_ms: i64) -> Option<Anomaly> {
        let first = self.transaction_ids.first()?;
        self.figures.sort_unstable_by_key(|&(name, _)| name);
        Some(Anomaly {
            id: Anomaly::id_of(self.rule, &user, first),
            rule: self.rule.into(),
            entity_type: EntityType::User,
            entity: user,
            severity: severity(self.score),
            score: self.score,
            evidence: Evidence {
                transaction_ids: self.transaction_ids,
                figures: self
                    .figures
                    .into_iter()
                    .map(|(name, value)| (name.into(), value))
                    .collect(),
            },
            event_time_ms,
            origin: None,
        })
    }
}

/// The score of a figure that is `ratio` times its threshold: 0 at the threshold, 0.5 at twice,
/// 0.75 at four times that, towards 1.
pub(crate) fn score(ratio: f64) -> f64 {
    (1.0 - 1.0 / ratio.max(1.0)).clamp(0.0, 1.0)
}

/// Low below 0.25, medium below 0.5, high below 0.75, critical from there on: by a figure's ratio
/// to its threshold, that is 4/3, 2 and 4.
fn severity(score: f64) -> Severity {
    match score {
        score if score < 0.25 => Severity::Low,
        score if score < 0.5 => Severity::Medium,
        score if score < 0.75 => Severity::High,
        _ => Severity::Critical,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_and_severities_rise_with_the_ratio() {
        let at = |ratio| (score(ratio), severity(score(ratio)));
        assert_eq!(at(0.5), (0.0, Severity::Low));
        assert_eq!(at(1.0), (0.0, Severity::Low));
        assert_eq!(at(1.5).1, Severity::Medium);
        assert_eq!(at(2.0), (0.5, Severity::High));
        assert_eq!(at(4.0), (0.75, Severity::Critical));
        assert_eq!(at(f64::INFINITY), (1.0, Severity::Critical));
    }
}
