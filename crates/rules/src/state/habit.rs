//! What is usual for a user, for each currency by itself: the exponentially weighted mean and
//! variance of T. Finch, "Incremental calculation of weighted mean and variance" (2009), section 9.
//! The weight of the n-th value is the greater of 0.1 and 1/n.
//!
//! It learns as the detector's profiles do (`crates/fraud/src/habit.rs`), so that a rule that is
//! written in this language finds what the detector's rule finds: three currencies, of which the
//! one with the fewest values gives way; and a value far out is learnt as if it were at 4.5
//! deviations, so that one fraud hardly shifts the habit.

use super::{Reader, StateError, Writer};

const CURRENCIES: usize = 3;
const SMOOTHING: f64 = 0.1;
/// Values in a currency before its habit counts.
const LEAST_VALUES: u16 = 10;
/// Deviations beyond which a value is learnt as if it were there.
const LIMIT: f64 = 4.5;

#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Habit {
    currency: u32,
    count: u16,
    mean: f32,
    variance: f32,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Habits([Habit; CURRENCIES]);

/// A habit as it was before a transaction: unknown (NaN) before it is settled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usual {
    pub(crate) mean: f64,
    pub(crate) deviation: f64,
}

impl Habits {
    /// The habit in a currency. `least_deviation` is assumed where it is smaller.
    pub(crate) fn usual(&self, currency: u32, least_deviation: f64) -> Usual {
        let found = self.0.iter().find(|habit| habit.currency == currency);
        match found {
            Some(habit) if habit.count >= LEAST_VALUES => Usual {
                mean: f64::from(habit.mean),
                deviation: f64::from(habit.variance).sqrt().max(least_deviation),
            },
            _ => Usual {
                mean: f64::NAN,
                deviation: f64::NAN,
            },
        }
    }

    pub(crate) fn learn(&mut self, currency: u32, value: f64, least_deviation: f64) {
        let usual = self.usual(currency, least_deviation);
        let habit = self.of(currency);
        let mut difference = value - f64::from(habit.mean);
        if !usual.mean.is_nan() {
            let limit = LIMIT * usual.deviation;
            difference = difference.clamp(-limit, limit);
        }
        habit.count = habit.count.saturating_add(1);
        let weight = SMOOTHING.max(1.0 / f64::from(habit.count));
        let increment = weight * difference;
        let variance = f64::from(habit.variance) + difference * increment;
        habit.mean = (f64::from(habit.mean) + increment) as f32;
        habit.variance = ((1.0 - weight) * variance) as f32;
    }

    /// The place of a currency: its own, a free one, or that of the one with the fewest values, the
    /// last of several.
    fn of(&mut self, currency: u32) -> &mut Habit {
        if let Some(at) = self.0.iter().position(|habit| habit.currency == currency) {
            return &mut self.0[at];
        }
        let mut place = 0;
        for at in 0..CURRENCIES {
            if self.0[at].currency == 0 {
                place = at;
                break;
            }
            if self.0[at].count <= self.0[place].count {
                place = at;
            }
        }
        self.0[place] = Habit {
            currency,
            ..Habit::default()
        };
        &mut self.0[place]
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) {
        for habit in &self.0 {
            writer.u32(habit.currency);
            writer.u32(u32::from(habit.count));
            writer.u32(habit.mean.to_bits());
            writer.u32(habit.variance.to_bits());
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, StateError> {
        let mut habits = Self::default();
        for habit in &mut habits.0 {
            *habit = Habit {
                currency: reader.u32()?,
                count: u16::try_from(reader.u32()?).map_err(|_| StateError::Impossible("count"))?,
                mean: f32::from_bits(reader.u32()?),
                variance: f32::from_bits(reader.u32()?),
            };
        }
        Ok(habits)
    }
}
