//! Random schedules over the job of incidents as it runs in production: kills, rebalances, aborted
//! transactions, lost snapshots and changes of the typologies. What is committed is, record by
//! record, what an undisturbed run writes that reads the same directives; every alert is in an
//! incident of each of its kinds, and an attack of a thousand transactions is one incident.
//!
//! The variables are those of [`millrace_runtime::simulation`].

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use millrace_contract::source::NoRegistry;
use millrace_contract::{Reader, framing};
use millrace_detector::incidents::{IncidentJob, IncidentMetrics, IncidentParts, LivePolicy};
use millrace_domain::codec::{anomaly, incident};
use millrace_domain::{
    Anomaly, EntityType, Evidence, IncidentRecord, IncidentStatus, Severity, ShortId, TransactionId,
};
use millrace_incidents::{Incident, IncidentPolicy, IncidentSettings, Verdict};
use millrace_runtime::JobMetrics;
use millrace_runtime::processor::{Refusal, SkippedRecords};
use millrace_runtime::simulation::{
    LoggedRecord, Output, Random, Scenario, Simulation, assert_repeats, run_schedules,
};

const SCHEDULES: u64 = 5_000;
const PARTITIONS: usize = 3;
const RECORDS: usize = 60;
const BEGIN_MS: i64 = 1_760_000_000_000;
const ANOMALY_ID: u32 = 1;
/// Transactions of the attack.
const ATTACK: usize = 1_000;

/// Kinds of fraud as one file has them, and as another that comes in its place.
const TYPOLOGIES: [&str; 2] = [
    "typologies:\n  - {name: stolen, rules: {big: 0.5, far: 1}, threshold: 1, quiet: 20s, reason: r}\n  \
     - {name: taken, rules: {far: 1}, threshold: 1, quiet: 5s, severity: critical, reason: r}\n",
    "typologies:\n  - {name: stolen, rules: {big: 1, far: 1, odd: 2}, threshold: 2, quiet: 8s, reason: q}\n",
];
const RULES: [&str; 4] = ["big", "far", "odd", "alone"];

#[test]
fn incidents_are_committed_as_of_an_undisturbed_run() {
    let incidents = Incidents::new(true);
    let mut statuses = BTreeMap::new();
    let statuses_seen = std::sync::Mutex::new(&mut statuses);
    let seen = run_schedules(SCHEDULES, |seed| {
        let mut random = Random::new(seed);
        let mut simulation = simulation(&incidents, &mut random);
        simulation.run();
        simulation.verify();
        let mut statuses = statuses_seen.lock().unwrap();
        for output in simulation.outputs() {
            *statuses.entry(decoded(output).status).or_insert(0_u64) += 1;
        }
        simulation.seen()
    });
    eprintln!("revisions: {statuses:?}");
    let has_all = IncidentStatus::ALL
        .iter()
        .all(|status| statuses.contains_key(status));
    assert!(has_all || seen.commits < 10_000, "{statuses:?} {seen:?}");
}

#[test]
fn every_alert_is_in_one_incident_of_each_of_its_kinds() {
    let incidents = Incidents::new(false);
    run_schedules(SCHEDULES / 10, |seed| {
        let mut random = Random::new(seed);
        let logs: Vec<_> = (0..PARTITIONS)
            .map(|partition| log(partition, &mut random))
            .collect();
        let mut wanted = BTreeMap::<String, u64>::new();
        for anomaly in logs.iter().flatten().filter_map(readable) {
            *wanted.entry(anomaly).or_default() += 1;
        }
        let mut simulation = Simulation::new(&incidents, random.next_u64(), logs);
        simulation.run();
        let mut newest = BTreeMap::new();
        for output in simulation.outputs() {
            let incident = decoded(output);
            assert_eq!(
                output.key.as_deref(),
                Some(incident.id.to_string().as_bytes()),
                "the key is the id"
            );
            let before = newest.insert(incident.id, incident.clone());
            let before = before.map_or(0, |before: IncidentRecord| before.revision);
            assert_eq!(incident.revision, before + 1, "no revision is missing or twice");
        }
        let mut found = BTreeMap::<String, u64>::new();
        for incident in newest.values() {
            assert_eq!(
                incident.alerts,
                incident.rules.iter().map(|rule| rule.alerts).sum::<u64>()
            );
            for rule in &incident.rules {
                *found.entry(rule.rule.clone()).or_default() += rule.alerts;
            }
        }
        // By the first file: `far` is of two kinds, the others of one.
        wanted.entry("far".to_owned()).and_modify(|count| *count *= 2);
        assert_eq!(found, wanted);
        simulation.seen()
    });
}

