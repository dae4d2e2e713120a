//! Velocity from the whole history.

use millrace_domain::TransactionId;
use millrace_fraud::VelocitySettings;

use super::{Purchase, is_near};

/// The evidence, if the purchase fires; `None` where rounding decides.
pub(crate) fn judge(
    purchase: &Purchase,
    earlier: &[Purchase],
    newest_ms: i64,
    fired_ms: &mut Option<i64>,
    settings: &VelocitySettings,
) -> Option<Option<Vec<TransactionId>>> {
    let time_ms = |purchase: &Purchase| purchase.transaction.transaction_time_ms;
    let start_ms = newest_ms - settings.span_ms;
    if time_ms(purchase) <= start_ms {
        return Some(None);
    }
    let mut span: Vec<_> = earlier
        .iter()
        .filter(|earlier| earlier.is_kept && time_ms(earlier) > start_ms)
        .collect();
    let is_over = |span: &[&Purchase]| {
        let sum: f64 = span.iter().map(|purchase| purchase.ratio).sum();
        if is_near(sum, settings.max_sum_ratio) {
            return None;
        }
        let is_too_much = span.len() >= 3 && sum > settings.max_sum_ratio;
        Some(span.len() > settings.max_count as usize || is_too_much)
    };
    if !is_over(&span)? && fired_ms.is_some_and(|fired_ms| start_ms >= fired_ms) {
        *fired_ms = None;
    }
    span.push(purchase);
    span.sort_by_key(|purchase| time_ms(purchase));
    // After a limit was lowered there may be more than one too many.
    span.drain(..span.len().saturating_sub(settings.max_count as usize + 1));
    if fired_ms.is_some() || !is_over(&span)? {
        return Some(None);
    }
    *fired_ms = Some(newest_ms);
    let fired = purchase.transaction.transaction_id;
    let mut ids: Vec<_> = span
        .iter()
        .map(|purchase| purchase.transaction.transaction_id)
        .collect();
    ids.retain(|&id| id != fired);
    ids.push(fired);
    // The first, and as many of the last as there is room for.
    if ids.len() > 20 {
        let rest = ids.split_off(ids.len() - 19);
        ids.truncate(1);
        ids.extend(rest);
    }
    Some(Some(ids))
}
