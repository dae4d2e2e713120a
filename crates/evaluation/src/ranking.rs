//! How well scores rank frauds before others, whatever the threshold.

use crate::Outcome;

/// Average precision in the step form of scikit-learn's `average_precision_score`: the sum over
/// the distinct scores, highest first, of precision times what recall gains there. `None` without
/// a fraud.
#[must_use]
pub fn average_precision(outcomes: &[Outcome]) -> Option<f64> {
    let frauds = outcomes.iter().filter(|outcome| outcome.is_fraud).count() as f64;
    let (mut caught, mut seen, mut sum) = (0.0, 0.0, 0.0);
    for (positives, negatives) in steps(outcomes) {
        caught += positives;
        seen += positives + negatives;
        sum += positives / frauds * (caught / seen);
    }
    (frauds > 0.0).then_some(sum)
}

/// The area under the ROC curve: how likely a fraud has a higher score than another transaction,
/// equal scores counting half. `None` without frauds or without others.
#[must_use]
pub fn roc_auc(outcomes: &[Outcome]) -> Option<f64> {
    let (mut frauds, mut others, mut area) = (0.0, 0.0, 0.0);
    for (positives, negatives) in steps(outcomes) {
        area += negatives * (frauds + positives / 2.0);
        frauds += positives;
        others += negatives;
    }
    (frauds > 0.0 && others > 0.0).then(|| area / (frauds * others))
}

/// Frauds and others of each score, the highest first.
fn steps(outcomes: &[Outcome]) -> Vec<(f64, f64)> {
    let mut ranked: Vec<(f64, bool)> = outcomes
        .iter()
        .map(|outcome| (outcome.rank(), outcome.is_fraud))
        .collect();
    ranked.sort_by(|one, other| other.0.total_cmp(&one.0));
    ranked
        .chunk_by(|one, other| one.0 == other.0)
        .map(|equal| {
            let positives = equal.iter().filter(|(_, is_fraud)| *is_fraud).count();
            (positives as f64, (equal.len() - positives) as f64)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::outcome;

    fn outcomes(rows: &[(f64, u8)]) -> Vec<Outcome> {
        rows.iter()
            .map(|&(score, label)| outcome(0, 0, (score > 0.0).then_some(score), label == 1))
            .collect()
    }

    fn is_near(found: Option<f64>, expected: f64) -> bool {
        found.is_some_and(|found| (found - expected).abs() < 1e-12)
    }

    /// The example of scikit-learn's documentation of both functions.
    #[test]
    fn the_documented_example_comes_out() {
        let rows = outcomes(&[(0.1, 0), (0.4, 0), (0.35, 1), (0.8, 1)]);
        assert!(is_near(average_precision(&rows), 5.0 / 6.0));
        assert!(is_near(roc_auc(&rows), 0.75));
    }

    /// Expected values of scikit-learn 1.9.1 for these rows.
    #[test]
    fn equal_scores_are_one_step() {
        let rows = [
            (1.0, 0),
            (3.0, 1),
            (3.0, 0),
            (2.0, 1),
            (0.0, 1),
            (0.0, 0),
            (2.0, 0),
            (5.0, 1),
            (0.0, 0),
            (0.0, 0),
        ];
        let rows = outcomes(&rows);
        assert!(
            is_near(average_precision(&rows), 2.0 / 3.0),
            "{:?}",
            average_precision(&rows)
        );
        assert!(
            is_near(roc_auc(&rows), 0.729_166_666_666_666_7),
            "{:?}",
            roc_auc(&rows)
        );
    }

    /// Expected values of scikit-learn 1.9.1 for the same rows of the same generator.
    #[test]
    fn five_hundred_rows_are_as_scikit_learn_has_them() {
        let mut state = 12_345_u64;
        let mut next = || {
            state = (state * 1_103_515_245 + 12_345) % (1 << 31);
            state >> 8
        };
        let rows: Vec<(f64, u8)> = (0..500)
            .map(|_| {
                let score = next() % 50;
                (score as f64, u8::from(next() % 100 < score / 2 + 2))
            })
            .collect();
        let rows = outcomes(&rows);
        assert!(
            is_near(average_precision(&rows), 0.210_440_046_552_790_17),
            "{:?}",
            average_precision(&rows)
        );
        assert!(
            is_near(roc_auc(&rows), 0.670_836_737_472_767),
            "{:?}",
            roc_auc(&rows)
        );
    }

    #[test]
    fn without_a_fraud_there_is_nothing_to_rank() {
        let rows = outcomes(&[(1.0, 0), (2.0, 0)]);
        assert_eq!((average_precision(&rows), roc_auc(&rows)), (None, None));
    }
}