#[test]
fn an_attack_of_a_thousand_transactions_is_one_incident_through_kills() {
    let incidents = Incidents::new(false);
    run_schedules(100, |seed| {
        let mut random = Random::new(seed);
        let attack = (0..ATTACK).map(|number| {
            let time_ms = BEGIN_MS + number as i64 * 50;
            logged(&alert(number as u128, "u-1", "alone", time_ms), time_ms)
        });
        let mut simulation = Simulation::new(&incidents, random.next_u64(), vec![attack.collect()]);
        simulation.run();
        let found: Vec<_> = simulation.outputs().iter().map(decoded).collect();
        assert!(found.iter().all(|incident| incident.id == found[0].id));
        let largest = found.iter().max_by_key(|incident| incident.revision).unwrap();
        let count = ATTACK as u64;
        assert_eq!((largest.alerts, largest.transactions), (count, count));
        assert_eq!(largest.transaction_ids.len(), 20);
        assert_eq!(
            (largest.first_ms, largest.last_ms),
            (BEGIN_MS, BEGIN_MS + (count as i64 - 1) * 50)
        );
        simulation.seen()
    });
}

#[test]
fn one_seed_is_one_schedule() {
    let incidents = Incidents::new(true);
    assert_repeats(|seed| {
        let mut random = Random::new(seed);
        let mut simulation = simulation(&incidents, &mut random);
        simulation.run();
        vec![simulation.into_trace()]
    });
}

struct Incidents {
    parts: IncidentParts,
    /// Whether a start may have other settings than the one before.
    changes: bool,
}

impl Incidents {
    fn new(changes: bool) -> Self {
        Self {
            parts: IncidentParts {
                policy: Arc::new(LivePolicy::new(policy(TYPOLOGIES[0], 2_000))),
                input: "anomalies".to_owned(),
                control: "incidents.control".to_owned(),
                incidents: "incidents".to_owned(),
                schema_id: 2,
                reader: Reader::new(NoRegistry).with_own_schema_id(ANOMALY_ID),
                refusal: Refusal::Skip(SkippedRecords::of("schedules").unwrap()),
                job: JobMetrics::of("schedules").unwrap(),
                metrics: IncidentMetrics::new().unwrap(),
            },
            changes,
        }
    }
}

impl Scenario for Incidents {
    type Job = IncidentJob;

    fn job(&self, settings: u64, _seed: u64) -> IncidentJob {
        let mut parts = self.parts.clone();
        if self.changes {
            let mut random = Random::new(settings);
            let policy = policy(random.pick(&TYPOLOGIES), random.pick(&[2_000, 0, 20_000]));
            let policy = policy.with_verdicts(verdicts(&mut random));
            parts.policy = Arc::new(LivePolicy::new(policy));
        }
        IncidentJob::new(parts)
    }

    fn follows(&self) -> bool {
        self.changes
    }

    /// Verdicts are what a running job hears of.
    fn change(&self, job: &IncidentJob, settings: u64) {
        job.live().set_verdicts(verdicts(&mut Random::new(settings)));
    }
}

/// Verdicts on incidents that there may be: of any kind, opened by any transaction.
fn verdicts(random: &mut Random) -> BTreeMap<String, Verdict> {
    let count = random.below(60);
    (0..count)
        .map(|_| {
            let (partition, number) = (random.below(PARTITIONS), random.below(RECORDS));
            let transaction =
                TransactionId::from_bytes(((partition * RECORDS + number) as u128).to_be_bytes());
            let typology = random.pick(&["stolen", "taken", "alone", "odd"]);
            let id = Incident::id_of(EntityType::User, typology, &user(partition, number), &transaction);
            (
                id.to_string(),
                random.pick(&[Verdict::Confirmed, Verdict::FalseAlarm]),
            )
        })
        .collect()
}

