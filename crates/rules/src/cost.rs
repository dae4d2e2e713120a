//! What a version costs: memory of a user, time of a record.

use std::fmt;

use crate::plan::{Keeps, Measure, Plan};
use crate::state::{EXACT_RECORDS, HOP_BYTES, HOPS, MAX_HOPS, MAX_VALUES, RECORD_BYTES, SPILLED, State};

/// Transactions of an entity a day that the estimate goes by.
pub const RECORDS_A_DAY: f64 = 10.0;

/// What a version may cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// Bytes for a user with [`RECORDS_A_DAY`] transactions.
    pub bytes_a_user: f64,
    /// Nanoseconds of one processor for a record.
    pub ns_a_record: f64,
}

impl Budget {
    /// Whatever it costs.
    pub const UNLIMITED: Self = Self {
        bytes_a_user: f64::INFINITY,
        ns_a_record: f64::INFINITY,
    };
}

impl Default for Budget {
    /// 16 KiB, 10 µs.
    fn default() -> Self {
        Self {
            bytes_a_user: 16_384.0,
            ns_a_record: 10_000.0,
        }
    }
}

/// The part of a feature's state, shared with the features of the same measure.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureCost {
    /// The features that share it, as the language has them.
    pub features: Vec<String>,
    /// Bytes for an entity with [`RECORDS_A_DAY`] transactions.
    pub bytes: f64,
    /// The most bytes that it may ever have.
    pub most_bytes: f64,
    /// Nanoseconds to learn a record and to ask all the features.
    pub ns: f64,
}

/// What a version costs, estimated: the bytes by the sizes of what is kept, the nanoseconds by
/// what each step took on the machine of docs/benchmarks.md.
#[derive(Debug, Clone, PartialEq)]
pub struct CostCard {
    /// Bytes of a user.
    pub bytes_a_user: f64,
    /// Of these, what windows of 24 hours and more need.
    pub bytes_a_user_of_long_windows: f64,
    /// Nanoseconds of a record.
    pub ns_a_record: f64,
    /// Each state, the dearest first.
    pub features: Vec<FeatureCost>,
}

const DAY_MS: f64 = 86_400_000.0;
/// A place in the tables of an entity.
const ENTITY_BYTES: f64 = 80.0;
const VALUE_BYTES: f64 = 32.0;
const HABITS_BYTES: f64 = 48.0;

const ENTITY_NS: f64 = 30.0;
const OP_NS: f64 = 2.0;
const ASK_NS: f64 = 8.0;

impl CostCard {
    pub(crate) fn of(plan: &Plan) -> Self {
        let mut features: Vec<_> = plan
            .measures
            .iter()
            .enumerate()
            .filter(|(_, measure)| measure.keeps != Keeps::Quiet)
            .map(|(at, measure)| feature(plan, at, measure))
            .collect();
        let conditions = plan.steps.iter().flat_map(|step| &step.conditions);
        let ops: usize = conditions.map(crate::program::Program::weight).sum();
        let entities = plan.entities.len() as f64;
        let with_user = plan
            .entities
            .iter()
            .filter(|entity| entity.is_with_user())
            .count() as f64;
        let long = plan
            .measures
            .iter()
            .filter(|measure| measure.keeps == Keeps::Ring && measure.longest_ms as f64 >= DAY_MS);
        let quiet = plan
            .measures
            .iter()
            .filter(|measure| measure.keeps == Keeps::Quiet)
            .count() as f64;
        let of_user: f64 = plan
            .measures
            .iter()
            .filter(|measure| measure.entity.is_with_user() && measure.keeps != Keeps::Quiet)
            .map(bytes)
            .sum();
        let card = Self {
            bytes_a_user: of_user + with_user * ENTITY_BYTES + quiet * size_of::<State>() as f64,
            bytes_a_user_of_long_windows: long
                .filter(|measure| measure.entity.is_with_user())
                .map(bytes)
                .sum(),
            ns_a_record: features.iter().map(|feature| feature.ns).sum::<f64>()
                + entities * ENTITY_NS
                + ops as f64 * OP_NS,
            features: Vec::new(),
        };
        features.sort_by(|one, other| {
            let share = |feature: &FeatureCost| {
                feature.bytes / card.bytes_a_user.max(1.0) + feature.ns / card.ns_a_record.max(1.0)
            };
            share(other).total_cmp(&share(one))
        });
        Self { features, ..card }
    }

    /// Whether it is within a budget.
    ///
    /// # Errors
    /// By how much it is not, with the three dearest features.
    pub fn check(&self, budget: &Budget) -> Result<(), String> {
        let mut over = Vec::new();
        if self.bytes_a_user > budget.bytes_a_user {
            over.push(format!(
                "{:.0} bytes a user, of {:.0}",
                self.bytes_a_user, budget.bytes_a_user
            ));
        }
        if self.ns_a_record > budget.ns_a_record {
            over.push(format!(
                "{:.0} ns a record, of {:.0}",
                self.ns_a_record, budget.ns_a_record
            ));
        }
        if over.is_empty() {
            return Ok(());
        }
        let dearest: Vec<_> = self
            .features
            .iter()
            .take(3)
            .map(|feature| {
                format!(
                    "{} ({:.0} bytes, {:.0} ns)",
                    feature.features.join(" with "),
                    feature.bytes,
                    feature.ns
                )
            })
            .collect();
        Err(format!(
            "the rules cost more than detector.budget allows: {}; the dearest features are {}",
            over.join("; "),
            dearest.join(", ")
        ))
    }
}

