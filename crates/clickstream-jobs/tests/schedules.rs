//! Random schedules over the jobs as they run in production: the worker's partitions, and changes
//! of every setting that may be changed, with kills, rebalances, aborted transactions and added
//! partitions between them. What is committed (contributions, sessions, late records, dead
//! letters, the control topics) is, record by record, what an undisturbed run writes that reads the
//! same directives.
//!
//! The variables are those of [`millrace_runtime::simulation`].

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use millrace_clickstream::{Click, Page, Session, User};
use millrace_clickstream_jobs::{Pages, UserVisits};
use millrace_contract::{Contract as _, Encode as _};
use millrace_contract::{Reader, framing};
use millrace_engine::HashSeed;
use millrace_engine::keyed::SessionPolicy;
use millrace_engine::windowed::{MergePolicy, PartialPolicy};
use millrace_kafka::{SourcePartitions, partition_for};
use millrace_registry::{RegistryConfig, SchemaFetcher, Tls};
use millrace_runtime::JobMetrics;
use millrace_runtime::control::ControlRecord;
use millrace_runtime::keyed::{KeyedJob, KeyedParts, KeyedTopics};
use millrace_runtime::processor::Refusal;
use millrace_runtime::simulation::{
    DEAD_LETTERS, LoggedRecord, Random, Scenario, Simulation, assert_repeats, run_schedules,
};
use millrace_runtime::windowed::{PartialJob, PartialParts, PartialTopics, WindowMetrics};
use millrace_settings::MisplacedRecords;
use uuid::Uuid;

const SCHEDULES: u64 = 2_000;
/// Partitions, in the end.
const SOURCES: i32 = 3;
const RECORDS: usize = 60;
const BEGIN_MS: i64 = 1_760_000_000_000;
const CLICK_ID: u32 = 1;
const MERGE_PARTITIONS: i32 = 2;

#[test]
fn sessions_are_committed_as_of_an_undisturbed_run() {
    let (sessions, dead) = (AtomicU64::new(0), AtomicU64::new(0));
    let jobs = Jobs::new();
    let seen = run_schedules(SCHEDULES, |seed| {
        let (of, later, mut random) = begin(Sessions(&jobs), seed);
        let mut simulation = simulation(&of, later, &mut random);
        simulation.run();
        simulation.verify();
        for output in simulation.outputs() {
            if output.topic == DEAD_LETTERS {
                dead.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            let (_, body) = framing::split(&output.payload).unwrap();
            let session = Session::decode(body).unwrap();
            assert_eq!(output.key.as_deref(), Some(session.user_id.as_str().as_bytes()));
            assert!(session.start_ms <= session.end_ms && session.page_count > 0);
            sessions.fetch_add(1, Ordering::Relaxed);
        }
        simulation.seen()
    });
    let [sessions, dead] = [sessions, dead].map(AtomicU64::into_inner);
    eprintln!("sessions, dead letters: {sessions}, {dead}");
    // Who looks into one seed runs fewer, and says how many.
    let is_chosen = std::env::var_os("MILLRACE_SIMULATION_SCHEDULES").is_some();
    assert!((sessions > 0 && dead > 0) || is_chosen, "{seen:?}");
}

#[test]
fn contributions_of_page_views_are_committed_as_of_an_undisturbed_run() {
    let jobs = Jobs::new();
    run_schedules(SCHEDULES, |seed| {
        let (of, later, mut random) = begin(Views(&jobs), seed);
        let mut simulation = simulation(&of, later, &mut random);
        simulation.run();
        simulation.verify();
        simulation.seen()
    });
}

#[test]
fn one_seed_is_one_schedule() {
    let jobs = Jobs::new();
    assert_repeats(|seed| {
        let (of, later, mut random) = begin(Sessions(&jobs), seed);
        let mut simulation = simulation(&of, later, &mut random);
        simulation.run();
        vec![simulation.into_trace()]
    });
}

/// A job over an input that may get more partitions.
struct Growing<J> {
    job: J,
    partitions: Cell<i32>,
}

/// The job of a schedule, and how many partitions are added in it.
fn begin<J>(job: J, seed: u64) -> (Growing<J>, i32, Random) {
    let mut random = Random::new(seed);
    let later = i32::from(random.one_in(2));
    let partitions = Cell::new(SOURCES - later);
    (Growing { job, partitions }, later, random)
}

fn simulation<'d, J>(of: &'d Growing<J>, later: i32, random: &mut Random) -> Simulation<'d, Growing<J>>
where
    Growing<J>: Scenario,
{
    let before = SOURCES - later;
    let mut logs: Vec<_> = (0..SOURCES)
        .map(|partition| log(partition, before, random))
        .collect();
    let later = logs.split_off(before as usize);
    Simulation::new(of, random.next_u64(), logs).with_later(later)
}

