//! The comparison with a run that nothing disturbs.

use super::trace::Trace;
use super::undisturbed::undisturbed;
use super::world::{Scenario, Simulation, WORKERS};

impl<S: Scenario> Simulation<'_, S> {
    /// Compares what was committed with what one task for each partition writes that never stopped
    /// and has had the same directives: every output and every control record, and the state.
    ///
    /// # Panics
    /// They are not the same, or a record was left.
    pub fn verify(&mut self) {
        (0..WORKERS).for_each(|worker| self.count(worker));
        let job = self.scenario.job(0, 0);
        for (number, log) in (0..).zip(&self.cluster.logs) {
            assert!(log.is_empty_from(log.committed.unwrap_or(0)), "a record was left");
            let (mut expected, state) = undisturbed(&job, number, log, &mut self.seen);
            expected
                .iter_mut()
                .for_each(|output| self.scenario.normalize(output));
            let found = self
                .cluster
                .outputs
                .iter()
                .filter(|output| output.source == number);
            let mut count = 0;
            for (nth, (found, expected)) in found.clone().zip(&expected).enumerate() {
                assert_eq!(found, expected, "output {nth} of partition {number}");
                count += 1;
            }
            let counts = (found.count(), expected.len());
            assert_eq!(
                counts,
                (count, count),
                "outputs of partition {number}, and expected"
            );
            self.seen.outputs += count as u64;
            let found = self.workers[log.owner.0].state(number);
            let is_same = !self.scenario.has_one_state() || found.as_ref() == Some(&state);
            assert!(is_same, "partition {number} has come to another state");
        }
    }

    /// All that happened, and what came of it.
    #[must_use]
    pub fn into_trace(self) -> Trace {
        let controls = self.cluster.logs.into_iter().map(|log| log.control);
        Trace {
            happenings: self.happenings,
            controls: controls.collect(),
            outputs: self.cluster.outputs,
        }
    }
}
