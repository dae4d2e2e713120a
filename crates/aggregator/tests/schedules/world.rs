//! Both stages over one cluster, step by step beside each other: what stage 1 commits, stage 2
//! reads, and what the control topic of stage 2 says, a partition of stage 1 begins by.

use millrace_runtime::simulation::{LoggedRecord, Output, Random, Simulation};

use crate::jobs::{Cluster, MERGE_PARTITIONS, PARTIALS, Stage1, Stage2};
use crate::stream::Stream;

/// Of both stages together.
const STEPS: usize = 320;
/// More than any schedule needs to come to its end.
const DRAIN_STEPS: usize = 20_000;

pub(crate) struct World<'c> {
    cluster: &'c Cluster,
    random: Random,
    pub(crate) first: Simulation<'c, Stage1<'c>>,
    pub(crate) second: Simulation<'c, Stage2<'c>>,
    /// Outputs of stage 1 that stage 2 was given.
    fed: usize,
}

impl<'c> World<'c> {
    pub(crate) fn new(
        (stage_1, stage_2): (&'c Stage1<'c>, &'c Stage2<'c>),
        stream: &Stream,
        random: &mut Random,
    ) -> Self {
        let (now, later) = stream.logs();
        let partials = vec![Vec::new(); MERGE_PARTITIONS as usize];
        Self {
            cluster: stage_1.cluster,
            first: Simulation::new(stage_1, random.next_u64(), now).with_later(later),
            second: Simulation::new(stage_2, random.next_u64(), partials),
            random: Random::new(random.next_u64()),
            fed: 0,
        }
    }

    pub(crate) fn run(&mut self) {
        for _ in 0..STEPS {
            match self.random.below(2) {
                0 => self.first.step(),
                _ => self.second.step(),
            }
            if self.first.seen().grown > 0 && self.random.one_in(40) {
                self.second.restart_all();
            }
            self.pass_on();
        }
        self.first.calm_down();
        self.second.calm_down();
        self.second.restart_all();
        for _ in 0..DRAIN_STEPS {
            match self.random.below(2) {
                0 => self.first.work(),
                _ => self.second.work(),
            }
            self.pass_on();
            if self.first.is_done() && self.second.is_done() {
                return;
            }
        }
        panic!("it does not come to an end");
    }

    /// Stage 2 gets what stage 1 has committed since, and stage 1 hears what stage 2 has.
    fn pass_on(&mut self) {
        let outputs = &self.first.outputs()[self.fed..];
        self.fed += outputs.len();
        for partition in 0..MERGE_PARTITIONS {
            let here = |output: &&Output| output.topic == PARTIALS && output.partition == Some(partition);
            let records = outputs.iter().filter(here).map(logged);
            self.second.feed(partition as usize, records);
        }
        for (partition, known) in self.cluster.merge_controls.borrow_mut().iter_mut().enumerate() {
            let controls = self.second.controls(partition);
            known.extend_from_slice(&controls[known.len()..]);
        }
    }
}

fn logged(output: &Output) -> LoggedRecord {
    LoggedRecord {
        key: output.key.clone(),
        payload: Some(output.payload.clone()),
        timestamp_ms: 0,
        is_append_time: true,
    }
}
