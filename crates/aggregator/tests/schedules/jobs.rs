//! Both jobs, whatever they are set to.

use std::sync::Arc;

use millrace_aggregator::merge::{MergeJob, MergeParts, MergeTopics};
use millrace_aggregator::metrics::WindowMetrics;
use millrace_aggregator::partial::{PartialJob, PartialTopics};
use millrace_codec::{PartialReader, RegistryConfig, SchemaFetcher, Tls, TransactionReader};
use millrace_engine::HashSeed;
use millrace_engine::windowed::{EarlyResults, MergePolicy, PartialPolicy};
use millrace_kafka::simulation::{Random, Scenario};
use millrace_kafka::{JobMetrics, SourcePartitions};
use millrace_settings::MisplacedRecords;

use crate::stream::{BEGIN_MS, SOURCES, TRANSACTION_ID};

pub(crate) const PARTIALS: &str = "partials";
pub(crate) const LATE: &str = "late";
pub(crate) const AGGREGATES: &str = "aggregates";
pub(crate) const MERGE_PARTITIONS: i32 = 2;
const PARTIAL_ID: u32 = 2;
const AGGREGATE_ID: u32 = 3;
const LATENESS_MS: [i64; 3] = [0, 7, 30];
const EARLY_MS: [i64; 3] = [0, 9, 20];

fn fetcher() -> SchemaFetcher {
    SchemaFetcher::new(RegistryConfig {
        url: "http://127.0.0.1:1".to_owned(),
        username: None,
        password: None,
        timeout_ms: 1,
        tls: Tls::default(),
    })
}

fn early(random: &mut Random) -> Option<EarlyResults> {
    let every_ms = random.pick(&EARLY_MS);
    (every_ms > 0).then(|| EarlyResults::every_ms(every_ms).unwrap())
}

pub(crate) struct Stage1(PartialJob);

impl Stage1 {
    pub(crate) fn new() -> Self {
        Self(PartialJob {
            policy: PartialPolicy::new(60_000, 0, 0).unwrap(),
            max_future_ms: 0,
            earliest_ms: 0,
            source: Arc::new(SourcePartitions::fixed(SOURCES)),
            upstream: None,
            misplaced_records: MisplacedRecords::Count,
            seed: HashSeed::FIXED,
            topics: PartialTopics {
                input: "transactions".to_owned(),
                control: "aggregates.control".to_owned(),
                partials: PARTIALS.to_owned(),
                partials_control: "partials.control".to_owned(),
                late: LATE.to_owned(),
            },
            partials_partitions: MERGE_PARTITIONS,
            schema_id: PARTIAL_ID,
            reader: TransactionReader::new(fetcher()).with_own_schema_id(TRANSACTION_ID),
            metrics: JobMetrics::of("schedules").unwrap(),
            windows: WindowMetrics::of("schedules").unwrap(),
        })
    }
}

impl Scenario for Stage1 {
    type Job = PartialJob;

    fn job(&self, settings: u64, seed: u64) -> PartialJob {
        let mut random = Random::new(settings);
        let (window_ms, lateness_ms) = (random.pick(&[40, 60, 25, 100]), random.pick(&LATENESS_MS));
        let disorder_ms = random.pick(&[0, 5, 15, 40]);
        let policy = PartialPolicy::new(window_ms, lateness_ms, disorder_ms).unwrap();
        PartialJob {
            policy: policy.with_early(early(&mut random)),
            max_future_ms: random.pick(&[20, 60]),
            earliest_ms: BEGIN_MS + random.pick(&[-1_000, 60]),
            misplaced_records: random.pick(&[MisplacedRecords::Count, MisplacedRecords::DeadLetter]),
            seed: HashSeed::new(seed),
            ..self.0.clone()
        }
    }
}

pub(crate) struct Stage2(MergeParts);

impl Stage2 {
    pub(crate) fn new() -> Self {
        Self(MergeParts {
            policy: MergePolicy::new(1, 0).unwrap(),
            seed: HashSeed::FIXED,
            topics: MergeTopics {
                input: PARTIALS.to_owned(),
                control: "partials.control".to_owned(),
                aggregates: AGGREGATES.to_owned(),
            },
            schema_id: AGGREGATE_ID,
            reader: PartialReader::new(fetcher()).with_own_schema_id(PARTIAL_ID),
            windows: WindowMetrics::of("schedules-merge").unwrap(),
        })
    }
}

impl Scenario for Stage2 {
    type Job = MergeJob;

    /// One source fewer than there are, or all of them.
    fn job(&self, settings: u64, seed: u64) -> MergeJob {
        let mut random = Random::new(settings);
        let sources = SOURCES as usize - usize::from(random.one_in(4));
        let policy = MergePolicy::new(sources, random.pick(&LATENESS_MS)).unwrap();
        MergeJob::new(MergeParts {
            policy: policy.with_early(early(&mut random)),
            seed: HashSeed::new(seed),
            ..self.0.clone()
        })
    }
}
