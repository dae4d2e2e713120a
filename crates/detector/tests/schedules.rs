//! Random schedules over the detector as it runs in production: the job, the worker's partitions,
//! and changes of every setting that may be changed, with kills, rebalances, aborted transactions
//! and added partitions between them. The anomalies that are committed, and the control topic, are,
//! record by record, what an undisturbed run writes that reads the same directives.
//!
//! The variables are those of [`millrace_runtime::simulation`].

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use millrace_contract::framing;
use millrace_detector::job::{DetectJob, DetectParts};
use millrace_detector::live_rules::LiveRules;
use millrace_detector::metrics::DetectMetrics;
use millrace_domain::codec::{DecodedAnomaly, TransactionReader, anomaly, transaction};
use millrace_domain::{
    Amount, Currency, ListEntry, ListKey, PaymentMethod, ShortId, Transaction, TransactionId, TransactionType,
};
use millrace_engine::HashSeed;
use millrace_fraud::{DetectOperator, DetectPolicy, DetectSettings, ListSettings, Listings, RuleFile};
use millrace_kafka::{SourcePartitions, partition_for};
use millrace_registry::{RegistryConfig, SchemaFetcher, Tls};
use millrace_runtime::JobMetrics;
use millrace_runtime::processor::{Refusal, SkippedRecords};
use millrace_runtime::simulation::{
    LoggedRecord, Output, Random, Scenario, Simulation, assert_repeats, run_schedules,
};
use millrace_settings::MisplacedRecords;

const SCHEDULES: u64 = 10_000;
/// Partitions, in the end.
const SOURCES: i32 = 3;
const RECORDS: usize = 60;
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
                reader: TransactionReader::new(fetcher).with_own_schema_id(TRANSACTION_ID),
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
    rules.habit.smoothing = random.pick(&[0.1, 0.5, 1.0]);
    rules.habit.min_deviation = random.pick(&[0.3, 0.05, 1.0]);
    rules.velocity = rules.velocity.filter(|_| !random.one_in(4));
    if let Some(velocity) = &mut rules.velocity {
        velocity.max_count = random.pick(&[4, 1, 9]);
        velocity.span_ms = random.pick(&[60_000, 5_000, 3_600_000]);
        velocity.max_sum_ratio = random.pick(&[30.0, 3.0, 8.0]);
    }
    rules.amount_outlier = rules.amount_outlier.filter(|_| !random.one_in(4));
    if let Some(outlier) = &mut rules.amount_outlier {
        outlier.max_z_score = random.pick(&[4.5, 1.5]);
    }
    rules.impossible_travel = rules.impossible_travel.filter(|_| !random.one_in(4));
    if let Some(travel) = &mut rules.impossible_travel {
        travel.max_speed_km_per_h = random.pick(&[1_000.0, 300.0, 3_000.0]);
        // Between the two places of the streams are some 16,000 km.
        travel.min_distance_km = random.pick(&[300.0, 0.0, 20_000.0]);
    }
    rules.replay = !random.one_in(4);
    (settings.rule_set, settings.rule_modes, settings.rule_change) = rule_set_of(random);
    settings.lists = lists_of(random);
    settings
}

/// Who is on which list, and which rule is snoozed about whom: some for good, some until a time
/// that the streams pass.
fn lists_of(random: &mut Random) -> ListSettings {
    let mut listings = Listings::default();
    for _ in 0..random.below(12) {
        let key = match random.below(4) {
            0 => format!("list/deny/user/u-{}", random.below(100)),
            1 => format!("list/watch/location/{}", random.pick(&["Berlin", "Sydney"])),
            2 => {
                let (name, ..) = random.pick(&RULES);
                format!("snooze/{name}/user/u-{}", random.below(100))
            }
            _ => {
                let name = random.pick(&["velocity", "amount_outlier", "impossible_travel", "replay"]);
                format!("snooze/{name}/user/u-{}", random.below(100))
            }
        };
        let until_ms = BEGIN_MS + random.below(150_000) as i64;
        let is_for_good = key.starts_with("list") && random.one_in(3);
        let entry = ListEntry {
            key: ListKey::parse(&key).unwrap(),
            until_ms: (!is_for_good).then_some(until_ms),
            author: "ann".to_owned(),
            reason: "r".to_owned(),
            time_ms: 0,
        };
        listings.put(entry).unwrap();
    }
    listings.settings()
}

