//! Statistics of measured integers, exact whatever order they are added in.

use millrace_engine::RestoreError;
use millrace_engine::snapshot::{StateReader, StateWriter};

use crate::Measured;

/// Readings of a group, at most: with more, squares of sums would leave 128 bits. No device has so
/// many in a day.
pub const MOST_READINGS: u64 = 1 << 32;

/// What one measure's readings add up to. Their number is kept beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sums {
    /// Of readings, in 1/1000.
    pub sum: i128,
    /// Of their squares, in 1/1,000,000.
    pub squares: i128,
    /// The lowest, in 1/1000; above all others of none.
    pub min: i32,
    /// The highest.
    pub max: i32,
}

/// What is told of a measure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Statistics {
    /// The mean.
    pub mean: f64,
    /// The lowest.
    pub min: f64,
    /// The highest.
    pub max: f64,
    /// The standard deviation of these readings alone (population).
    pub std_dev: f64,
}

impl Sums {
    /// Bytes in a state.
    pub(crate) const LEN: usize = 16 + 16 + 4 + 4;
    /// Of no readings.
    pub const EMPTY: Self = Self {
        sum: 0,
        squares: 0,
        min: i32::MAX,
        max: i32::MIN,
    };

    pub(crate) fn add(&mut self, measured: Measured) {
        let units = measured.units();
        self.sum += i128::from(units);
        self.squares += i128::from(units).pow(2);
        self.min = self.min.min(units);
        self.max = self.max.max(units);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.sum += other.sum;
        self.squares += other.squares;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// What is told of so many readings: each figure is one division of exact integers, and the
    /// deviation a root besides.
    #[must_use]
    pub fn of(&self, count: u64) -> Statistics {
        let count = i128::from(count.max(1));
        let thousandths = (count * 1_000) as f64;
        // Not below 0 of any readings.
        let spread = count * self.squares - self.sum * self.sum;
        Statistics {
            mean: self.sum as f64 / thousandths,
            min: f64::from(self.min) / 1_000.0,
            max: f64::from(self.max) / 1_000.0,
            std_dev: (spread as f64).sqrt() / thousandths,
        }
    }

    /// Whether so many readings can add up to this.
    pub(crate) fn is_of(&self, count: u64) -> bool {
        let (lowest, highest) = (i128::from(self.min), i128::from(self.max));
        let count = match count {
            0 => return *self == Self::EMPTY,
            1..=MOST_READINGS => i128::from(count),
            _ => return false,
        };
        let is_within = |units| Measured::of_units(units).is_some();
        is_within(self.min)
            && is_within(self.max)
            && (count * lowest..=count * highest).contains(&self.sum)
            && (0..=count * i128::from(Measured::MAX.units()).pow(2)).contains(&self.squares)
            && count * self.squares >= self.sum * self.sum
    }

    pub(crate) fn write(&self, writer: &mut StateWriter<'_>) {
        writer.i128(self.sum);
        writer.i128(self.squares);
        writer.u32(self.min.cast_unsigned());
        writer.u32(self.max.cast_unsigned());
    }

    /// Reads what [`Sums::write`] wrote.
    pub(crate) fn read(reader: &mut StateReader<'_>) -> Result<Self, RestoreError> {
        Ok(Self {
            sum: reader.i128()?,
            squares: reader.i128()?,
            min: reader.u32()?.cast_signed(),
            max: reader.u32()?.cast_signed(),
        })
    }
}