impl fmt::Display for CostCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:.0} bytes a user ({:.0} of them for windows of 24h and more), {:.0} ns a record",
            self.bytes_a_user, self.bytes_a_user_of_long_windows, self.ns_a_record
        )?;
        for feature in &self.features {
            writeln!(
                f,
                "{:>7.0} bytes (at most {:.0}) {:>5.0} ns  {}",
                feature.bytes,
                feature.most_bytes,
                feature.ns,
                feature.features.join(" with ")
            )?;
        }
        Ok(())
    }
}

fn feature(plan: &Plan, at: usize, measure: &Measure) -> FeatureCost {
    let asked = plan.slots.iter().filter(|slot| slot.measure == at);
    let features: Vec<_> = asked.map(|slot| slot.text.clone()).collect();
    let ops = measure.only.as_ref().map_or(0, crate::program::Program::weight) + measure.value.weight();
    let learn_ns = match measure.keeps {
        Keeps::Ring => 15.0,
        Keeps::Values => 20.0,
        Keeps::Habits => 25.0,
        Keeps::Last | Keeps::Streak | Keeps::Quiet => 4.0,
    };
    FeatureCost {
        bytes: bytes(measure),
        most_bytes: most_bytes(measure),
        ns: learn_ns + ops as f64 * OP_NS + features.len() as f64 * ASK_NS,
        features,
    }
}

/// Bytes of one entity with [`RECORDS_A_DAY`].
fn bytes(measure: &Measure) -> f64 {
    let records = RECORDS_A_DAY * measure.longest_ms as f64 / DAY_MS;
    let kept = size_of::<State>() as f64;
    kept + match measure.keeps {
        // One place too few makes twice as many of them.
        Keeps::Ring if records > EXACT_RECORDS as f64 => {
            2.0 * EXACT_RECORDS as f64 * RECORD_BYTES + hops(measure.longest_ms) * HOP_BYTES
        }
        // As many places as the next power of two, at least four; none before the first record.
        Keeps::Ring if records < 0.5 => 0.0,
        Keeps::Ring => records.log2().ceil().exp2().max(4.0) * RECORD_BYTES,
        Keeps::Values => records.clamp(4.0, MAX_VALUES as f64) * VALUE_BYTES,
        Keeps::Habits => HABITS_BYTES,
        Keeps::Last | Keeps::Streak | Keeps::Quiet => 0.0,
    }
}

fn most_bytes(measure: &Measure) -> f64 {
    let kept = size_of::<State>() as f64;
    kept + match measure.keeps {
        Keeps::Ring => 2.0 * EXACT_RECORDS as f64 * RECORD_BYTES + MAX_HOPS as f64 * HOP_BYTES,
        Keeps::Values => (MAX_VALUES + 1) as f64 * VALUE_BYTES,
        Keeps::Habits => HABITS_BYTES,
        Keeps::Last | Keeps::Streak | Keeps::Quiet => 0.0,
    }
}

/// How many hops there are of an entity with [`RECORDS_A_DAY`], once the records have gone to hops
/// that are no longer kept one by one: as many as there are slots, or records if those are fewer.
fn hops(longest_ms: i64) -> f64 {
    let a_ms = RECORDS_A_DAY / DAY_MS;
    let mut before_ms = (EXACT_RECORDS - SPILLED) as f64 / a_ms;
    let mut hops = 0.0;
    for (up_to_ms, width_ms) in HOPS {
        let up_to_ms = up_to_ms.min(longest_ms) as f64;
        if up_to_ms > before_ms {
            // At both ends a slot is had in part.
            let slots = (up_to_ms - before_ms) / width_ms as f64 + 1.0;
            hops += slots.min((up_to_ms - before_ms) * a_ms);
            before_ms = up_to_ms;
        }
    }
    hops
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Ring;

    const DAY: i64 = 86_400_000;

    /// The most bytes that a ring has had after a month, with records at even distances.
    fn seen(longest_ms: i64) -> f64 {
        let mut ring = Ring::default();
        let mut most = 0;
        for number in 0..900 {
            let time_ms = number * DAY / RECORDS_A_DAY as i64;
            ring.learn(time_ms, number, time_ms, time_ms - longest_ms);
            if time_ms > 30 * DAY {
                most = most.max(ring.heap_bytes());
            }
        }
        most as f64
    }

    #[test]
    fn a_ring_takes_what_is_estimated() {
        for (longest_ms, keeps) in [(DAY, 10.0), (7 * DAY, 70.0), (30 * DAY, 300.0)] {
            let estimated = match keeps > EXACT_RECORDS as f64 {
                true => 2.0 * EXACT_RECORDS as f64 * RECORD_BYTES + hops(longest_ms) * HOP_BYTES,
                false => f64::log2(keeps).ceil().exp2() * RECORD_BYTES,
            };
            let share = seen(longest_ms) / estimated;
            assert!(
                (0.8..=1.1).contains(&share),
                "{longest_ms} ms: {share} of {estimated}"
            );
        }
    }
}
