//! Random schedules over the jobs as they run in production: the worker's partitions, and changes
//! of every setting that may be changed, with kills, rebalances, aborted transactions and added
//! partitions between them. What is committed (contributions, sessions, late records, dead letters,
//! the control topics) is, record by record, what an undisturbed run writes that reads the same
//! directives.
//!
//! The variables are those of [`millrace_runtime::simulation`].

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use millrace_commerce::{
    EventType, Funnel, FunnelSettings, Product, Reached, SalesKey, Segment, ShopEvent, User,
};
use millrace_commerce_jobs::{Sessions, Sold};
use millrace_contract::{Contract as _, Encode as _, Id, Reader, framing};
use millrace_domain::Amount;
use millrace_engine::HashSeed;
use millrace_engine::keyed::OrderedPolicy;
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
const EVENT_ID: u32 = 1;
const MERGE_PARTITIONS: i32 = 2;

#[test]
fn sessions_are_committed_as_of_an_undisturbed_run() {
    let counts: [AtomicU64; 6] = Default::default();
    let parts = sessions();
    let seen = run_schedules(SCHEDULES, |seed| {
        grow(Followed(&parts), seed, |mut simulation| {
            simulation.run();
            simulation.verify();
            for output in simulation.outputs() {
                let at = count_of(output.topic.as_str(), output.key.as_deref(), &output.payload);
                counts[at].fetch_add(1, Ordering::Relaxed);
            }
            simulation.seen()
        })
    });
    let counts = counts.map(AtomicU64::into_inner);
    eprintln!("dead letters, sessions by how far they came: {counts:?}");
    assert!(
        counts.iter().all(|count| *count > 0) || seen.commits < 10_000,
        "{seen:?} {counts:?}"
    );
}

/// What an output is, by its place among the counts.
fn count_of(topic: &str, key: Option<&[u8]>, payload: &[u8]) -> usize {
    if topic == DEAD_LETTERS {
        return 0;
    }
    let (_, body) = framing::split(payload).unwrap();
    let funnel = Funnel::decode(body).unwrap();
    assert_eq!(key, Some(funnel.user_id.as_str().as_bytes()));
    assert!(funnel.start_ms <= funnel.end_ms && funnel.events() > 0);
    match funnel.reached {
        Reached::None => 1,
        Reached::Search => 2,
        Reached::View => 3,
        Reached::Click => 4,
        Reached::Purchase => 5,
    }
}

#[test]
fn contributions_of_revenue_are_committed_as_of_an_undisturbed_run() {
    run_contributions(&contributions::<Segment>(Some("data-stream.late")));
}

/// Without copies of late records, which are those of revenue.
#[test]
fn contributions_of_sales_are_committed_as_of_an_undisturbed_run() {
    run_contributions(&contributions::<Product>(None));
}

fn run_contributions<K: SalesKey>(parts: &PartialParts<Sold<K>>) {
    run_schedules(SCHEDULES, |seed| {
        grow(Contributed(parts), seed, |mut simulation| {
            simulation.run();
            simulation.verify();
            simulation.seen()
        })
    });
}

#[test]
fn one_seed_is_one_schedule() {
    let parts = sessions();
    assert_repeats(|seed| {
        grow(Followed(&parts), seed, |mut simulation| {
            simulation.run();
            vec![simulation.into_trace()]
        })
    });
}

fn reader() -> Reader<ShopEvent> {
    let fetcher = SchemaFetcher::new(RegistryConfig {
        url: "http://127.0.0.1:1".to_owned(),
        username: None,
        password: None,
        timeout_ms: 1,
        tls: Tls::default(),
    });
    Reader::new(fetcher).with_own_schema_id(EVENT_ID)
}

fn sessions() -> KeyedParts<Sessions> {
    let gap = FunnelSettings { session_gap_ms: 1 };
    KeyedParts {
        of: Sessions,
        policy: OrderedPolicy::new(0, 0, gap).unwrap(),
        max_future_ms: 0,
        earliest_ms: 0,
        seed: HashSeed::FIXED,
        topics: KeyedTopics {
            input: "data-stream".to_owned(),
            control: "funnel.control".to_owned(),
            outputs: vec![("funnel".to_owned(), 2)],
        },
        source: Arc::new(SourcePartitions::fixed(SOURCES)),
        refusal: Refusal::DeadLetter,
        misplaced_records: MisplacedRecords::Count,
        reader: reader(),
        metrics: JobMetrics::of("schedules").unwrap(),
        windows: WindowMetrics::of("schedules").unwrap(),
    }
}

