//! Random schedules over the detector as it runs in production: the job, the worker's partitions,
//! and changes of every setting that may be changed, with kills, rebalances and aborted
//! transactions between them. The anomalies that are committed, and the control topic, are, record
//! by record, what an undisturbed run writes that reads the same directives.
//!
//! The variables are those of [`millrace_kafka::simulation`].

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

use std::collections::BTreeMap;
use std::sync::Mutex;

use millrace_codec::{
    DecodedAnomaly, RegistryConfig, SchemaFetcher, Tls, TransactionReader, anomaly, framing, transaction,
};
use millrace_detector::job::{DetectJob, DetectParts};
use millrace_detector::metrics::DetectMetrics;
use millrace_domain::{
    Amount, Currency, PaymentMethod, ShortId, Transaction, TransactionId, TransactionType,
};
use millrace_engine::HashSeed;
use millrace_fraud::{DetectOperator, DetectPolicy, DetectSettings};
use millrace_kafka::simulation::{LoggedRecord, Output, Random, Scenario, Simulation, run_schedules};
use millrace_kafka::{JobMetrics, partition_for};
use millrace_settings::MisplacedRecords;

const SCHEDULES: u64 = 10_000;
const SOURCES: i32 = 3;
const RECORDS: usize = 60;
const BEGIN_MS: i64 = 1_760_000_000_000;
const TRANSACTION_ID: u32 = 1;

#[test]
fn changes_of_settings_kills_and_rebalances_commit_what_an_undisturbed_run_commits() {
    let detector = Detector::new();
    let rules = Mutex::new(BTreeMap::<String, u64>::new());
    let seen = run_schedules(SCHEDULES, |seed| {
        let mut random = Random::new(seed);
        let logs = (0..SOURCES)
            .map(|partition| log(partition, &mut random))
            .collect();
        let mut simulation = Simulation::new(&detector, random.next_u64(), logs);
        simulation.run();
        simulation.verify();
        assert_eq!(simulation.seen().refused, 0, "the detector takes every policy");
        let mut rules = rules.lock().unwrap();
        for output in simulation.outputs() {
            let rule = String::from_utf8_lossy(output.header("rule").unwrap()).into_owned();
            *rules.entry(rule).or_default() += 1;
        }
        simulation.seen()
    });
    let rules = rules.into_inner().unwrap();
    eprintln!("anomalies: {rules:?}");
    assert!(rules.len() == 4 || seen.commits < 10_000, "{rules:?}");
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
        let fetcher = SchemaFetcher::new(RegistryConfig {
            url: "http://127.0.0.1:1".to_owned(),
            username: None,
            password: None,
            timeout_ms: 1,
            tls: Tls::default(),
        });
        let operators = [0, 1, 2, 3]
            .map(|seed| DetectOperator::new(&DetectSettings::default(), HashSeed::new(seed)).unwrap());
        Self {
            parts: DetectParts {
                operator: operators[0].clone(),
                seed: HashSeed::FIXED,
                control: "anomalies.control".to_owned(),
                max_future_ms: 0,
                earliest_ms: 0,
                source: std::sync::Arc::new(millrace_kafka::SourcePartitions::fixed(SOURCES)),
                misplaced_records: MisplacedRecords::Count,
                input: "transactions".to_owned(),
                anomalies: "anomalies".to_owned(),
                schema_id: 2,
                reader: TransactionReader::new(fetcher).with_own_schema_id(TRANSACTION_ID),
                job: JobMetrics::of("schedules").unwrap(),
                metrics: DetectMetrics::new("schedules").unwrap(),
            },
            operators,
        }
    }
}

impl Scenario for Detector {
    type Job = DetectJob;

    fn job(&self, settings: u64, seed: u64) -> DetectJob {
        let mut random = Random::new(settings);
        let mut parts = self.parts.clone();
        parts.max_future_ms = random.pick(&[20_000, 60_000]);
        parts.earliest_ms = BEGIN_MS + random.pick(&[-100_000, 4_000]);
        parts.misplaced_records = random.pick(&[MisplacedRecords::Count, MisplacedRecords::DeadLetter]);
        parts.seed = HashSeed::new(seed % 4);
        parts.operator = self.operators[seed as usize % 4].clone();
        let policy = DetectPolicy::new(settings_of(&mut random)).unwrap();
        millrace_engine::Operator::configure(&mut parts.operator, &policy, &mut Vec::new());
        DetectJob::new(parts)
    }

    /// Without the time of detection, which is the clock's.
    fn normalize(&self, output: &mut Output) {
        let anomaly = DecodedAnomaly {
            detection_time_ms: 0,
            ..decoded(output)
        };
        output.payload = format!("{anomaly:?}").into_bytes();
        output
            .headers
            .push(("rule".to_owned(), anomaly.rule.into_bytes()));
    }
}

