//! The fraud rules. Their ranges are the operator's own, so that no setting that is taken here
//! fails there.

use millrace_fraud::ranges;

use super::Check;
use crate::sections::Rules;

pub(super) fn check(check: &mut Check, rules: &Rules) {
    let velocity = &rules.velocity;
    check.detector(&ranges::VELOCITY_SPAN_MS, velocity.span_ms);
    check.detector(&ranges::VELOCITY_MAX_COUNT, velocity.max_count);
    check.detector(&ranges::VELOCITY_MAX_SUM_RATIO, velocity.max_sum_ratio);
    let outlier = &rules.amount_outlier;
    check.detector(&ranges::SMOOTHING, outlier.smoothing);
    check.detector(&ranges::MIN_TRANSACTIONS, outlier.min_transactions);
    check.detector(&ranges::MAX_Z_SCORE, outlier.max_z_score);
    check.detector(&ranges::MIN_DEVIATION, outlier.min_deviation);
    let travel = &rules.impossible_travel;
    check.detector(&ranges::MAX_SPEED_KM_PER_H, travel.max_speed_km_per_h);
    check.detector(&ranges::MIN_DISTANCE_KM, travel.min_distance_km);
}
