//! What analysts decide on incidents.

use uuid::Uuid;

/// What an analyst has decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// It is fraud.
    Confirmed,
    /// It is none.
    Dismissed,
}

impl Verdict {
    /// Every value, in the order of the schema's symbols.
    pub const ALL: [Self; 2] = [Self::Confirmed, Self::Dismissed];

    /// The schema's symbol.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
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

/// A verdict on an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertFeedback {
    /// The incident's id; the record's key.
    pub incident: Uuid,
    /// What was decided.
    pub verdict: Verdict,
    /// By whom.
    pub author: String,
    /// Why, in a sentence.
    pub reason: String,
    /// When: the clock of whoever wrote it, in milliseconds since 1970.
    pub time_ms: i64,
}
