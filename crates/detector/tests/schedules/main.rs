//! Random schedules over the detector as it runs in production: the job, the worker's partitions,
//! and changes of every setting that may be changed, with kills, rebalances, aborted transactions
//! and added partitions between them. The anomalies that are committed, and the control topic, are,
//! record by record, what an undisturbed run writes that reads the same directives.
//!
//! The variables are those of [`millrace_runtime::simulation`].

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

mod settings;
mod stream;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use millrace_contract::framing;
use millrace_contract::source::NoRegistry;
use millrace_detector::job::{DetectJob, DetectParts};
use millrace_detector::live_rules::LiveRules;
use millrace_detector::metrics::DetectMetrics;
use millrace_domain::codec::{DecodedAnomaly, TransactionReader, anomaly};
use millrace_engine::HashSeed;
use millrace_fraud::{DetectOperator, DetectSettings};
use millrace_kafka::SourcePartitions;
use millrace_runtime::JobMetrics;
use millrace_runtime::processor::{Refusal, SkippedRecords};
use millrace_runtime::simulation::{Output, Random, Scenario, Simulation, assert_repeats, run_schedules};
use millrace_settings::MisplacedRecords;
use settings::{RULES, lists_of, policy_of, rule_set_of, settings_of};
use stream::log;

const SCHEDULES: u64 = 10_000;
/// Partitions, in the end.
const SOURCES: i32 = 3;
const BEGIN_MS: i64 = 1_760_000_000_000;
const TRANSACTION_ID: u32 = 1;

#[test]
fn changes_of_settings_kills_and_rebalances_commit_what_an_undisturbed_run_commits() {
    let detector = Detector::new();
    let rules = Mutex::new(BTreeMap::<String, u64>::new());
    let seen = run_schedules(SCHEDULES, |seed| {
        let (detector, later, mut random) = begin(&detector, seed);
        let mut simulation = simulation(&detector, later, &mut random);
        simulation.run();
        simulation.verify();
        let seen = simulation.seen();
        assert!(
            seen.refused == 0 || seen.grown > 0,
            "the detector takes every policy"
        );
        let mut rules = rules.lock().unwrap();
        for output in simulation.outputs() {
            let rule = String::from_utf8_lossy(output.header("rule").unwrap()).into_owned();
            *rules.entry(rule).or_default() += 1;
        }
        seen
    });
    let rules = rules.into_inner().unwrap();
    eprintln!("anomalies: {rules:?}");
    // Four are built in; the data's are those of `RULES` that may alert.
    let has_all = rules.len() == 4 + RULES.len() && seen.grown > 0 && seen.followed > 200;
    // Who looks into one seed runs fewer, and says how many.
    let is_chosen = std::env::var_os("MILLRACE_SIMULATION_SCHEDULES").is_some();
    assert!(has_all || is_chosen, "{rules:?} {seen:?}");
}

#[test]
fn one_seed_is_one_schedule() {
    let detector = Detector::new();
    assert_repeats(|seed| {
        let (detector, later, mut random) = begin(&detector, seed);
        let mut simulation = simulation(&detector, later, &mut random);
        simulation.run();
        vec![simulation.into_trace()]
    });
}

/// The detector of a schedule, and how many partitions are added in it.
fn begin(detector: &Detector, seed: u64) -> (Growing<'_>, i32, Random) {
    let mut random = Random::new(seed);
    let later = i32::from(random.one_in(2));
    let growing = Growing {
        detector,
        partitions: Cell::new(SOURCES - later),
    };
    (growing, later, random)
}

fn simulation<'d>(detector: &'d Growing<'d>, later: i32, random: &mut Random) -> Simulation<'d, Growing<'d>> {
    let before = SOURCES - later;
    let users = random.pick(&[3, 20]);
    let mut logs: Vec<_> = (0..SOURCES)
        .map(|partition| log(partition, before, users, random))
        .collect();
    let later = logs.split_off(before as usize);
    Simulation::new(detector, random.next_u64(), logs).with_later(later)
}

