//! Changes of the detector's rule set.

/// Whether a change holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleChangeStatus {
    /// From its offset on.
    InForce,
    /// Once a second person has approved it, by a change of its own.
    Proposed,
    /// It says that a proposal is not to hold.
    Rejected,
}

impl RuleChangeStatus {
    /// All, in the order of the schema.
    pub const ALL: [Self; 3] = [Self::InForce, Self::Proposed, Self::Rejected];

    /// As the schema has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InForce => "in_force",
            Self::Proposed => "proposed",
            Self::Rejected => "rejected",
        }
    }
}

/// A file of rules, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleText {
    /// What messages call it.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// A change of the rule set, with all of the rules as they are from then on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleChange {
    /// From 1 on, one after the other.
    pub number: u64,
    /// Whether it holds.
    pub status: RuleChangeStatus,
    /// The command that made it, as `apply`.
    pub action: String,
    /// The number of the change that was in force as it was made; 0 where none was.
    pub base: u64,
    /// The number of the proposal that it approves or rejects.
    pub proposal: Option<u64>,
    /// The hash of what the rules mean.
    pub version: String,
    /// The files of rules.
    pub files: Vec<RuleText>,
    /// Rules whose mode is another than their file says, by name: rule and mode.
    pub modes: Vec<(String, String)>,
    /// Who made it.
    pub author: String,
    /// The second person, where there was one.
    pub approved_by: Option<String>,
    /// Why, in a sentence.
    pub reason: String,
    /// The clock of whoever made it, in milliseconds since 1970.
    pub time_ms: i64,
}

impl RuleChange {
    /// The key of the change with this number.
    #[must_use]
    pub fn key(number: u64) -> String {
        format!("{number:012}")
    }

    /// Whether two persons stand for it.
    #[must_use]
    pub fn has_two_keys(&self) -> bool {
        self.approved_by
            .as_ref()
            .is_some_and(|second| *second != self.author)
    }
}