/// Small limits, so that short streams pass them: each change makes the state keep more, less or
/// nothing.
fn settings_of(random: &mut Random) -> DetectSettings {
    let mut settings = DetectSettings {
        max_disorder_ms: random.pick(&[2_000, 0, 20_000]),
        dedup_horizon_ms: random.pick(&[60_000, 4_001, 300_000]),
        profile_retention_ms: random.pick(&[86_400_000, 400_000_000]),
        ..DetectSettings::default()
    };
    let rules = &mut settings.rules;
    rules.habit.min_transactions = random.pick(&[3, 1, 6]);
    rules.velocity = rules.velocity.filter(|_| !random.one_in(4));
    if let Some(velocity) = &mut rules.velocity {
        velocity.max_count = random.pick(&[4, 1, 9]);
        velocity.span_ms = random.pick(&[60_000, 5_000, 3_600_000]);
    }
    rules.amount_outlier = rules.amount_outlier.filter(|_| !random.one_in(4));
    if let Some(outlier) = &mut rules.amount_outlier {
        outlier.max_z_score = random.pick(&[4.5, 1.5]);
    }
    rules.impossible_travel = rules.impossible_travel.filter(|_| !random.one_in(4));
    if let Some(travel) = &mut rules.impossible_travel {
        travel.max_speed_km_per_h = random.pick(&[1_000.0, 300.0, 3_000.0]);
    }
    rules.replay = !random.one_in(4);
    settings
}

/// A log of transactions: some late, some sent twice, some changed, some elsewhere than their
/// user's, some far ahead or too early, some that nobody can decode.
fn log(partition: i32, random: &mut Random) -> Vec<LoggedRecord> {
    let names = (0..).map(|number| format!("u-{number}"));
    let (here, elsewhere): (Vec<_>, Vec<_>) = names
        .take(40)
        .partition(|name| partition_for(name.as_bytes(), SOURCES) == partition);
    let mut sent: Vec<Transaction> = Vec::new();
    let mut log = Vec::new();
    let mut now_ms = BEGIN_MS;
    for number in 0..RECORDS {
        // Now and then longer than an id is remembered, and than a user is.
        let most_ms = match random.below(200) {
            0 => 200_000_000,
            1..6 => 90_000,
            _ => 2_500,
        };
        now_ms += random.below(most_ms) as i64;
        let back_ms = if random.one_in(9) { 90_000 } else { 1_500 };
        let mut time_ms = now_ms - random.below(back_ms) as i64;
        if random.one_in(25) {
            time_ms = now_ms + random.pick(&[30_000, 100_000]);
        }
        let user = match random.one_in(15) {
            true => &elsewhere[random.below(3)],
            false => &here[random.below(3)],
        };
        let earlier = sent.len().checked_sub(1 + random.below(20)).map(|at| sent[at]);
        let transaction = match (random.below(20), earlier) {
            (1, Some(earlier)) => earlier,
            (2, Some(earlier)) => Transaction {
                amount: Amount::from_units(earlier.amount.units() + 1).unwrap(),
                ..earlier
            },
            _ => purchase(
                (partition as usize * RECORDS + number) as u128,
                user,
                time_ms,
                random,
            ),
        };
        sent.push(transaction);
        let mut value = Vec::new();
        transaction::encode_framed(TRANSACTION_ID, &transaction, &mut value);
        if random.one_in(20) {
            value.truncate(7);
        }
        log.push(LoggedRecord {
            key: (!random.one_in(20)).then(|| transaction.user_id.text().as_bytes().to_vec()),
            payload: Some(value),
            timestamp_ms: now_ms,
            is_append_time: !random.one_in(20),
        });
    }
    log
}

fn purchase(id: u128, user: &str, time_ms: i64, random: &mut Random) -> Transaction {
    let short = |text: &str| ShortId::new(text, "test").unwrap();
    let units = (100_000 + random.below(90_000) as i64) * random.pick(&[1, 1, 1, 50]);
    Transaction {
        transaction_id: TransactionId::from_bytes(id.to_be_bytes()),
        user_id: short(user),
        amount: Amount::from_units(units).unwrap(),
        transaction_time_ms: time_ms,
        merchant_id: short("m-1"),
        transaction_type: random.pick(&[
            TransactionType::Purchase,
            TransactionType::Purchase,
            TransactionType::Refund,
        ]),
        location: short(random.pick(&["Berlin", "Sydney", "Atlantis"])),
        payment_method: random.pick(&PaymentMethod::ALL),
        is_international: false,
        currency: Currency::parse(random.pick(&[b"EUR", b"USD"])).unwrap(),
    }
}