fn decoded(output: &Output) -> DecodedAnomaly {
    let (_, body) = framing::split(&output.payload).unwrap();
    anomaly::decode(body).unwrap()
}

struct Detector {
    parts: DetectParts,
    /// With a few seeds: a new operator works out the distances between all cities, which takes
    /// long.
    operators: [DetectOperator; 4],
}

impl Detector {
    fn new() -> Self {
        let operators = [0, 1, 2, 3]
            .map(|seed| DetectOperator::new(&DetectSettings::default(), HashSeed::new(seed)).unwrap());
        Self {
            parts: DetectParts {
                operator: operators[0].clone(),
                rules: Arc::new(LiveRules::new(policy_of(DetectSettings::default()))),
                seed: HashSeed::FIXED,
                control: "anomalies.control".to_owned(),
                max_future_ms: 0,
                earliest_ms: 0,
                source: Arc::new(SourcePartitions::fixed(SOURCES)),
                refusal: Refusal::Skip(SkippedRecords::of("schedules").unwrap()),
                misplaced_records: MisplacedRecords::Count,
                input: "transactions".to_owned(),
                anomalies: "anomalies".to_owned(),
                schema_id: 2,
                reader: TransactionReader::new(NoRegistry).with_own_schema_id(TRANSACTION_ID),
                job: JobMetrics::of("schedules").unwrap(),
                metrics: DetectMetrics::new("schedules").unwrap(),
            },
            operators,
        }
    }
}

/// The detector over an input that may get more partitions.
struct Growing<'d> {
    detector: &'d Detector,
    partitions: Cell<i32>,
}

impl Scenario for Growing<'_> {
    type Job = DetectJob;

    fn job(&self, settings: u64, seed: u64) -> DetectJob {
        let mut random = Random::new(settings);
        let mut parts = self.detector.parts.clone();
        parts.source = Arc::new(SourcePartitions::fixed(self.partitions.get()));
        parts.max_future_ms = random.pick(&[20_000, 60_000]);
        parts.earliest_ms = BEGIN_MS + random.pick(&[-100_000, 4_000]);
        parts.misplaced_records = random.pick(&[MisplacedRecords::Count, MisplacedRecords::DeadLetter]);
        parts.seed = HashSeed::new(seed % 4);
        parts.operator = self.detector.operators[seed as usize % 4].clone();
        parts.rules = Arc::new(LiveRules::new(policy_of(settings_of(&mut random))));
        DetectJob::new(parts)
    }

    fn follows(&self) -> bool {
        true
    }

    /// Its rules, lists and snoozes are what a running detector hears of.
    fn change(&self, job: &DetectJob, settings: u64) {
        let mut random = Random::new(settings);
        if random.one_in(2) {
            let (files, modes, change) = rule_set_of(&mut random);
            let policy = job.rules().policy().with_rule_set(files, modes, change);
            job.rules().set_rules(policy.unwrap()).unwrap();
        } else {
            job.rules().set_lists(lists_of(&mut random)).unwrap();
        }
    }

    /// Without the time of detection, which is the clock's.
    fn normalize(&self, output: &mut Output) {
        let anomaly = DecodedAnomaly {
            detection_time_ms: 0,
            ..decoded(output)
        };
        assert_eq!(
            anomaly.rule_set_version.is_some(),
            !anomaly.reason_codes.is_empty()
        );
        output.payload = format!("{anomaly:?}").into_bytes();
        output
            .headers
            .push(("rule".to_owned(), anomaly.rule.into_bytes()));
    }

    fn grew(&self, partitions: usize) {
        self.partitions.set(partitions as i32);
    }

    /// Where profiles lie, and so their order, depends on when the places of others were given
    /// back.
    fn has_one_state(&self) -> bool {
        false
    }
}
