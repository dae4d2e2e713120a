//! The fraud rules.

use super::{Check, DAY_MS};
use crate::sections::Rules;

pub(super) fn check(check: &mut Check, rules: &Rules) {
    let of = |name: &str| format!("detector.rules.{name}");
    let velocity = &rules.velocity;
    check.range(&of("velocity.span_ms"), velocity.span_ms, 1_000, DAY_MS);
    check.range(&of("velocity.max_count"), velocity.max_count, 1, 1_000);
    check.range(&of("velocity.max_sum_ratio"), velocity.max_sum_ratio, 1.0, 1e9);
    let outlier = &rules.amount_outlier;
    if outlier.smoothing == 0.0 {
        check.refuse(
            &of("amount_outlier.smoothing"),
            "is 0: must be above 0 and at most 1, or nothing is ever learnt",
        );
    }
    check.share(&of("amount_outlier.smoothing"), outlier.smoothing);
    check.range(
        &of("amount_outlier.min_transactions"),
        outlier.min_transactions,
        1,
        10_000,
    );
    check.range(
        &of("amount_outlier.max_z_score"),
        outlier.max_z_score,
        0.1,
        1_000.0,
    );
    check.range(
        &of("amount_outlier.min_deviation"),
        outlier.min_deviation,
        0.001,
        100.0,
    );
    let travel = &rules.impossible_travel;
    // The Earth's half circumference is 20,038 km.
    check.range(
        &of("impossible_travel.max_speed_km_per_h"),
        travel.max_speed_km_per_h,
        1.0,
        1e6,
    );
    check.range(
        &of("impossible_travel.min_distance_km"),
        travel.min_distance_km,
        0.0,
        20_038.0,
    );
}
