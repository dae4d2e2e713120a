//! What of a ring is not kept record by record: records of one slot of time, put together.

const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60_000;

/// Up to which age, what width. Each width divides the next, so that slots never overlap.
pub(crate) const HOPS: [(i64, i64); 8] = [
    (MINUTE_MS, SECOND_MS),
    (5 * MINUTE_MS, 5 * SECOND_MS),
    (10 * MINUTE_MS, 10 * SECOND_MS),
    (30 * MINUTE_MS, 30 * SECOND_MS),
    (60 * MINUTE_MS, MINUTE_MS),
    (1_440 * MINUTE_MS, 24 * MINUTE_MS),
    (7 * 1_440 * MINUTE_MS, 120 * MINUTE_MS),
    (30 * 1_440 * MINUTE_MS, 720 * MINUTE_MS),
];

/// Bytes of a hop.
pub(crate) const HOP_BYTES: f64 = size_of::<Hop>() as f64;

/// Records that lie together in one slot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Hop {
    pub(super) first_ms: i64,
    pub(super) last_ms: i64,
    pub(super) count: u64,
    pub(super) sum: i128,
    pub(super) min: i64,
    pub(super) max: i64,
    /// The sum of squared differences from the mean.
    pub(super) squares: f64,
}

/// Count, mean and squared differences of a window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moments {
    pub(crate) count: f64,
    pub(crate) mean: f64,
    pub(crate) squares: f64,
}

/// Whether two neighbours lie in one slot of the width that the newer one's age allows.
pub(super) fn is_one_slot(before: &Hop, hop: &Hop, newest_ms: i64) -> bool {
    let (first_ms, last_ms) = (before.first_ms.min(hop.first_ms), before.last_ms.max(hop.last_ms));
    let age_ms = newest_ms - last_ms;
    let (_, width_ms) = HOPS
        .into_iter()
        .find(|(up_to_ms, _)| age_ms <= *up_to_ms)
        .unwrap_or(HOPS[HOPS.len() - 1]);
    first_ms.div_euclid(width_ms) == last_ms.div_euclid(width_ms)
}

impl Hop {
    pub(super) fn of(time_ms: i64, value: i64) -> Self {
        Self {
            first_ms: time_ms,
            last_ms: time_ms,
            count: 1,
            sum: i128::from(value),
            min: value,
            max: value,
            squares: 0.0,
        }
    }

    /// Whether records may have made it; the bounds keep sums from overflowing.
    pub(super) fn is_possible(&self) -> bool {
        (1..1 << 48).contains(&self.count)
            && self.sum.unsigned_abs() < 1 << 100
            && self.first_ms != i64::MIN
            && self.first_ms <= self.last_ms
    }

    pub(super) fn and(&self, other: &Self) -> Self {
        let moments = |hop: &Self| Moments {
            count: hop.count as f64,
            mean: hop.sum as f64 / hop.count as f64,
            squares: hop.squares,
        };
        Self {
            first_ms: self.first_ms.min(other.first_ms),
            last_ms: self.last_ms.max(other.last_ms),
            count: self.count + other.count,
            sum: self.sum + other.sum,
            min: self.min.min(other.min),
            max: self.max.max(other.max),
            squares: moments(self).and(moments(other)).squares,
        }
    }
}

impl Moments {
    /// Of both: T. Chan, G. Golub, R. LeVeque, "Updating formulae and a pairwise algorithm for
    /// computing sample variances" (1979).
    pub(super) fn and(self, other: Self) -> Self {
        if self.count == 0.0 {
            return other;
        }
        let count = self.count + other.count;
        let apart = other.mean - self.mean;
        Self {
            count,
            mean: self.mean + apart * other.count / count,
            squares: self.squares + other.squares + apart * apart * self.count * other.count / count,
        }
    }
}
