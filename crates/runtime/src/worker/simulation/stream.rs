//! Schedules over a job of a stream, whose input may get more partitions in the middle: whoever has
//! the job says how a record is made and what may be set, and has its schedules.

mod keyed;
mod log;
mod partial;

use std::cell::Cell;

use super::{LoggedRecord, Output, Random, Scenario, Seen, Simulation, assert_repeats, run_schedules};
use crate::Job;
use crate::control::ControlRecord;

pub use keyed::KeyedSchedules;
pub use log::Records;
pub use partial::PartialSchedules;

/// Partitions, in the end.
const SOURCES: i32 = 3;

/// A job of a stream.
pub trait OverStream: Sync + Sized {
    /// The job.
    type Job: Job;

    /// The job as a process has it that was started with what `settings` draws, over so many
    /// partitions.
    fn job(&self, settings: &mut Random, partitions: i32, seed: u64) -> Self::Job;

    /// What is written to a partition, of which there were fewer `before`.
    fn log(&self, partition: i32, before: i32, random: &mut Random) -> Vec<LoggedRecord>;

    /// What another job's control topic says, which is asked at the beginning.
    fn controls(&self, _partitions: i32) -> Vec<ControlRecord> {
        Vec::new()
    }

    /// Whether the bytes of a state depend on its events alone, not on when it was restored.
    fn has_one_state(&self) -> bool {
        true
    }

    /// Runs so many schedules, unless the environment says how many, and shows `each` output that
    /// is committed.
    ///
    /// # Panics
    /// A schedule has committed something else than an undisturbed run: its seed is told.
    fn run(&self, schedules: u64, each: impl Fn(&Output) + Sync) -> Seen {
        run_schedules(schedules, |seed| {
            let (growing, mut random) = Growing::begin(self, seed);
            let mut simulation = growing.simulation(&mut random);
            simulation.run();
            simulation.verify();
            simulation.outputs().iter().for_each(&each);
            simulation.seen()
        })
    }

    /// Runs some seeds twice: a seed is one schedule.
    ///
    /// # Panics
    /// Two runs of a seed are not the same.
    fn assert_repeats(&self) {
        assert_repeats(|seed| {
            let (growing, mut random) = Growing::begin(self, seed);
            let mut simulation = growing.simulation(&mut random);
            simulation.run();
            vec![simulation.into_trace()]
        });
    }
}

/// A job over an input that may get more partitions.
struct Growing<'j, J> {
    job: &'j J,
    /// How many it begins with.
    before: i32,
    partitions: Cell<i32>,
}

impl<'j, J: OverStream> Growing<'j, J> {
    fn begin(job: &'j J, seed: u64) -> (Self, Random) {
        let mut random = Random::new(seed);
        let before = SOURCES - i32::from(random.one_in(2));
        let growing = Self {
            job,
            before,
            partitions: Cell::new(before),
        };
        (growing, random)
    }

    fn simulation(&self, random: &mut Random) -> Simulation<'_, Self> {
        let mut logs: Vec<_> = (0..SOURCES)
            .map(|partition| self.job.log(partition, self.before, random))
            .collect();
        let later = logs.split_off(self.before as usize);
        Simulation::new(self, random.next_u64(), logs).with_later(later)
    }
}

impl<J: OverStream> Scenario for Growing<'_, J> {
    type Job = J::Job;

    fn job(&self, settings: u64, seed: u64) -> J::Job {
        self.job
            .job(&mut Random::new(settings), self.partitions.get(), seed)
    }

    fn controls(&self, _topic: &str, _partition: i32) -> Vec<ControlRecord> {
        self.job.controls(self.partitions.get())
    }

    fn grew(&self, partitions: usize) {
        self.partitions.set(partitions as i32);
    }

    fn has_one_state(&self) -> bool {
        self.job.has_one_state()
    }
}
