//! The rules once more, from their descriptions alone: slow, with the whole history, and nothing incremental.

mod amounts;
mod velocity;

use std::collections::HashMap;

use millrace_domain::{PaymentMethod, ShortId, Transaction, TransactionId, TransactionType, city};
use millrace_engine::Disposition;
use millrace_fraud::DetectSettings;

/// What an anomaly must say.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Alert {
    pub(crate) rule: &'static str,
    pub(crate) user: ShortId,
    pub(crate) transaction_ids: Vec<TransactionId>,
    pub(crate) event_time_ms: i64,
}

/// A purchase with what was known of the user when it came.
#[derive(Debug, Clone)]
pub(crate) struct Purchase {
    pub(crate) transaction: Transaction,
    /// Multiple of the usual amount.
    pub(crate) ratio: f64,
    /// The logarithm that was learnt.
    pub(crate) learnt: f64,
    /// Whether it was far above the habit, and whether it fired.
    pub(crate) is_outlier: bool,
    /// The currencies that had a habit before it, each with the first of its purchases that count.
    pub(crate) habits_before: Vec<([u8; 3], usize)>,
}

#[derive(Debug, Default)]
struct User {
    newest_ms: i64,
    purchases: Vec<Purchase>,
    velocity_fired_ms: Option<i64>,
    quiet_until_ms: Option<i64>,
}

/// Everything that ever came.
pub(crate) struct Oracle {
    settings: DetectSettings,
    max_event_time_ms: Option<i64>,
    /// The first payload of each id, and the end of the quarter of the horizon that its event time is in.
    seen: HashMap<TransactionId, (Transaction, i64)>,
    replayed: Vec<TransactionId>,
    users: HashMap<ShortId, User>,
}

/// So near to a threshold that rounding decides.
pub(crate) fn is_near(value: f64, threshold: f64) -> bool {
    (value - threshold).abs() < 1e-3 * threshold.max(1.0)
}

impl Oracle {
    pub(crate) fn new(settings: &DetectSettings) -> Self {
        Self {
            settings: settings.clone(),
            max_event_time_ms: None,
            seen: HashMap::new(),
            replayed: Vec::new(),
            users: HashMap::new(),
        }
    }

    fn watermark_less(&self, time_ms: i64) -> Option<i64> {
        Some(self.max_event_time_ms? - self.settings.max_disorder_ms - time_ms)
    }

    /// `None` where a figure is within a hair of its threshold.
    pub(crate) fn process(&mut self, transaction: &Transaction) -> Option<(Disposition, Vec<Alert>)> {
        let time_ms = transaction.transaction_time_ms;
        let oldest_ms = self.watermark_less(self.settings.dedup_horizon_ms);
        self.seen.retain(|_, (_, end_ms)| Some(*end_ms) > oldest_ms);
        if let Some((first, _)) = self.seen.get(&transaction.transaction_id) {
            let is_new = first != transaction && !self.replayed.contains(&transaction.transaction_id);
            if first != transaction {
                self.replayed.push(transaction.transaction_id);
            }
            let alerts = is_new.then(|| alert("replay", transaction, vec![transaction.transaction_id]));
            return Some((Disposition::Duplicate, alerts.into_iter().collect()));
        }
        let quarter_ms = self.settings.dedup_horizon_ms / 4;
        let end_ms = (time_ms / quarter_ms + 1) * quarter_ms;
        self.seen
            .insert(transaction.transaction_id, (*transaction, end_ms));
        if let Some(oldest_ms) = oldest_ms
            && time_ms < oldest_ms
        {
            return Some((
                Disposition::Late {
                    late_by_ms: oldest_ms - time_ms,
                },
                Vec::new(),
            ));
        }
        self.max_event_time_ms = self.max_event_time_ms.max(Some(time_ms));
        Some((Disposition::Accepted, self.judge(transaction)?))
    }

    fn judge(&mut self, transaction: &Transaction) -> Option<Vec<Alert>> {
        let forgotten_before_ms = self.watermark_less(self.settings.profile_retention_ms);
        let time_ms = transaction.transaction_time_ms;
        let user = self.users.entry(transaction.user_id).or_default();
        if Some(user.newest_ms) < forgotten_before_ms {
            *user = User::default();
        }
        user.newest_ms = user.newest_ms.max(time_ms);
        if transaction.transaction_type == TransactionType::Refund {
            return Some(Vec::new());
        }
        let rules = &self.settings.rules;
        let mut alerts = Vec::new();

        let max_z_score = rules.amount_outlier.map(|rule| rule.max_z_score)?;
        let (purchase, outlier) = amounts::judge(transaction, &user.purchases, &rules.habit, max_z_score)?;
        let ids = velocity::judge(
            &purchase,
            &user.purchases,
            user.newest_ms,
            &mut user.velocity_fired_ms,
            &rules.velocity?,
        )?;
        alerts.extend(ids.map(|ids| alert("velocity", transaction, ids)));
        if outlier {
            alerts.push(alert(
                "amount_outlier",
                transaction,
                vec![transaction.transaction_id],
            ));
        }
        let travel = rules.impossible_travel?;
        let ids = travelled(
            transaction,
            user,
            travel.max_speed_km_per_h,
            travel.min_distance_km,
        );
        alerts.extend(ids.map(|ids| alert("impossible_travel", transaction, ids)));
        user.purchases.push(purchase);
        Some(alerts)
    }
}

fn alert(rule: &'static str, transaction: &Transaction, transaction_ids: Vec<TransactionId>) -> Alert {
    Alert {
        rule,
        user: transaction.user_id,
        transaction_ids,
        event_time_ms: transaction.transaction_time_ms,
    }
}

/// Looks for the last place in all purchases; the streams keep clear of the speed's threshold.
fn travelled(
    transaction: &Transaction,
    user: &mut User,
    max_speed_km_per_h: f64,
    min_distance_km: f64,
) -> Option<Vec<TransactionId>> {
    let is_card = |transaction: &Transaction| transaction.payment_method == PaymentMethod::CreditCard;
    let here = city::find(&transaction.location).filter(|_| is_card(transaction))?;
    let time_ms = transaction.transaction_time_ms;
    let last = user
        .purchases
        .iter()
        .map(|purchase| &purchase.transaction)
        .filter(|earlier| is_card(earlier) && city::find(&earlier.location).is_some())
        .max_by_key(|earlier| earlier.transaction_time_ms)?;
    let distance_km = city::distance_km(city::find(&last.location)?, here);
    let elapsed_ms = (time_ms - last.transaction_time_ms).abs().max(1_000) as f64;
    let is_too_fast = distance_km / (elapsed_ms / 3_600_000.0) > max_speed_km_per_h;
    let is_quiet = user.quiet_until_ms.is_some_and(|until_ms| time_ms < until_ms);
    if distance_km < min_distance_km || !is_too_fast || is_quiet {
        return None;
    }
    let longest_km = if time_ms >= last.transaction_time_ms {
        distance_km
    } else {
        20_038.0
    };
    let journey_ms = (longest_km * 3_600_000.0 / max_speed_km_per_h).ceil() as i64;
    user.quiet_until_ms = Some(time_ms.max(last.transaction_time_ms) + journey_ms);
    Some(vec![last.transaction_id, transaction.transaction_id])
}
