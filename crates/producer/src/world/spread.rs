//! Log-normal factors by table: no logarithm, exponential or rejection in a draw.

use super::random::multiply_shift;

const KNOTS: usize = 1024;
/// Where the normal distribution is cut, in standard deviations.
const CUT: f64 = 3.0;

/// `exp(sigma * z)` for a standard normal `z` cut at ±3, as its quantile function at even steps.
#[derive(Debug)]
pub(super) struct Spread {
    factors: Vec<f64>,
}

impl Spread {
    pub(super) fn new(sigma: f64) -> Self {
        let factors = (0..=KNOTS)
            .map(|knot| {
                let deviation = normal_quantile(knot as f64 / KNOTS as f64).clamp(-CUT, CUT);
                libm::exp(sigma * deviation)
            })
            .collect();
        Self { factors }
    }

    /// Draws a factor from 32 random bits: the median is 1.
    #[inline]
    pub(super) fn draw(&self, random: u32) -> f64 {
        let knot = multiply_shift(random, KNOTS as u32) as usize;
        let (low, high) = (self.factors[knot], self.factors[knot + 1]);
        // The bits below the knot's.
        let within = f64::from(random << 10) / 4_294_967_296.0;
        low + (high - low) * within
    }
}

/// The inverse of the standard normal distribution function, by P. J. Acklam's rational
/// approximation (2003; relative error below 1.15e-9). Infinite at 0 and 1.
fn normal_quantile(probability: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969683028665376e1,
        2.209460984245205e2,
        -2.759285104469687e2,
        1.383_577_518_672_69e2,
        -3.066479806614716e1,
        2.506628277459239,
    ];
    const B: [f64; 5] = [
        -5.447609879822406e1,
        1.615858368580409e2,
        -1.556989798598866e2,
        6.680131188771972e1,
        -1.328068155288572e1,
    ];
    const C: [f64; 6] = [
        -7.784894002430293e-3,
        -3.223964580411365e-1,
        -2.400758277161838,
        -2.549732539343734,
        4.374664141464968,
        2.938163982698783,
    ];
    const D: [f64; 4] = [
        7.784695709041462e-3,
        3.224671290700398e-1,
        2.445134137142996,
        3.754408661907416,
    ];
    const LOW: f64 = 0.02425;
    let polynomial = |coefficients: &[f64], x: f64| coefficients.iter().fold(0.0, |sum, c| sum * x + c);
    if probability <= 0.0 {
        f64::NEG_INFINITY
    } else if probability >= 1.0 {
        f64::INFINITY
    } else if probability < LOW {
        let q = libm::sqrt(-2.0 * libm::log(probability));
        polynomial(&C, q) / (polynomial(&D, q) * q + 1.0)
    } else if probability > 1.0 - LOW {
        -normal_quantile(1.0 - probability)
    } else {
        let q = probability - 0.5;
        let r = q * q;
        polynomial(&A, r) * q / (polynomial(&B, r) * r + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::mix;

    #[test]
    fn quantiles_are_as_tables_say() {
        for (probability, quantile) in [
            (0.5, 0.0),
            (0.975, 1.959_963_985),
            (0.001, -3.090_232_306),
            (0.841_344_746, 1.0),
        ] {
            assert!(
                (normal_quantile(probability) - quantile).abs() < 1e-6,
                "{probability}"
            );
        }
    }

    #[test]
    fn log_factors_are_normal() {
        let sigma = 0.4;
        let spread = Spread::new(sigma);
        let draws = 200_000;
        let logs: Vec<f64> = (0..draws)
            .map(|number| libm::log(spread.draw((mix(3, number) >> 32) as u32)))
            .collect();
        let mean = logs.iter().sum::<f64>() / draws as f64;
        let variance = logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / draws as f64;
        assert!(mean.abs() < 0.01, "{mean}");
        assert!((variance.sqrt() - sigma).abs() < 0.01, "{}", variance.sqrt());
        assert!(logs.iter().all(|log| log.abs() <= CUT * sigma + 1e-9));
    }
}
