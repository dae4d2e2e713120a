//! Both jobs, whatever they are set to.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use millrace_aggregator::merge::{MergeJob, MergeParts, MergeTopics};
use millrace_aggregator::partial::{PartialJob, PartialParts, PartialTopics};
use millrace_contract::source::NoRegistry;
use millrace_domain::codec::{PartialReader, TransactionReader};
use millrace_engine::HashSeed;
use millrace_engine::windowed::{EarlyResults, MergePolicy, PartialPolicy};
use millrace_kafka::SourcePartitions;
use millrace_runtime::JobMetrics;
use millrace_runtime::control::ControlRecord;
use millrace_runtime::processor::Refusal;
use millrace_runtime::simulation::{Random, Scenario};
use millrace_runtime::windowed::WindowMetrics;
use millrace_settings::MisplacedRecords;

use crate::stream::{BEGIN_MS, TRANSACTION_ID};

pub(crate) const PARTIALS: &str = "partials";
pub(crate) const LATE: &str = "late";
pub(crate) const AGGREGATES: &str = "aggregates";
pub(crate) const MERGE_PARTITIONS: i32 = 2;
const PARTIAL_ID: u32 = 2;
const AGGREGATE_ID: u32 = 3;
/// Sizes of windows.
pub(crate) const WINDOW_MS: [i64; 4] = [40, 60, 25, 100];
const LATENESS_MS: [i64; 3] = [0, 7, 30];
const EARLY_MS: [i64; 3] = [0, 9, 20];

fn early(random: &mut Random) -> Option<EarlyResults> {
    let every_ms = random.pick(&EARLY_MS);
    (every_ms > 0).then(|| EarlyResults::every_ms(every_ms).unwrap())
}

/// What both stages of a cluster know of the source.
pub(crate) struct Cluster {
    /// Its partitions.
    pub(crate) sources: Cell<usize>,
    /// Whether partitions of the source begin although stage 2 has not heard of them.
    pub(crate) is_unheard: bool,
    /// The control topic of stage 2.
    pub(crate) merge_controls: RefCell<Vec<Vec<ControlRecord>>>,
}

impl Cluster {
    pub(crate) fn new(sources: usize, is_unheard: bool) -> Self {
        Self {
            sources: Cell::new(sources),
            is_unheard,
            merge_controls: RefCell::new(vec![Vec::new(); MERGE_PARTITIONS as usize]),
        }
    }
}

/// The parts of both jobs.
pub(crate) struct Jobs {
    partial: PartialParts,
    merge: MergeParts,
}

impl Jobs {
    pub(crate) fn new() -> Self {
        let partial = PartialParts {
            policy: PartialPolicy::new(60_000, 0, 0).unwrap(),
            max_future_ms: 0,
            earliest_ms: 0,
            source: Arc::new(SourcePartitions::fixed(1)),
            upstream: None,
            misplaced_records: MisplacedRecords::Count,
            seed: HashSeed::FIXED,
            topics: PartialTopics {
                input: "transactions".to_owned(),
                control: "aggregates.control".to_owned(),
                partials: PARTIALS.to_owned(),
                partials_control: "partials.control".to_owned(),
                late: Some(LATE.to_owned()),
            },
            partials_partitions: MERGE_PARTITIONS,
            schema_id: PARTIAL_ID,
            reader: TransactionReader::new(NoRegistry).with_own_schema_id(TRANSACTION_ID),
            refusal: Refusal::DeadLetter,
            metrics: JobMetrics::of("schedules").unwrap(),
            windows: WindowMetrics::of("schedules").unwrap(),
        };
        let merge = MergeParts {
            policy: MergePolicy::new(1, 0).unwrap(),
            seed: HashSeed::FIXED,
            topics: MergeTopics {
                input: PARTIALS.to_owned(),
                control: "partials.control".to_owned(),
                results: AGGREGATES.to_owned(),
            },
            schema_id: AGGREGATE_ID,
            reader: PartialReader::new(NoRegistry).with_own_schema_id(PARTIAL_ID),
            refusal: Refusal::DeadLetter,
            metrics: JobMetrics::of("schedules-merge").unwrap(),
            windows: WindowMetrics::of("schedules-merge").unwrap(),
        };
        Self { partial, merge }
    }
}

pub(crate) struct Stage1<'c> {
    pub(crate) jobs: &'c Jobs,
    pub(crate) cluster: &'c Cluster,
}

impl Scenario for Stage1<'_> {
    type Job = PartialJob;

    fn job(&self, settings: u64, seed: u64) -> PartialJob {
        let mut random = Random::new(settings);
        let (window_ms, lateness_ms) = (random.pick(&WINDOW_MS), random.pick(&LATENESS_MS));
        let disorder_ms = random.pick(&[0, 5, 15, 40]);
        let policy = PartialPolicy::new(window_ms, lateness_ms, disorder_ms).unwrap();
        PartialJob::new(PartialParts {
            policy: policy.with_early(early(&mut random)),
            max_future_ms: random.pick(&[20, 60]),
            earliest_ms: BEGIN_MS + random.pick(&[-1_000, 60]),
            source: Arc::new(SourcePartitions::fixed(self.cluster.sources.get() as i32)),
            misplaced_records: random.pick(&[MisplacedRecords::Count, MisplacedRecords::DeadLetter]),
            seed: HashSeed::new(seed),
            ..self.jobs.partial.clone()
        })
    }

    /// Those of stage 2; or that it has waited for every source from the start, and has sent
    /// nothing.
    fn controls(&self, _topic: &str, partition: i32) -> Vec<ControlRecord> {
        if !self.cluster.is_unheard {
            return self.cluster.merge_controls.borrow()[partition as usize].clone();
        }
        let policy = MergePolicy::new(self.cluster.sources.get(), 0).unwrap();
        vec![ControlRecord::Policy {
            offset: 0,
            policy: serde_json::to_string(&policy).unwrap(),
            closed_until_ms: None,
        }]
    }

    fn grew(&self, partitions: usize) {
        self.cluster.sources.set(partitions);
    }
}

pub(crate) struct Stage2<'c> {
    pub(crate) jobs: &'c Jobs,
    pub(crate) cluster: &'c Cluster,
}

impl Scenario for Stage2<'_> {
    type Job = MergeJob;

    /// One source fewer than there are, where it need not have heard of all; or all of them.
    fn job(&self, settings: u64, seed: u64) -> MergeJob {
        let mut random = Random::new(settings);
        let unheard = self.cluster.is_unheard && random.one_in(3);
        let sources = self.cluster.sources.get() - usize::from(unheard);
        let policy = MergePolicy::new(sources, random.pick(&LATENESS_MS)).unwrap();
        MergeJob::new(MergeParts {
            policy: policy.with_early(early(&mut random)),
            seed: HashSeed::new(seed),
            ..self.jobs.merge.clone()
        })
    }
}
