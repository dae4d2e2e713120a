//! The range of every setting, in one place: for the check of the configuration and of the operator
//! alike.

use millrace_engine::policy::DAY_MS;

/// The range of a setting, ends included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range<T> {
    /// The key, below the detector's section.
    pub key: &'static str,
    /// The least that is right.
    pub least: T,
    /// The most that is right.
    pub most: T,
}

impl<T: PartialOrd> Range<T> {
    const fn new(key: &'static str, least: T, most: T) -> Self {
        Self { key, least, most }
    }

    /// Whether a value is right; not-a-number is not.
    pub fn has(&self, value: &T) -> bool {
        (&self.least..=&self.most).contains(&value)
    }
}

/// How far the watermark may stay behind the highest event time.
pub const MAX_DISORDER_MS: Range<i64> = Range::new("event_time.max_disorder_ms", 0, DAY_MS);
/// How long a transaction id is remembered.
pub const DEDUP_HORIZON_MS: Range<i64> = Range::new("dedup_horizon_ms", 1, DAY_MS);
/// How long a user who stays away is remembered.
pub const PROFILE_RETENTION_MS: Range<i64> = Range::new("profile_retention_ms", DAY_MS, 400 * DAY_MS);

/// Velocity's sliding span.
pub const VELOCITY_SPAN_MS: Range<i64> = Range::new("rules.velocity.span_ms", 1_000, DAY_MS);
/// Velocity's count: a user's state may hold one purchase more.
pub const VELOCITY_MAX_COUNT: Range<u32> = Range::new("rules.velocity.max_count", 1, 1_000);
/// Velocity's sum, in usual amounts.
pub const VELOCITY_MAX_SUM_RATIO: Range<f64> = Range::new("rules.velocity.max_sum_ratio", 1.0, 1e9);

/// The weight of the newest amount. Below a millionth nothing would be learnt in a lifetime.
pub const SMOOTHING: Range<f64> = Range::new("rules.amount_outlier.smoothing", 1e-6, 1.0);
/// Purchases of a user before a habit counts.
pub const MIN_TRANSACTIONS: Range<u32> = Range::new("rules.amount_outlier.min_transactions", 1, 10_000);
/// The least deviation that is assumed.
pub const MIN_DEVIATION: Range<f64> = Range::new("rules.amount_outlier.min_deviation", 0.001, 100.0);
/// Standard deviations above the mean that fire.
pub const MAX_Z_SCORE: Range<f64> = Range::new("rules.amount_outlier.max_z_score", 0.1, 1_000.0);

/// The speed that fires.
pub const MAX_SPEED_KM_PER_H: Range<f64> = Range::new("rules.impossible_travel.max_speed_km_per_h", 1.0, 1e6);
/// The distance below which nothing fires: up to half of the Earth's circumference.
pub const MIN_DISTANCE_KM: Range<f64> = Range::new("rules.impossible_travel.min_distance_km", 0.0, 20_038.0);