fn policy_of(settings: DetectSettings) -> DetectPolicy {
    DetectPolicy::new(settings).unwrap()
}

/// Rules as data, of every kind of state: name, condition, and what else it says.
const RULES: [(&str, &str, &str); 11] = [
    ("hurry", "count(\"10m\") >= 3", "    quiet: 5m\n"),
    (
        "spread",
        "distinct(\"24h\", location) > 1 and since_last() < 1h",
        "    score: sum(\"1h\", amount) / avg(\"24h\", amount)\n",
    ),
    ("many", "count(\"24h\") >= 6 and streak(amount > 15 EUR) > 1", ""),
    (
        "few",
        "count(\"1m\").excluding_current() == 0 and amount > 15 EUR",
        "",
    ),
    (
        "most",
        "amount >= max(\"30m\", amount) and count(\"30m\") > 1",
        "",
    ),
    ("new_place", "first_seen(\"24h\", location)", "    quiet: 1m\n"),
    (
        "odd",
        "zscore(log(amount)) > 1",
        "    score: zscore(log(amount))\n",
    ),
    ("again", "last(amount) > amount", ""),
    ("dear", "amount > 2 * usual", ""),
    ("denied", "listed(\"deny\", user)", ""),
    (
        "watched",
        "listed(\"watch\", location) and count(\"10m\", listed(\"watch\", location)) > 1",
        "    quiet: 5s\n",
    ),
];

const MODES: [&str; 6] = ["live", "live", "shadow", "50 %", "paused", "draft"];

/// Some of the rules, each in some mode by its file, and some in another than that; none now and
/// then. And the number of the change that they are of.
fn rule_set_of(random: &mut Random) -> (Vec<RuleFile>, BTreeMap<String, String>, u64) {
    let (mut text, mut modes) = (String::from("rules:\n"), BTreeMap::new());
    let is_empty = random.one_in(4);
    for (name, when, more) in RULES {
        if is_empty || random.one_in(2) {
            continue;
        }
        let mode = random.pick(&MODES);
        text += &format!(
            "  - name: {name}\n    when: {when}\n    severity: low\n    reason: r\n    mode: {mode}\n{more}"
        );
        if random.one_in(3) {
            modes.insert(name.to_owned(), random.pick(&MODES).to_owned());
        }
    }
    let file = RuleFile {
        name: "rules.yml".to_owned(),
        text,
    };
    let files = if file.text.ends_with("rules:\n") {
        vec![]
    } else {
        vec![file]
    };
    (files, modes, random.below(1_000) as u64)
}

/// A log of transactions: some late, some sent twice, some changed, some elsewhere than their
/// user's, some far ahead or too early, some that nobody can decode. The second half is of after
/// all partitions were there, of which there were fewer `before`.
fn log(partition: i32, before: i32, users: usize, random: &mut Random) -> Vec<LoggedRecord> {
    let names_by = |partitions| -> (Vec<_>, Vec<_>) {
        (0..100)
            .map(|number| format!("u-{number}"))
            .partition(|name| partition_for(name.as_bytes(), partitions) == partition)
    };
    let (all_before, all_after) = (names_by(before), names_by(SOURCES));
    let mut sent: Vec<Transaction> = Vec::new();
    let mut log = Vec::new();
    let mut now_ms = BEGIN_MS;
    for number in 0..RECORDS {
        // Now and then longer than an id is remembered, and than a user is.
        let most_ms = match random.below(200) {
            0..2 => 200_000_000,
            2..7 => 90_000,
            _ => 2_500,
        };
        now_ms += random.below(most_ms) as i64;
        let back_ms = if random.one_in(9) { 90_000 } else { 1_500 };
        let mut time_ms = now_ms - random.below(back_ms) as i64;
        if random.one_in(25) {
            time_ms = now_ms + random.pick(&[30_000, 100_000]);
        }
        let is_before = partition < before && number < RECORDS / 2;
        let (here, elsewhere) = if is_before { &all_before } else { &all_after };
        let user = match random.one_in(15) {
            true => &elsewhere[random.below(3)],
            false => &here[random.below(users)],
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
