//! Fraud alerts.

use std::borrow::Cow;
use std::sync::Arc;

use uuid::Uuid;

use crate::{ShortId, TransactionId};

/// What kind of thing an anomaly is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntityType {
    /// A paying user.
    User,
    /// A merchant.
    Merchant,
}

impl EntityType {
    /// Every value, in the order of the schema's symbols.
    pub const ALL: [Self; 2] = [Self::User, Self::Merchant];

    /// The schema's symbol.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Merchant => "merchant",
        }
    }

    /// Reads the schema's symbol.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|value| value.as_str() == text)
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth a look in a report.
    Low,
    /// Worth a look today.
    Medium,
    /// Worth a call.
    High,
    /// Worth stopping the account.
    Critical,
}

impl Severity {
    /// Every value, in the order of the schema's symbols.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The schema's symbol.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// Reads the schema's symbol.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|value| value.as_str() == text)
    }
}

/// Why an anomaly was raised.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Evidence {
    /// The transactions; the first is part of the anomaly's identity, the last is the one that
    /// fired.
    pub transaction_ids: Vec<TransactionId>,
    /// The figures that fired, by name with the unit last, sorted by name.
    pub figures: Vec<(Cow<'static, str>, f64)>,
}

/// Which rule of which rule set raised an anomaly, and why in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleOrigin {
    /// The hash of what the rule set means.
    pub rule_set_version: String,
    /// The hash of what the rule means.
    pub revision: String,
    /// Its sentence for an analyst.
    pub reason: String,
    /// Why, for programs.
    pub reason_codes: Vec<String>,
}

/// A fraud alert as a rule raises it. The time of detection is no part of it, as rules read no
/// clock: whoever writes the alert stamps it.
#[derive(Debug, Clone, PartialEq)]
pub struct Anomaly {
    /// See [`Anomaly::id_of`].
    pub id: Uuid,
    /// The standard name of the rule, as `velocity`, or its name in the rule set.
    pub rule: Cow<'static, str>,
    /// What `entity` is.
    pub entity_type: EntityType,
    /// The user or merchant; the record's key.
    pub entity: ShortId,
    /// How bad it is.
    pub severity: Severity,
    /// From 0 to 1: how far past the rule's threshold; of a rule of a rule set its own score, 1
    /// where it has none or it is unknown.
    pub score: f64,
    /// Why.
    pub evidence: Evidence,
    /// Event time of the transaction that fired, in milliseconds since 1970.
    pub event_time_ms: i64,
    /// Which rule of which rule set it was; `None` of a built-in rule.
    pub origin: Option<Arc<RuleOrigin>>,
}

/// Namespace of anomaly ids (a version 4 UUID drawn once for this project).
const NAMESPACE: Uuid = Uuid::from_u128(0x5b0c_9d0e_7a43_4f0b_9a5e_2f1d_6c88_40e7);

impl Anomaly {
    /// The id as a function of rule, entity and first transaction (a version 5 UUID, RFC 9562
    /// §5.5): a retry or a replay can never raise the same anomaly under another id.
    #[must_use]
    pub fn id_of(rule: &str, entity: &ShortId, first: &TransactionId) -> Uuid {
        let mut name = Vec::with_capacity(rule.len() + 30);
        name.extend_from_slice(rule.as_bytes());
        name.push(0);
        name.extend_from_slice(entity.text().as_bytes());
        name.push(0);
        name.extend_from_slice(first.as_bytes());
        Uuid::new_v5(&NAMESPACE, &name)
    }
}
