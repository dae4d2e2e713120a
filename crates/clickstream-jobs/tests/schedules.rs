//! Random schedules over the jobs as they run in production: the worker's partitions, and changes
//! of every setting that may be changed, with kills, rebalances, aborted transactions and added
//! partitions between them. What is committed (contributions, sessions, late records, dead
//! letters, the control topics) is, record by record, what an undisturbed run writes that reads the
//! same directives.
//!
//! The variables are those of [`millrace_runtime::simulation`].

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use millrace_clickstream::{Click, Page, Session, User};
use millrace_clickstream_jobs::{Pages, UserVisits};
use millrace_contract::{Contract as _, Encode as _};
use millrace_contract::{Reader, framing};
use millrace_engine::HashSeed;
use millrace_engine::keyed::SessionPolicy;
use millrace_engine::windowed::PartialPolicy;
use millrace_kafka::SourcePartitions;
use millrace_registry::{RegistryConfig, SchemaFetcher, Tls};
use millrace_runtime::JobMetrics;
use millrace_runtime::control::ControlRecord;
use millrace_runtime::keyed::{KeyedJob, KeyedParts, KeyedTopics};
use millrace_runtime::processor::Refusal;
use millrace_runtime::simulation::{
    DEAD_LETTERS, Drawn, OverEvents, Random, SOURCES, assert_repeats, grow, run_schedules, waits_for_all,
};
use millrace_runtime::windowed::{PartialJob, PartialParts, PartialTopics, WindowMetrics};
use millrace_settings::MisplacedRecords;
use uuid::Uuid;

const SCHEDULES: u64 = 2_000;
const CLICK_ID: u32 = 1;
const MERGE_PARTITIONS: i32 = 2;

#[test]
fn sessions_are_committed_as_of_an_undisturbed_run() {
    let (sessions, dead) = (AtomicU64::new(0), AtomicU64::new(0));
    let jobs = Jobs::new();
    let seen = run_schedules(SCHEDULES, |seed| {
        grow(Sessions(&jobs), seed, |mut simulation| {
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
        })
    });
    let [sessions, dead] = [sessions, dead].map(AtomicU64::into_inner);
    eprintln!("sessions, dead letters: {sessions}, {dead}");
    assert!((sessions > 0 && dead > 0) || seen.commits < 10_000, "{seen:?}");
}

#[test]
fn contributions_of_page_views_are_committed_as_of_an_undisturbed_run() {
    let jobs = Jobs::new();
    run_schedules(SCHEDULES, |seed| {
        grow(Views(&jobs), seed, |mut simulation| {
            simulation.run();
            simulation.verify();
            simulation.seen()
        })
    });
}

#[test]
fn one_seed_is_one_schedule() {
    let jobs = Jobs::new();
    assert_repeats(|seed| {
        grow(Sessions(&jobs), seed, |mut simulation| {
            simulation.run();
            vec![simulation.into_trace()]
        })
    });
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
                    late: Some("clickstream.late".to_owned()),
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

fn click(number: u128, user: &str, time_ms: i64, random: &mut Random) -> Click {
    Click {
        event_id: Uuid::from_u128(number),
        user_id: User::new(user).unwrap(),
        page: Page::new(random.pick(&["/", "/cart", "/löschen"])).unwrap(),
        referrer: None,
        time_ms,
    }
}

fn record(click: &Click) -> (Vec<u8>, Vec<u8>) {
    let mut value = Vec::new();
    click.encode_framed(CLICK_ID, &mut value);
    (click.user_id.as_str().as_bytes().to_vec(), value)
}

struct Sessions<'j>(&'j Jobs);

impl OverEvents for Sessions<'_> {
    type Job = KeyedJob<UserVisits>;
    type Event = Click;

    const KEYS: &'static str = "u-";

    fn job(&self, drawn: Drawn, random: &mut Random) -> KeyedJob<UserVisits> {
        let gap_ms = random.pick(&[5_000, 1, 60_000]);
        let (lateness_ms, disorder_ms) = (drawn.allowed_lateness_ms, drawn.max_disorder_ms);
        KeyedJob::new(KeyedParts {
            policy: SessionPolicy::new(gap_ms, lateness_ms, disorder_ms).unwrap(),
            max_future_ms: drawn.max_future_ms,
            earliest_ms: drawn.earliest_ms,
            misplaced_records: drawn.misplaced_records,
            source: drawn.source,
            seed: drawn.seed,
            ..self.0.sessions.clone()
        })
    }

    fn event(&self, number: u128, key: &str, time_ms: i64, random: &mut Random) -> Click {
        click(number, key, time_ms, random)
    }

    fn record(&self, click: &Click) -> (Vec<u8>, Vec<u8>) {
        record(click)
    }

    /// Where sessions lie, and so their order, depends on when the places of others were given
    /// back.
    fn has_one_state(&self) -> bool {
        false
    }
}

struct Views<'j>(&'j Jobs);

impl OverEvents for Views<'_> {
    type Job = PartialJob<Pages>;
    type Event = Click;

    const KEYS: &'static str = "u-";

    fn job(&self, drawn: Drawn, random: &mut Random) -> PartialJob<Pages> {
        let window_ms = random.pick(&[10_000, 5_000, 20_000]);
        let (lateness_ms, disorder_ms) = (drawn.allowed_lateness_ms, drawn.max_disorder_ms);
        PartialJob::new(PartialParts {
            policy: PartialPolicy::new(window_ms, lateness_ms, disorder_ms).unwrap(),
            max_future_ms: drawn.max_future_ms,
            earliest_ms: drawn.earliest_ms,
            misplaced_records: drawn.misplaced_records,
            source: drawn.source,
            seed: drawn.seed,
            ..self.0.views.clone()
        })
    }

    fn event(&self, number: u128, key: &str, time_ms: i64, random: &mut Random) -> Click {
        click(number, key, time_ms, random)
    }

    fn record(&self, click: &Click) -> (Vec<u8>, Vec<u8>) {
        record(click)
    }

    fn controls(&self, partitions: i32) -> Vec<ControlRecord> {
        waits_for_all(partitions)
    }
}