struct Jobs {
    sessions: KeyedParts<UserVisits>,
    views: PartialParts<Pages>,
}

impl Jobs {
    fn new() -> Self {
        let fetcher = SchemaFetcher::new(RegistryConfig {
            url: "http://127.0.0.1:1".to_owned(),
            username: None,
            password: None,
            timeout_ms: 1,
            tls: Tls::default(),
        });
        let reader = Reader::new(fetcher).with_own_schema_id(CLICK_ID);
        let source = Arc::new(SourcePartitions::fixed(SOURCES));
        Self {
            sessions: KeyedParts {
                of: UserVisits,
                policy: SessionPolicy::new(1, 0, 0).unwrap(),
                max_future_ms: 0,
                earliest_ms: 0,
                seed: HashSeed::FIXED,
                topics: KeyedTopics {
                    input: "clickstream".to_owned(),
                    control: "sessions.control".to_owned(),
                    outputs: vec![("sessions".to_owned(), 2)],
                },
                source: Arc::clone(&source),
                refusal: Refusal::DeadLetter,
                misplaced_records: MisplacedRecords::Count,
                reader: reader.clone(),
                metrics: JobMetrics::of("schedules").unwrap(),
                windows: WindowMetrics::of("schedules").unwrap(),
            },
            views: PartialParts {
                policy: PartialPolicy::new(60_000, 0, 0).unwrap(),
                max_future_ms: 0,
                earliest_ms: 0,
                seed: HashSeed::FIXED,
                topics: PartialTopics {
                    input: "clickstream".to_owned(),
                    control: "page_views.control".to_owned(),
                    partials: "page_views.partials".to_owned(),
                    partials_control: "page_views.partials.control".to_owned(),
                    late: "clickstream.late".to_owned(),
                },
                source,
                upstream: None,
                refusal: Refusal::DeadLetter,
                misplaced_records: MisplacedRecords::Count,
                partials_partitions: MERGE_PARTITIONS,
                schema_id: 3,
                reader,
                metrics: JobMetrics::of("schedules-views").unwrap(),
                windows: WindowMetrics::of("schedules-views").unwrap(),
            },
        }
    }
}

struct Sessions<'j>(&'j Jobs);

impl Scenario for Growing<Sessions<'_>> {
    type Job = KeyedJob<UserVisits>;

    fn job(&self, settings: u64, seed: u64) -> KeyedJob<UserVisits> {
        let mut random = Random::new(settings);
        let (gap_ms, lateness_ms) = (random.pick(&[5_000, 1, 60_000]), random.pick(&[0, 3_000]));
        KeyedJob::new(KeyedParts {
            policy: SessionPolicy::new(gap_ms, lateness_ms, random.pick(&[2_000, 0, 9_000])).unwrap(),
            max_future_ms: random.pick(&[20_000, 60_000]),
            earliest_ms: BEGIN_MS + random.pick(&[-100_000, 4_000]),
            misplaced_records: random.pick(&[MisplacedRecords::Count, MisplacedRecords::DeadLetter]),
            source: Arc::new(SourcePartitions::fixed(self.partitions.get())),
            seed: HashSeed::new(seed),
            ..self.job.0.sessions.clone()
        })
    }

    fn grew(&self, partitions: usize) {
        self.partitions.set(partitions as i32);
    }

    /// Where sessions lie, and so their order, depends on when the places of others were given
    /// back.
    fn has_one_state(&self) -> bool {
        false
    }
}

