//! Incidents: alerts of one kind about one user or merchant, as an analyst works on them.

use uuid::Uuid;

use crate::{EntityType, Severity, TransactionId};

/// Where an incident is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IncidentStatus {
    /// Its score is below the threshold: nobody need look.
    Growing,
    /// Its score has reached the threshold.
    Open,
    /// No alert came for its typology's quiet time.
    Quiet,
    /// An analyst says that it is fraud.
    Confirmed,
    /// An analyst says that it is none.
    Dismissed,
}

impl IncidentStatus {
    /// Every value, in the order of the schema's symbols.
    pub const ALL: [Self; 5] = [
        Self::Growing,
        Self::Open,
        Self::Quiet,
        Self::Confirmed,
        Self::Dismissed,
    ];

    /// The schema's symbol.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Growing => "growing",
            Self::Open => "open",
            Self::Quiet => "quiet",
            Self::Confirmed => "confirmed",
            Self::Dismissed => "dismissed",
        }
    }

    /// Reads the schema's symbol.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|value| value.as_str() == text)
    }
}

/// What a rule has added to an incident.
#[derive(Debug, Clone, PartialEq)]
pub struct IncidentRule {
    /// The rule's name.
    pub rule: String,
    /// Its alerts.
    pub alerts: u64,
    /// The highest score of them, where one had any.
    pub score: Option<f64>,
}

/// An incident as of one revision.
#[derive(Debug, Clone, PartialEq)]
pub struct IncidentRecord {
    /// A function of typology, entity and first transaction; the record's key.
    pub id: Uuid,
    /// From 1 on: of two, the higher is right.
    pub revision: u64,
    /// The typology's name.
    pub typology: String,
    /// The typology's sentence for an analyst.
    pub reason: String,
    /// What `entity` is.
    pub entity_type: EntityType,
    /// The user or merchant.
    pub entity: String,
    /// Where it is in its life.
    pub status: IncidentStatus,
    /// How bad it is.
    pub severity: Severity,
    /// The sum of the weights of the rules that have fired, each once.
    pub score: f64,
    /// The score from which on it is told.
    pub threshold: f64,
    /// The event time of the alert that opened it, in milliseconds since 1970; it stays as it is.
    pub opened_ms: i64,
    /// The least event time of its alerts, in milliseconds since 1970.
    pub first_ms: i64,
    /// The greatest event time of its alerts, in milliseconds since 1970.
    pub last_ms: i64,
    /// How many alerts are in it.
    pub alerts: u64,
    /// How many transactions fired.
    pub transactions: u64,
    /// The first ten of them and the last ten.
    pub transaction_ids: Vec<TransactionId>,
    /// What each rule has added, by name.
    pub rules: Vec<IncidentRule>,
}
