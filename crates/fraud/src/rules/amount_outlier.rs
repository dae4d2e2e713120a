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

use crate::finding::{Finding, score};
use crate::habit::Habit;
use crate::settings::{AmountOutlierSettings, HabitSettings};

/// The standard name.
pub const NAME: &str = "amount_outlier";

#[derive(Debug, Clone)]
pub(crate) struct AmountOutlier {
    pub(crate) settings: AmountOutlierSettings,
    pub(crate) habit: HabitSettings,
}

impl AmountOutlier {
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