/// Who a transaction is of.
fn user(partition: usize, number: usize) -> String {
    format!("u-{partition}-{}", number % 3)
}

fn policy(typologies: &str, max_disorder_ms: i64) -> IncidentPolicy {
    let settings = IncidentSettings {
        typologies: typologies.to_owned(),
        max_disorder_ms,
        verdicts: BTreeMap::new(),
    };
    IncidentPolicy::new(settings).unwrap()
}

fn simulation<'i>(incidents: &'i Incidents, random: &mut Random) -> Simulation<'i, Incidents> {
    let logs = (0..PARTITIONS).map(|partition| log(partition, random)).collect();
    Simulation::new(incidents, random.next_u64(), logs)
}

fn decoded(output: &Output) -> IncidentRecord {
    let (_, body) = framing::split(&output.payload).unwrap();
    incident::decode(body).unwrap()
}

/// The rule of a record that is an alert with a transaction.
fn readable(record: &LoggedRecord) -> Option<String> {
    let (_, body) = framing::split(record.payload.as_deref()?).ok()?;
    let anomaly = anomaly::decode(body).ok()?;
    let is_taken = !anomaly.transaction_ids.is_empty() && anomaly.event_time_ms > 0;
    is_taken.then_some(anomaly.rule)
}

/// A log of alerts: of some users and merchants, in bursts and after pauses, some out of order,
/// some of one transaction, some of none, some of an impossible time, some that nobody can decode.
fn log(partition: usize, random: &mut Random) -> Vec<LoggedRecord> {
    let mut now_ms = BEGIN_MS;
    (0..RECORDS)
        .map(|number| {
            let most_ms = if random.one_in(12) { 60_000 } else { 3_000 };
            now_ms += random.below(most_ms) as i64;
            let back_ms = if random.one_in(9) { 40_000 } else { 1_500 };
            let time_ms = now_ms - random.below(back_ms) as i64;
            // Now and then one that had an alert a while ago.
            let of = number - 3 * usize::from(number > 2 && random.one_in(6));
            let transaction = (partition * RECORDS + of) as u128;
            let mut alert = alert(transaction, &user(partition, of), random.pick(&RULES), time_ms);
            alert.severity = random.pick(&Severity::ALL);
            match random.below(40) {
                0 => alert.evidence.transaction_ids.clear(),
                1 => alert.event_time_ms = random.pick(&[-1, i64::MIN]),
                2..6 => alert.entity_type = EntityType::Merchant,
                _ => {}
            }
            let mut record = logged(&alert, now_ms);
            if random.one_in(20) {
                record.payload = record.payload.map(|value| value[..7].to_vec());
            }
            record
        })
        .collect()
}

fn alert(number: u128, user: &str, rule: &'static str, time_ms: i64) -> Anomaly {
    let entity = ShortId::new(user, "entity").unwrap();
    let transaction = TransactionId::from_bytes(number.to_be_bytes());
    Anomaly {
        id: Anomaly::id_of(rule, &entity, &transaction),
        rule: Cow::Borrowed(rule),
        entity_type: EntityType::User,
        entity,
        severity: Severity::Low,
        score: 0.5 + (number % 7) as f64 / 16.0,
        evidence: Evidence {
            transaction_ids: vec![transaction],
            figures: Vec::new(),
        },
        event_time_ms: time_ms,
        origin: None,
    }
}

fn logged(alert: &Anomaly, now_ms: i64) -> LoggedRecord {
    let mut value = Vec::new();
    anomaly::encode_framed(ANOMALY_ID, alert, now_ms, &mut value);
    LoggedRecord {
        key: Some(alert.entity.text().as_bytes().to_vec()),
        payload: Some(value),
        timestamp_ms: now_ms,
        is_append_time: false,
    }
}
