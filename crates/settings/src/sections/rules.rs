//! The fraud rules: their part is beside them.

pub use millrace_fraud::Rules;
use serde::{Deserialize, Serialize};

/// What the rules of files may cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RuleBudget {
    /// Bytes of a user with ten transactions a day; 0 for any.
    pub bytes: u64,
    /// Nanoseconds of a record; 0 for any.
    pub ns: u64,
}

impl Default for RuleBudget {
    fn default() -> Self {
        Self {
            bytes: 16_384,
            ns: 10_000,
        }
    }
}
