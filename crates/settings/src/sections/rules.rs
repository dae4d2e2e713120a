//! The fraud rules.

use serde::{Deserialize, Serialize};

/// The fraud rules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Files of rules, or directories of them, or what is shipped: `library/velocity.yml`.
    pub files: Vec<String>,
    /// Whether a change of the rules while the detector runs needs a second person.
    pub two_keys: bool,
    /// Too many or too much in a short time.
    pub velocity: VelocityRule,
    /// An amount far from the user's habit.
    pub amount_outlier: AmountOutlierRule,
    /// Two places too far apart for the time between.
    pub impossible_travel: ImpossibleTravelRule,
    /// The same transaction id with another payload.
    pub replay: ReplayRule,
}

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

/// Velocity: count and sum per user over a sliding span of event time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VelocityRule {
    /// Whether the rule runs.
    pub enabled: bool,
    /// The sliding span.
    pub span_ms: i64,
    /// More transactions than this in the span fire.
    pub max_count: u32,
    /// More than this multiple of the user's usual amount, summed over the span, fires.
    pub max_sum_ratio: f64,
}

impl Default for VelocityRule {
    fn default() -> Self {
        Self {
            enabled: true,
            span_ms: 60_000,
            max_count: 10,
            max_sum_ratio: 30.0,
        }
    }
}

/// Amount outlier: the logarithm of the amount against the user's exponentially weighted mean and
/// variance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AmountOutlierRule {
    /// Whether the rule runs.
    pub enabled: bool,
    /// Weight of the newest amount, 0 to 1.
    pub smoothing: f64,
    /// Transactions of a user before the rule judges.
    pub min_transactions: u32,
    /// Standard deviations above the mean that fire.
    pub max_z_score: f64,
    /// The least standard deviation of a log-amount that is assumed, so that a regular user's small
    /// change does not fire.
    pub min_deviation: f64,
}

impl Default for AmountOutlierRule {
    fn default() -> Self {
        Self {
            enabled: true,
            smoothing: 0.1,
            min_transactions: 10,
            max_z_score: 4.5,
            min_deviation: 0.3,
        }
    }
}

/// Impossible travel: the great-circle speed between two card-present places.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImpossibleTravelRule {
    /// Whether the rule runs.
    pub enabled: bool,
    /// A higher speed fires; 1,000 km/h is faster than an airliner.
    pub max_speed_km_per_h: f64,
    /// Distances below this never fire.
    pub min_distance_km: f64,
}

impl Default for ImpossibleTravelRule {
    fn default() -> Self {
        Self {
            enabled: true,
            max_speed_km_per_h: 1_000.0,
            min_distance_km: 300.0,
        }
    }
}

/// Replay: a known transaction id with a changed payload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReplayRule {
    /// Whether the rule runs.
    pub enabled: bool,
}

impl Default for ReplayRule {
    fn default() -> Self {
        Self { enabled: true }
    }
}
