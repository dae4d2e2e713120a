//! A user's usual amounts, for each currency by itself.
//!
//! Amounts of different currencies are never compared or added: a yen is no dollar, and rates of
//! exchange are no part of the stream. So a user has a habit for each of up to three currencies. A
//! purchase in a fourth takes the place of the currency with the fewest purchases (the newest of
//! these where there are several), so that a user's dominant currencies stay whatever else comes
//! once.
//!
//! What is learnt is the natural logarithm of the amount, as amounts spread about log-normally, by
//! the exponentially weighted mean and variance of T. Finch, "Incremental calculation of weighted
//! mean and variance" (2009), section 9. The weight of the n-th purchase is the greater of
//! `smoothing` and 1/n: so the first few count alike, in place of the very first one for most of
//! it.

use millrace_domain::Currency;

use crate::rules::amount_outlier::HabitSettings;

/// Currencies of a user that are kept apart.
pub(crate) const CURRENCIES: usize = 3;

/// A user's usual amounts in one currency. The state is stored in single precision: a ten-millionth
/// of a logarithm is nothing, and profiles stay small.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C, packed(2))]
pub(crate) struct Habit {
    /// Of the logarithm of the amount in units of 1/10,000.
    pub(crate) mean: f32,
    /// Of the same logarithm.
    pub(crate) variance: f32,
    /// Purchases learnt; stays at the most that fits.
    pub(crate) count: u16,
    /// NUL where the place is free.
    pub(crate) currency: [u8; 3],
    /// Whether the amount-outlier rule has fired and is not armed again.
    pub(crate) has_fired: bool,
}

impl Habit {
    pub(crate) const NONE: Self = Self {
        mean: 0.0,
        variance: 0.0,
        count: 0,
        currency: [0; 3],
        has_fired: false,
    };

    /// Whether enough purchases were learnt to judge by.
    #[inline]
    pub(crate) fn is_settled(&self, settings: &HabitSettings) -> bool {
        u32::from(self.count) >= settings.min_transactions
    }

    /// The standard deviation of the logarithm, or the least that is assumed.
    #[inline]
    pub(crate) fn deviation(&self, settings: &HabitSettings) -> f64 {
        f64::from(self.variance).sqrt().max(settings.min_deviation)
    }

    /// Standard deviations of `log_amount` above the mean.
    #[inline]
    pub(crate) fn z_score(&self, log_amount: f64, settings: &HabitSettings) -> f64 {
        (log_amount - f64::from(self.mean)) / self.deviation(settings)
    }

    /// Learns an amount. A settled habit takes one beyond `max_z_score` deviations, in either
    /// direction, as if it were at that limit: a single fraud then hardly shifts or widens the
    /// habit, and a lasting change is learnt all the same.
    #[inline]
    pub(crate) fn learn(&mut self, log_amount: f64, max_z_score: f64, settings: &HabitSettings) {
        let mean = f64::from(self.mean);
        let mut difference = log_amount - mean;
        if self.is_settled(settings) {
            let limit = max_z_score * self.deviation(settings);
            difference = difference.clamp(-limit, limit);
        }
        self.count = self.count.saturating_add(1);
        let weight = settings.smoothing.max(1.0 / f64::from(self.count));
        let increment = weight * difference;
        self.mean = (mean + increment) as f32;
        self.variance = ((1.0 - weight) * (f64::from(self.variance) + difference * increment)) as f32;
    }
}

/// A user's habits, from the first currency on, without gaps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Habits([Habit; CURRENCIES]);

impl Habits {
    pub(crate) const NONE: Self = Self([Habit::NONE; CURRENCIES]);