fn contributions<K: SalesKey>(late: Option<&str>) -> PartialParts<Sold<K>> {
    PartialParts {
        policy: PartialPolicy::new(60_000, 0, 0).unwrap(),
        max_future_ms: 0,
        earliest_ms: 0,
        seed: HashSeed::FIXED,
        topics: PartialTopics {
            input: "data-stream".to_owned(),
            control: "sales.control".to_owned(),
            partials: "sales.partials".to_owned(),
            partials_control: "sales.partials.control".to_owned(),
            late: late.map(str::to_owned),
        },
        source: Arc::new(SourcePartitions::fixed(SOURCES)),
        upstream: None,
        refusal: Refusal::DeadLetter,
        misplaced_records: MisplacedRecords::Count,
        partials_partitions: MERGE_PARTITIONS,
        schema_id: 3,
        reader: reader(),
        metrics: JobMetrics::of(K::PARTIAL).unwrap(),
        windows: WindowMetrics::of(K::PARTIAL).unwrap(),
    }
}

fn event(number: u128, user: &str, time_ms: i64, random: &mut Random) -> ShopEvent {
    let event_type = random.pick(&[
        EventType::Search,
        EventType::View,
        EventType::View,
        EventType::Click,
        EventType::Purchase,
    ]);
    ShopEvent {
        event_id: Uuid::from_u128(number),
        event_type,
        user_id: User::new(user).unwrap(),
        product_id: Product::new(random.pick(&["p-1", "p-2"])).filter(|_| event_type != EventType::Search),
        price: Amount::from_units(random.pick(&[1, 571_600])),
        // A purchase of nothing is a dead letter.
        quantity: Some(random.pick(&[1, 2, 3, 4, 5, 0])),
        region: Id::new(random.pick(&["EU", "NA"])).unwrap(),
        device: Id::new(random.pick(&["mobile", "desktop"])).unwrap(),
        time_ms,
        query: None,
        product_name: None,
        category: None,
    }
}

fn record(event: &ShopEvent) -> (Vec<u8>, Vec<u8>) {
    let mut value = Vec::new();
    event.encode_framed(EVENT_ID, &mut value);
    (event.user_id.as_str().as_bytes().to_vec(), value)
}

struct Followed<'p>(&'p KeyedParts<Sessions>);

impl OverEvents for Followed<'_> {
    type Job = KeyedJob<Sessions>;
    type Event = ShopEvent;

    const KEYS: &'static str = "u-";

    fn job(&self, drawn: Drawn, random: &mut Random) -> KeyedJob<Sessions> {
        let gap = FunnelSettings {
            session_gap_ms: random.pick(&[5_000, 1_000, 60_000]),
        };
        KeyedJob::new(KeyedParts {
            policy: OrderedPolicy::new(drawn.allowed_lateness_ms, drawn.max_disorder_ms, gap).unwrap(),
            max_future_ms: drawn.max_future_ms,
            earliest_ms: drawn.earliest_ms,
            misplaced_records: drawn.misplaced_records,
            source: drawn.source,
            seed: drawn.seed,
            ..self.0.clone()
        })
    }

    fn event(&self, number: u128, key: &str, time_ms: i64, random: &mut Random) -> ShopEvent {
        event(number, key, time_ms, random)
    }

    fn record(&self, event: &ShopEvent) -> (Vec<u8>, Vec<u8>) {
        record(event)
    }

    /// Where users lie, and so their order, depends on when the places of others were given back.
    fn has_one_state(&self) -> bool {
        false
    }
}

struct Contributed<'p, K: SalesKey>(&'p PartialParts<Sold<K>>);

impl<K: SalesKey> OverEvents for Contributed<'_, K> {
    type Job = PartialJob<Sold<K>>;
    type Event = ShopEvent;

    const KEYS: &'static str = "u-";

    fn job(&self, drawn: Drawn, random: &mut Random) -> PartialJob<Sold<K>> {
        let window_ms = random.pick(&[10_000, 5_000, 20_000]);
        let (lateness_ms, disorder_ms) = (drawn.allowed_lateness_ms, drawn.max_disorder_ms);
        PartialJob::new(PartialParts {
            policy: PartialPolicy::new(window_ms, lateness_ms, disorder_ms).unwrap(),
            max_future_ms: drawn.max_future_ms,
            earliest_ms: drawn.earliest_ms,
            misplaced_records: drawn.misplaced_records,
            source: drawn.source,
            seed: drawn.seed,
            ..self.0.clone()
        })
    }

    fn event(&self, number: u128, key: &str, time_ms: i64, random: &mut Random) -> ShopEvent {
        event(number, key, time_ms, random)
    }

    fn record(&self, event: &ShopEvent) -> (Vec<u8>, Vec<u8>) {
        record(event)
    }

    fn controls(&self, partitions: i32) -> Vec<ControlRecord> {
        waits_for_all(partitions)
    }
}
