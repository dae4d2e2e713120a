//! Where every transaction has ended: in one final result, among the late, or among the dead
//! letters. No run of the operators is needed to know how much there must be.

use std::collections::HashMap;

use millrace_contract::framing;
use millrace_domain::codec::{aggregate, partial};
use millrace_domain::{PartialContent, Totals};
use millrace_runtime::simulation::{CODE, DEAD_LETTERS, Output};

use crate::jobs::{AGGREGATES, LATE};
use crate::stream::{LAST_MS, Stream};

/// What both stages have committed.
#[derive(Default)]
pub(crate) struct Outcome<'o> {
    /// Whether a record that stage 1 has left out is late, and no dead letter, by its value.
    left_out: HashMap<&'o [u8], bool>,
    /// Transactions in final results, and what they add up to.
    count: u64,
    units: i128,
    pub(crate) late: u64,
    pub(crate) dead: u64,
    /// Contributions that stage 2 could not add any more.
    pub(crate) late_contributions: u64,
}

impl<'o> Outcome<'o> {
    pub(crate) fn of(first: &'o [Output], second: &[Output]) -> Self {
        let mut outcome = Self::default();
        for output in first {
            match output.topic.as_str() {
                LATE => outcome.late += 1,
                DEAD_LETTERS => outcome.dead += 1,
                _ => continue,
            }
            outcome.left_out.insert(&output.payload, output.topic == LATE);
        }
        for output in second {
            let (_, body) = framing::split(&output.payload).unwrap();
            if output.topic == AGGREGATES {
                let found = aggregate::decode(body).unwrap();
                // An idle advance may close the very last window, too.
                if found.is_final() && found.window_end_ms <= LAST_MS[1] {
                    outcome.add(&found.totals);
                }
                continue;
            }
            assert_eq!(output.header(CODE), Some(&b"late_contribution"[..]));
            let PartialContent::Final(contributions) = partial::decode(body).unwrap().content else {
                panic!("only a final contribution is missed");
            };
            outcome.late_contributions += 1;
            if contributions[0].window_end_ms <= LAST_MS[1] {
                contributions.iter().for_each(|it| outcome.add(&it.totals));
            }
        }
        outcome
    }

    fn add(&mut self, totals: &Totals) {
        self.count += totals.count();
        self.units += totals.purchase_sum.units() + totals.refund_sum.units();
    }

    /// Each transaction counts once whose first copy that is no dead letter is not late: whatever
    /// comes after is a duplicate, or late.
    pub(crate) fn verify(&self, stream: &Stream) {
        let is_late = |value: &Vec<u8>| self.left_out.get(value.as_slice()).copied();
        let (mut count, mut units) = (0, 0);
        for sent in stream.sent.iter().filter(|sent| sent.is_closed) {
            let mut taken = sent
                .copies
                .iter()
                .map(is_late)
                .filter(|late| *late != Some(false));
            if let Some(None) = taken.next() {
                count += 1;
                units += i128::from(sent.amount.units());
            }
        }
        assert_eq!((self.count, self.units), (count, units));
    }
}