struct Views<'j>(&'j Jobs);

impl Scenario for Growing<Views<'_>> {
    type Job = PartialJob<Pages>;

    fn job(&self, settings: u64, seed: u64) -> PartialJob<Pages> {
        let mut random = Random::new(settings);
        let (window_ms, lateness_ms) = (random.pick(&[10_000, 5_000, 20_000]), random.pick(&[0, 3_000]));
        PartialJob::new(PartialParts {
            policy: PartialPolicy::new(window_ms, lateness_ms, random.pick(&[2_000, 0, 9_000])).unwrap(),
            max_future_ms: random.pick(&[20_000, 60_000]),
            earliest_ms: BEGIN_MS + random.pick(&[-100_000, 4_000]),
            misplaced_records: random.pick(&[MisplacedRecords::Count, MisplacedRecords::DeadLetter]),
            source: Arc::new(SourcePartitions::fixed(self.partitions.get())),
            seed: HashSeed::new(seed),
            ..self.job.0.views.clone()
        })
    }

    /// Stage 2 has waited for every source from the start, and has sent nothing.
    fn controls(&self, _topic: &str, _partition: i32) -> Vec<ControlRecord> {
        let policy = MergePolicy::new(self.partitions.get() as usize, 0).unwrap();
        vec![ControlRecord::Policy {
            offset: 0,
            policy: millrace_runtime::processor::policy_to_text(&policy),
            closed_until_ms: None,
        }]
    }

    fn grew(&self, partitions: usize) {
        self.partitions.set(partitions as i32);
    }
}

/// A log of clicks: some late, some sent twice, some elsewhere than their user's, some far ahead or
/// too early, some that nobody can decode. The second half is of after all partitions were there,
/// of which there were fewer `before`.
fn log(partition: i32, before: i32, random: &mut Random) -> Vec<LoggedRecord> {
    let names_by = |partitions| -> (Vec<_>, Vec<_>) {
        (0..40)
            .map(|number| format!("u-{number}"))
            .partition(|name| partition_for(name.as_bytes(), partitions) == partition)
    };
    let (all_before, all_after) = (names_by(before), names_by(SOURCES));
    let mut sent: Vec<Click> = Vec::new();
    let mut log = Vec::new();
    let mut now_ms = BEGIN_MS;
    for number in 0..RECORDS {
        let most_ms = if random.one_in(30) { 90_000 } else { 2_500 };
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
            false => &here[random.below(3)],
        };
        let earlier = sent.len().checked_sub(1 + random.below(20)).map(|at| sent[at]);
        let click = match earlier {
            Some(earlier) if random.one_in(15) => earlier,
            _ => Click {
                event_id: Uuid::from_u128((partition as usize * RECORDS + number) as u128),
                user_id: User::new(user).unwrap(),
                page: Page::new(random.pick(&["/", "/cart", "/löschen"])).unwrap(),
                referrer: None,
                time_ms,
            },
        };
        sent.push(click);
        let mut value = Vec::new();
        click.encode_framed(CLICK_ID, &mut value);
        if random.one_in(20) {
            value.truncate(7);
        }
        log.push(LoggedRecord {
            key: (!random.one_in(20)).then(|| click.user_id.as_str().as_bytes().to_vec()),
            payload: Some(value),
            timestamp_ms: now_ms,
            is_append_time: !random.one_in(20),
        });
    }
    log
}
