//! The rules once more, from their descriptions alone: slow, with the whole history, and nothing
//! incremental.

mod amounts;
mod policy;
mod velocity;

use std::collections::HashMap;

use millrace_domain::{PaymentMethod, ShortId, Transaction, TransactionId, TransactionType, city};
use millrace_engine::Disposition;
use millrace_fraud::DetectSettings;

/// What an anomaly must say.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Alert {
    pub(crate) rule: std::borrow::Cow<'static, str>,
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
    /// The weight that it was learnt with.
    pub(crate) weight: f64,
    /// Whether it was far above the habit, or nobody could say and one before was.
    pub(crate) is_outlier: bool,
    /// Whether velocity keeps it.
    pub(crate) is_kept: bool,
    /// Whether impossible travel may have its place.
    pub(crate) is_placed: bool,
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
    watermark_ms: Option<i64>,
    /// The first payload of each id, and the end of the span that its event time is in.
    seen: HashMap<TransactionId, (Transaction, i64)>,
    /// Ids that changed, and the end of the span that the highest event time was in.
    replayed: HashMap<TransactionId, i64>,
    /// The length of spans, and from which event time on.
    cuts: Vec<(i64, i64)>,
    /// What ends at or before this is forgotten for good.
    gone_ms: i64,
    /// Ids of event times before this are not all known.
    known_from_ms: i64,
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
            watermark_ms: None,
            seen: HashMap::new(),
            replayed: HashMap::new(),
            cuts: vec![(i64::MIN, policy::span_ms(settings))],
            gone_ms: i64::MIN,
            known_from_ms: i64::MIN,
            users: HashMap::new(),
        }
    }

    fn watermark_less(&self, time_ms: i64) -> Option<i64> {
        Some(self.watermark_ms? - time_ms)
    }

    fn forget_ids(&mut self) {
        let oldest_ms = self.watermark_less(self.settings.dedup_horizon_ms);
        self.seen.retain(|_, (_, end_ms)| Some(*end_ms) > oldest_ms);
        self.replayed.retain(|_, end_ms| Some(*end_ms) > oldest_ms);
    }

    pub(crate) fn advance(&mut self, watermark_ms: i64) {
        self.watermark_ms = self.watermark_ms.max(Some(watermark_ms));
        self.forget_ids();
    }

    /// `None` where a figure is within a hair of its threshold.
    pub(crate) fn process(&mut self, transaction: &Transaction) -> Option<(Disposition, Vec<Alert>)> {
        let time_ms = transaction.transaction_time_ms;
        let id = transaction.transaction_id;
        if let Some((first, _)) = self.seen.get(&id) {
            let has_changed = first != transaction;
            let is_new = has_changed && !self.replayed.contains_key(&id) && self.settings.rules.replay;
            if has_changed {
                let end_ms = self.end_of_span(time_ms.max(self.max_event_time_ms.unwrap_or(time_ms)));
                self.replayed.entry(id).or_insert(end_ms);
            }
            let alerts = is_new.then(|| alert("replay", transaction, vec![transaction.transaction_id]));
            return Some((Disposition::Duplicate, alerts.into_iter().collect()));
        }
        let oldest_ms = self.watermark_less(self.settings.dedup_horizon_ms);
        let end_ms = self.end_of_span(time_ms);
        if end_ms > self.gone_ms && Some(end_ms) > oldest_ms {
            self.seen.insert(id, (*transaction, end_ms));
        }
        if let Some(oldest_ms) = oldest_ms.map(|oldest_ms| oldest_ms.max(self.known_from_ms))
            && time_ms < oldest_ms
        {
            return Some((
                Disposition::Late {
                    late_by_ms: oldest_ms - time_ms,
                },
                Vec::new(),
            ));
        }
        if self.max_event_time_ms < Some(time_ms) {
            self.max_event_time_ms = Some(time_ms);
            self.advance(time_ms - self.settings.max_disorder_ms);
        }
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

        let max_z_score = rules.amount_outlier.map(|rule| rule.max_z_score);
        let (mut purchase, outlier) =
            amounts::judge(transaction, &user.purchases, &rules.habit, max_z_score)?;
        if let Some(velocity) = &rules.velocity {
            let ids = velocity::judge(
                &purchase,
                &user.purchases,
                user.newest_ms,
                &mut user.velocity_fired_ms,
                velocity,
            )?;
            alerts.extend(ids.map(|ids| alert("velocity", transaction, ids)));
            purchase.is_kept = time_ms > user.newest_ms - velocity.span_ms;
        }
        if outlier {
            alerts.push(alert(
                "amount_outlier",
                transaction,
                vec![transaction.transaction_id],
            ));
        }
        if let Some(travel) = rules.impossible_travel {
            let (speed, distance) = (travel.max_speed_km_per_h, travel.min_distance_km);
            let ids = travelled(transaction, user, speed, distance);
            alerts.extend(ids.map(|ids| alert("impossible_travel", transaction, ids)));
            purchase.is_placed = is_placed(transaction);
        }
        user.purchases.push(purchase);
        if let Some(velocity) = &rules.velocity {
            user.keep_last(velocity.max_count);
        }
        Some(alerts)
    }
}

fn alert(rule: &'static str, transaction: &Transaction, transaction_ids: Vec<TransactionId>) -> Alert {
    Alert {
        rule: rule.into(),
        user: transaction.user_id,
        transaction_ids,
        event_time_ms: transaction.transaction_time_ms,
    }
}

impl User {
    /// The purchase that tells where the user was last.
    fn last_place(&self) -> Option<&Transaction> {
        let placed = self.purchases.iter().filter(|purchase| purchase.is_placed);
        placed
            .map(|purchase| &purchase.transaction)
            .max_by_key(|earlier| earlier.transaction_time_ms)
    }

    /// Velocity keeps one purchase more than its limit, the last ones.
    fn keep_last(&mut self, max_count: u32) {
        let mut kept: Vec<_> = self
            .purchases
            .iter_mut()
            .filter(|purchase| purchase.is_kept)
            .collect();
        kept.sort_by_key(|purchase| purchase.transaction.transaction_time_ms);
        let dropped = kept.len().saturating_sub(max_count as usize + 1);
        kept[..dropped]
            .iter_mut()
            .for_each(|purchase| purchase.is_kept = false);
    }
}

fn is_placed(transaction: &Transaction) -> bool {
    transaction.payment_method == PaymentMethod::CreditCard && city::find(&transaction.location).is_some()
}

/// Looks for the last place in all purchases; the streams keep clear of the speed's threshold.
fn travelled(
    transaction: &Transaction,
    user: &mut User,
    max_speed_km_per_h: f64,
    min_distance_km: f64,
) -> Option<Vec<TransactionId>> {
    let here = city::find(&transaction.location).filter(|_| is_placed(transaction))?;
    let time_ms = transaction.transaction_time_ms;
    let last = *user.last_place()?;
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
