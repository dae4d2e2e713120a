//! Amount outlier: a purchase far above what the user usually spends in its currency.
//!
//! *Fires* when the logarithm of the amount is more than `max_z_score` standard deviations above
//! the user's mean, once the user has `min_transactions` purchases in that currency. Mean and
//! variance are exponentially weighted and are those of the purchases that came before, in the
//! order of arrival: the event time does not matter. The deviation is at least `min_deviation`, so
//! that somebody who always pays the same may pay a little more.
//!
//! *Armed again* by the next purchase in the currency that does not fire: a run of outliers is one
//! anomaly.
//!
//! *A change* holds from the next purchase on. Habits are learnt whether or not the rule runs.
//! Switched off, it is armed.
//!
//! *Evidence*: the purchase; `amount` and `usual_amount` (the geometric mean) in its currency,
//! `z_score`, `max_z_score`.

use millrace_domain::Transaction;
use millrace_domain::money::UNITS_PER_WHOLE;
use serde::{Deserialize, Serialize};

use super::RuleSettings;
use crate::exact;
use crate::finding::{Finding, score};
use crate::habit::Habit;
use crate::ranges::Range;
use crate::settings::{SettingError, number};

/// The standard name.
pub const NAME: &str = "amount_outlier";

/// Below a millionth nothing would be learnt in a lifetime.
const SMOOTHING: Range<f64> = Range::new("rules.amount_outlier.smoothing", 1e-6, 1.0);
const MIN_TRANSACTIONS: Range<u32> = Range::new("rules.amount_outlier.min_transactions", 1, 10_000);
const MIN_DEVIATION: Range<f64> = Range::new("rules.amount_outlier.min_deviation", 0.001, 100.0);
const MAX_Z_SCORE: Range<f64> = Range::new("rules.amount_outlier.max_z_score", 0.1, 1_000.0);

/// How a user's usual amounts are learnt.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HabitSettings {
    /// Weight of the newest amount; a millionth to 1.
    #[serde(with = "exact")]
    pub smoothing: f64,
    /// Purchases of a user in a currency before their habit in it counts; 1 to 10,000.
    pub min_transactions: u32,
    /// The least standard deviation of a log-amount that is assumed; 0.001 to 100.
    #[serde(with = "exact")]
    pub min_deviation: f64,
}

impl Default for HabitSettings {
    fn default() -> Self {
        AmountOutlierRule::default().habit()
    }
}

impl HabitSettings {
    pub(crate) fn check(&self, refuse: &mut dyn FnMut(SettingError)) {
        SMOOTHING.check(self.smoothing, refuse);
        MIN_TRANSACTIONS.check(self.min_transactions, refuse);
        MIN_DEVIATION.check(self.min_deviation, refuse);
    }

    pub(crate) fn text(&self) -> String {
        format!(
            "smoothing={} min_transactions={} min_deviation={}",
            self.smoothing, self.min_transactions, self.min_deviation
        )
    }

    pub(crate) fn of_text(text: &str) -> Option<Self> {
        Some(Self {
            smoothing: number(text, "smoothing")?,
            min_transactions: number(text, "min_transactions")?,
            min_deviation: number(text, "min_deviation")?,
        })
    }
}

/// What a policy has of the rule.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AmountOutlierSettings {
    /// More standard deviations above the mean than this fire; 0.1 to 1,000.
    #[serde(with = "exact")]
    pub max_z_score: f64,
}

impl Default for AmountOutlierSettings {
    fn default() -> Self {
        AmountOutlierRule::default().all()
    }
}

impl AmountOutlierSettings {
    pub(crate) fn check(&self, refuse: &mut dyn FnMut(SettingError)) {
        MAX_Z_SCORE.check(self.max_z_score, refuse);
    }

    pub(crate) fn text(&self) -> String {
        format!("max_z_score={}", self.max_z_score)
    }

    pub(crate) fn of_text(text: &str) -> Option<Self> {
        Some(Self {
            max_z_score: number(text, "max_z_score")?,
        })
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

impl AmountOutlierRule {
    pub(crate) const fn habit(&self) -> HabitSettings {
        HabitSettings {
            smoothing: self.smoothing,
            min_transactions: self.min_transactions,
            min_deviation: self.min_deviation,
        }
    }

    const fn all(&self) -> AmountOutlierSettings {
        AmountOutlierSettings {
            max_z_score: self.max_z_score,
        }
    }

    pub(crate) fn settings(&self) -> Option<AmountOutlierSettings> {
        self.enabled.then(|| self.all())
    }

    pub(crate) fn check(&self, refuse: &mut dyn FnMut(SettingError)) {
        SMOOTHING.check(self.smoothing, refuse);
        MIN_TRANSACTIONS.check(self.min_transactions, refuse);
        MAX_Z_SCORE.check(self.max_z_score, refuse);
        MIN_DEVIATION.check(self.min_deviation, refuse);
    }
}

#[derive(Debug, Clone)]
pub(crate) struct AmountOutlier {
    pub(crate) settings: AmountOutlierSettings,
    pub(crate) habit: HabitSettings,
}

impl AmountOutlier {
    pub(crate) fn of(settings: AmountOutlierSettings, rules: &RuleSettings) -> Self {
        let habit = rules.habit;
        Self { settings, habit }
    }

    /// Judges a purchase by the habit in its currency, before that has learnt it.
    #[inline]
    pub(crate) fn judge(
        &self,
        purchase: &Transaction,
        log_amount: f64,
        habit: &mut Habit,
    ) -> Option<Finding> {
        if !habit.is_settled(&self.habit) {
            return None;
        }
        let z_score = habit.z_score(log_amount, &self.habit);
        let is_outlier = z_score > self.settings.max_z_score;
        let fires = is_outlier && !habit.has_fired;
        habit.has_fired = is_outlier;
        fires.then(|| self.finding(purchase, z_score, habit))
    }

    #[cold]
    fn finding(&self, purchase: &Transaction, z_score: f64, habit: &Habit) -> Finding {
        Finding {
            rule: NAME,
            score: score(z_score / self.settings.max_z_score),
            transaction_ids: vec![purchase.transaction_id],
            figures: vec![
                ("amount", purchase.amount.to_f64()),
                ("max_z_score", self.settings.max_z_score),
                (
                    "usual_amount",
                    f64::from(habit.mean).exp() / UNITS_PER_WHOLE as f64,
                ),
                ("z_score", z_score),
            ],
        }
    }
}