    /// The habit in a currency, a new one if there is none yet.
    #[inline]
    pub(crate) fn of(&mut self, currency: Currency) -> &mut Habit {
        let code = *currency.as_bytes();
        if let Some(at) = self.0.iter().position(|habit| habit.currency == code) {
            return &mut self.0[at];
        }
        // A free place has a count of 0 and no currency; of several with the fewest, the last one
        // gives way, but the first free place is taken, as there are no gaps.
        let mut place = 0;
        for at in 0..CURRENCIES {
            if self.0[at].currency == [0; 3] {
                place = at;
                break;
            }
            if self.0[at].count <= self.0[place].count {
                place = at;
            }
        }
        self.0[place] = Habit {
            currency: code,
            ..Habit::NONE
        };
        &mut self.0[place]
    }

    /// Arms the amount-outlier rule in every currency.
    pub(crate) fn arm(&mut self) {
        self.0.iter_mut().for_each(|habit| habit.has_fired = false);
    }

    /// The habits that there are.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Habit> {
        self.0.iter().filter(|habit| habit.currency != [0; 3])
    }

    /// Reads back [`Habits::iter`].
    pub(crate) fn from_parts(parts: &[Habit]) -> Self {
        let mut habits = Self::NONE;
        for (place, habit) in habits.0.iter_mut().zip(parts) {
            *place = *habit;
        }
        habits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SETTINGS: HabitSettings = HabitSettings {
        smoothing: 0.1,
        min_transactions: 10,
        min_deviation: 0.3,
    };

    fn currency(code: &str) -> Currency {
        Currency::parse(code.as_bytes()).unwrap()
    }

    proptest! {
        /// The oracle weighs every purchase: the n-th with its weight times what all later ones
        /// left of it.
        #[test]
        fn mean_and_variance_are_those_of_the_weighted_history(
            logs in prop::collection::vec(5.0_f64..20.0, 1..80),
            smoothing in 0.01_f64..=1.0,
        ) {
            let settings = HabitSettings { smoothing, ..SETTINGS };
            let mut habit = Habit::NONE;
            let mut weights: Vec<f64> = Vec::new();
            for (at, &log) in logs.iter().enumerate() {
                habit.learn(log, f64::INFINITY, &settings);
                let weight = smoothing.max(1.0 / (at as f64 + 1.0));
                weights.iter_mut().for_each(|old| *old *= 1.0 - weight);
                weights.push(weight);
            }
            let mean: f64 = weights.iter().zip(&logs).map(|(weight, log)| weight * log).sum();
            let variance: f64 = weights.iter().zip(&logs).map(|(weight, log)| weight * (log - mean).powi(2)).sum();
            prop_assert!((f64::from(habit.mean) - mean).abs() < 1e-4, "{} {}", { habit.mean }, mean);
            prop_assert!((f64::from(habit.variance) - variance).abs() < 1e-3, "{} {}", { habit.variance }, variance);
        }
    }

    #[test]
    fn the_dominant_currencies_stay() {
        let mut habits = Habits::NONE;
        for (code, purchases) in [
            ("EUR", 5),
            ("USD", 3),
            ("CHF", 1),
            ("JPY", 1),
            ("GBP", 2),
            ("USD", 1),
        ] {
            for _ in 0..purchases {
                habits.of(currency(code)).learn(10.0, 4.5, &SETTINGS);
            }
        }
        let kept: Vec<_> = habits.iter().map(|habit| (habit.currency, habit.count)).collect();
        assert_eq!(kept, [(*b"EUR", 5), (*b"USD", 4), (*b"GBP", 2)]);
    }

    #[test]
    fn an_extreme_amount_hardly_moves_a_settled_habit() {
        let mut habit = Habit::NONE;
        for _ in 0..20 {
            habit.learn(10.0, 4.5, &SETTINGS);
        }
        for extreme in [30.0, 0.0] {
            let mut after = habit;
            after.learn(extreme, 4.5, &SETTINGS);
            assert!((after.mean - 10.0).abs() < 0.14, "{}", { after.mean });
            assert!(after.deviation(&SETTINGS) < 0.5);
        }
    }
}
