//! Usual amounts and outliers from the whole history.

use millrace_domain::Transaction;
use millrace_fraud::HabitSettings;

use super::{Purchase, is_near};

/// The purchase as it is remembered, and whether it fires as an outlier; `None` where rounding
/// decides.
pub(crate) fn judge(
    transaction: &Transaction,
    earlier: &[Purchase],
    settings: &HabitSettings,
    max_z_score: Option<f64>,
) -> Option<(Purchase, bool)> {
    let code = *transaction.currency.as_bytes();
    let habits = habits(code, earlier);
    let since = habits
        .iter()
        .find(|(currency, _)| *currency == code)
        .map_or(earlier.len(), |habit| habit.1);
    let own: Vec<_> = earlier[since..]
        .iter()
        .filter(|purchase| *purchase.transaction.currency.as_bytes() == code)
        .collect();
    let log = (transaction.amount.units() as f64).ln();
    let mut purchase = Purchase {
        transaction: *transaction,
        ratio: 0.0,
        learnt: log,
        weight: settings.smoothing.max(1.0 / (own.len() as f64 + 1.0)),
        // Where nobody can say, it is as it was.
        is_outlier: own.last().is_some_and(|last| last.is_outlier),
        is_kept: false,
        is_placed: false,
        habits_before: habits,
    };
    if own.len() < settings.min_transactions as usize {
        return Some((purchase, false));
    }
    let (mean, variance) = weighted(&own);
    let deviation = variance.sqrt().max(settings.min_deviation);
    let z_score = (log - mean) / deviation;
    purchase.ratio = (log - mean).exp();
    let Some(max_z_score) = max_z_score else {
        return Some((purchase, false));
    };
    if is_near(z_score, max_z_score) {
        return None;
    }
    purchase.is_outlier = z_score > max_z_score;
    purchase.learnt = mean + z_score.clamp(-max_z_score, max_z_score) * deviation;
    let is_first = own.last().is_none_or(|last| !last.is_outlier);
    let fires = purchase.is_outlier && is_first;
    Some((purchase, fires))
}

/// Which currencies have a habit as a purchase in `code` comes, that included, and which purchase
/// began each.
fn habits(code: [u8; 3], earlier: &[Purchase]) -> Vec<([u8; 3], usize)> {
    let Some(last) = earlier.last() else {
        return vec![(code, 0)];
    };
    let mut habits = last.habits_before.clone();
    if habits.iter().any(|(currency, _)| *currency == code) {
        return habits;
    }
    if habits.len() < 3 {
        habits.push((code, earlier.len()));
        return habits;
    }
    let count = |(currency, since): &([u8; 3], usize)| {
        let own = |purchase: &&Purchase| purchase.transaction.currency.as_bytes() == currency;
        earlier[*since..].iter().filter(own).count()
    };
    // The last of those with the fewest gives way.
    let place = (0..habits.len())
        .rev()
        .min_by_key(|&place| count(&habits[place]))
        .unwrap_or(0);
    habits[place] = (code, earlier.len());
    habits
}

/// Mean and variance in two passes, each purchase with its weight times what all later ones left of
/// it.
fn weighted(own: &[&Purchase]) -> (f64, f64) {
    let mut weights: Vec<f64> = Vec::new();
    for weight in own.iter().map(|purchase| purchase.weight) {
        weights.iter_mut().for_each(|earlier| *earlier *= 1.0 - weight);
        weights.push(weight);
    }
    let weighted = || weights.iter().zip(own);
    let mean: f64 = weighted()
        .map(|(weight, purchase)| weight * purchase.learnt)
        .sum();
    let variance = weighted()
        .map(|(weight, purchase)| weight * (purchase.learnt - mean).powi(2))
        .sum();
    (mean, variance)
}
