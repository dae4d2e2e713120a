//! Draws from a discrete distribution in constant time.

use super::random::multiply_shift;

/// Vose's alias table (M. D. Vose, 1991): one random number and one look-up a draw, whatever the
/// size.
#[derive(Debug)]
pub(super) struct AliasTable {
    columns: Vec<Column>,
}

/// One column: its own index below the threshold, the alias above.
#[derive(Debug, Clone, Copy)]
struct Column {
    threshold: u32,
    alias: u32,
}

impl AliasTable {
    /// Zipf's law: the weight of rank k (from 1) is k^-exponent.
    pub(super) fn zipf(size: usize, exponent: f64) -> Self {
        let weights: Vec<f64> = (1..=size)
            .map(|rank| libm::exp(-exponent * libm::log(rank as f64)))
            .collect();
        Self::new(&weights)
    }

    fn new(weights: &[f64]) -> Self {
        let total: f64 = weights.iter().sum();
        let mean = total / weights.len() as f64;
        let mut scaled: Vec<f64> = weights.iter().map(|weight| weight / mean).collect();
        let (mut small, mut large): (Vec<u32>, Vec<u32>) =
            (0..weights.len() as u32).partition(|&index| scaled[index as usize] < 1.0);
        let mut columns: Vec<Column> = (0..weights.len() as u32)
            .map(|index| Column {
                threshold: u32::MAX,
                alias: index,
            })
            .collect();
        while let (Some(under), Some(&over)) = (small.pop(), large.last()) {
            let share = scaled[under as usize];
            columns[under as usize] = Column {
                threshold: (share * f64::from(u32::MAX)) as u32,
                alias: over,
            };
            scaled[over as usize] -= 1.0 - share;
            if scaled[over as usize] < 1.0 {
                large.pop();
                small.push(over);
            }
        }
        // What is left on either list is full but for rounding: its own alias.
        Self { columns }
    }

    /// Draws an index from 64 random bits.
    #[inline]
    pub(super) fn draw(&self, random: u64) -> u32 {
        let index = multiply_shift((random >> 32) as u32, self.columns.len() as u32);
        let column = self.columns[index as usize];
        if random as u32 <= column.threshold {
            index
        } else {
            column.alias
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::mix;

    #[test]
    fn draws_follow_the_law() {
        let table = AliasTable::zipf(100, 1.0);
        let draws = 1_000_000;
        let mut counts = [0_u32; 100];
        for number in 0..draws {
            counts[table.draw(mix(7, number)) as usize] += 1;
        }
        let harmonic: f64 = (1..=100).map(|rank| 1.0 / f64::from(rank)).sum();
        for (index, &count) in counts.iter().enumerate() {
            let expected = draws as f64 / (index + 1) as f64 / harmonic;
            // Five standard deviations of a Poisson count.
            assert!(
                (f64::from(count) - expected).abs() < 5.0 * expected.sqrt(),
                "rank {}: {count} in place of {expected}",
                index + 1
            );
        }
    }

    #[test]
    fn one_merchant_gets_everything() {
        let table = AliasTable::zipf(1, 1.0);
        assert!((0..1_000).all(|number| table.draw(mix(1, number)) == 0));
    }
}
