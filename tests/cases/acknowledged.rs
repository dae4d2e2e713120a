//! The acknowledged sender on real brokers, with records that are no transactions: who asks for one
//! to be sent waits for its own acknowledgement, as a request over HTTP does.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use millrace_catalog::TopicSpec;
use millrace_kafka::admin::ensure_topics;
use millrace_kafka::client::{Properties, idempotent_producer_config};
use millrace_kafka::{partition_for, topic_name};
use millrace_publisher::ledger::{Heading, Ledger, LedgerFile, is_running};
use millrace_publisher::{
    Class, Entry, Lanes, Metrics, Names, Next, Partition, Record, Source, Spec, Supervisor, Topic, Topics,
};
use millrace_telemetry::{Health, Shutdown};
use millrace_tests::{TestContext, topics};
use rdkafka::message::{Header, OwnedHeaders};
use tokio::sync::oneshot;

const LETTERS: TopicSpec = topic("letters");
const PARCELS: TopicSpec = topic("parcels");
const STAMPS: TopicSpec = topic("stamps");
const NAMES: Names = Names {
    sent: "post_sent_total",
    bytes: "post_bytes_total",
    acknowledged: "post_acknowledged_total",
    failed: "post_failed_total",
    queue_full: "post_queue_full_total",
    queue: "post_queue_records",
    durations: "post_delivery_duration_seconds",
    asides: "stamps",
};
/// Requests that wait for their turn at one thread.
const WAITING: usize = 16;
const REQUESTS: u32 = 2_000;
/// Of these so many are under way at once.
const AT_ONCE: usize = 64;
/// How long one acknowledgement may take.
const LIMIT: Duration = Duration::from_secs(60);

const fn topic(name: &'static str) -> TopicSpec {
    TopicSpec {
        name,
        partitions: 4,
        compacted: false,
        log_append_time: false,
        takes_copies: false,
        value_schema: None,
        is_written_by_others: false,
    }
}

/// One to be sent, and who waits for it.
struct Request {
    number: u32,
    answer: oneshot::Sender<Result<(), String>>,
}

/// A request in flight.
struct Posted {
    number: u32,
    class: Class,
    answer: Option<oneshot::Sender<Result<(), String>>>,
}

impl Entry for Posted {
    /// The topic.
    type Key = usize;
    type Sums = u64;
    type Line = (i64, usize, u64);

    fn class(&self) -> Class {
        self.class
    }

    fn event_time_ms(&self) -> i64 {
        0
    }

    fn key(&self) -> usize {
        topic_of(self.number)
    }

    fn add_to(&self, sum: &mut u64) {
        *sum += u64::from(self.number);
    }

    fn merge(sum: &mut u64, other: &u64) {
        *sum += other;
    }

    fn line(start_ms: i64, topic: usize, sum: &u64) -> (i64, usize, u64) {
        (start_ms, topic, *sum)
    }

    fn settled(self, outcome: Result<(), &str>) {
        if let Some(answer) = self.answer {
            // Who has gone away is told nothing.
            let _ = answer.send(outcome.map_err(str::to_owned));
        }
    }
}

fn topic_of(number: u32) -> usize {
    usize::from(number.is_multiple_of(3))
}

fn key_of(number: u32) -> String {
    format!("addressee-{}", number % 7)
}

/// By number: by the key, a partition of its own, or any without a key.
fn place_of(number: u32) -> Partition {
    match number % 10 {
        8 => Partition::Number(3),
        9 => Partition::Any,
        _ => Partition::OfKey,
    }
}

/// Some come with one.
fn trace_of(number: u32) -> Option<String> {
    (number % 4 == 1).then(|| format!("00-{number:032x}-0000000000000001-01"))
}

/// What one thread is given.
struct Inbox {
    requests: Receiver<Request>,
    next: Option<Request>,
    stamped: Option<u32>,
}

impl Source for Inbox {
    type Entry = Posted;
    type Round = ();

    fn round(&mut self) {}

    fn next(&mut self, record: &mut Record) -> Result<Next<Posted>> {
        let Request { number, answer } = match self.next.take() {
            Some(request) => request,
            None => match self.requests.try_recv() {
                Ok(request) => request,
                Err(TryRecvError::Empty) => return Ok(Next::Wait(Duration::from_millis(20))),
                Err(TryRecvError::Disconnected) => return Ok(Next::End),
            },
        };
        record.topic = topic_of(number);
        record.partition = place_of(number);
        record.value.extend_from_slice(number.to_string().as_bytes());
        if record.partition != Partition::Any {
            record.set_key(key_of(number).as_bytes());
        }
        if let Some(trace) = trace_of(number) {
            let header = Header {
                key: "traceparent",
                value: Some(&trace),
            };
            record.headers = Some(OwnedHeaders::new().insert(header));
        }
        self.stamped = number.is_multiple_of(100).then_some(number);
        Ok(Next::Record(Posted {
            number,
            class: Class::First,
            answer: Some(answer),
        }))
    }

    fn next_aside(&mut self, record: &mut Record) -> Option<Posted> {
        let number = self.stamped.take()?;
        record.set_key(key_of(number).as_bytes());
        record.value.extend_from_slice(b"stamp");
        Some(Posted {
            number,
            class: Class::Aside,
            answer: None,
        })
    }

    /// Until somebody asks.
    fn wait(&mut self, time: Duration) {
        match self.requests.recv_timeout(time) {
            Ok(request) => self.next = Some(request),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
    }
}

fn spec(context: &TestContext, metrics: &Metrics) -> Result<Spec> {
    let kafka = &context.settings.kafka;
    let named = |spec: TopicSpec, item| Topic {
        name: topic_name(kafka, spec.name),
        item,
    };
    Ok(Spec {
        client: idempotent_producer_config(kafka, &Properties::new())?,
        topics: Topics {
            records: vec![named(LETTERS, "letter"), named(PARCELS, "parcel")],
            asides: Some(named(STAMPS, "stamp")),
        },
        durations: metrics.durations(),
        window_ms: 60_000,
    })
}

fn supervisor(context: &TestContext, run_id: &str, metrics: Metrics) -> Result<Supervisor<Posted>> {
    let heading = Heading {
        run_id: run_id.to_owned(),
        started_ms: 1,
        run_in_ids: None,
        topic: topic_name(&context.settings.kafka, LETTERS.name),
        window_ms: 60_000,
    };
    let ledger = Ledger::create(&context.path("ledgers"), &heading)?;
    let health = Health::new("post").component("kafka");
    Ok(Supervisor::new(ledger, metrics, health, None))
}

/// Sends a request and waits for its own answer.
async fn post(inbox: SyncSender<Request>, number: u32) -> Result<()> {
    let (answer, answered) = oneshot::channel();
    // Full is back-pressure.
    tokio::task::spawn_blocking(move || inbox.send(Request { number, answer })).await??;
    let outcome = tokio::time::timeout(LIMIT, answered).await??;
    outcome.map_err(anyhow::Error::msg)
}

/// Each who asks is answered once the brokers have the record, which is there once and where it was
/// to go; the ledger has all of them; and a run ends when nobody can ask any more.
pub(super) async fn requests_wait_for_their_own_records(context: TestContext) -> Result<()> {
    ensure_topics(&context.settings.kafka, &[LETTERS, PARCELS, STAMPS])?;
    let metrics = Metrics::register(NAMES)?;
    let spec = spec(&context, &metrics)?;
    let (first, second) = (sync_channel(WAITING), sync_channel(WAITING));
    let sources = [first.1, second.1].map(|requests| Inbox {
        requests,
        next: None,
        stamped: None,
    });
    let prepared = tokio::task::spawn_blocking(move || Lanes::prepare(&spec, sources.into()));
    let mut lanes = prepared.await??;
    ensure!(lanes.len() == 2);
    lanes.start()?;
    let supervisor = supervisor(&context, "run", metrics)?;
    let ledger = context.path("ledgers").join("run.json");
    ensure!(is_running(&ledger));
    let shutdown = Shutdown::new();
    let watched = async {
        let mut last = None;
        let ended = supervisor
            .watch(lanes, &shutdown, |state| last = Some(state))
            .await?;
        anyhow::Ok((ended, last.context("no state was seen")?))
    };
    let asked = async {
        // One alone is answered before anything else is asked for.
        post(first.0.clone(), 0).await?;
        let inboxes = [first.0, second.0];
        let asked = (1..REQUESTS).map(|number| post(inboxes[number as usize % 2].clone(), number));
        stream::iter(asked)
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await
    };
    let ((ended, state), ()) = tokio::try_join!(watched, asked)?;
    ensure!(ended.failure.is_none(), "{:?}", ended.failure);
    let expected = u64::from(REQUESTS);
    ensure!(
        (state.sent, state.acknowledged, state.failed, state.queue) == (expected, expected, 0, 0),
        "{state:?}"
    );

    let file: LedgerFile<(i64, usize, u64)> = serde_json::from_slice(&std::fs::read(&ledger)?)?;
    ensure!(file.finished && !is_running(&ledger));
    ensure!(
        (file.acknowledged, file.labels, file.failed) == (expected, expected / 100, 0),
        "{file:?}"
    );
    let sum = |topic| {
        (0..REQUESTS)
            .filter(|number| topic_of(*number) == topic)
            .map(u64::from)
            .sum::<u64>()
    };
    ensure!(
        file.windows == [(0, 0, sum(0)), (0, 1, sum(1))],
        "{:?}",
        file.windows
    );
    check_topics(&context).await
}

async fn check_topics(context: &TestContext) -> Result<()> {
    let mut found = BTreeMap::new();
    for (at, spec) in [LETTERS, PARCELS].iter().enumerate() {
        for record in topics::read(&context.settings, spec.name).await? {
            let number: u32 = std::str::from_utf8(&record.payload)?.parse()?;
            ensure!(topic_of(number) == at, "{number} is in {}", spec.name);
            let key = key_of(number);
            let (expected_key, expected) = match place_of(number) {
                Partition::OfKey => (Some(&key), partition_for(key.as_bytes(), 4)),
                Partition::Number(partition) => (Some(&key), partition as i32),
                Partition::Any => (None, record.partition),
            };
            ensure!(
                record.partition == expected,
                "{number} is in partition {}",
                record.partition
            );
            ensure!(record.header("traceparent") == trace_of(number), "{record:?}");
            ensure!(record.key.as_deref() == expected_key.map(String::as_bytes));
            *found.entry(number).or_insert(0) += 1;
        }
    }
    ensure!(found.len() == REQUESTS as usize && found.values().all(|&count| count == 1));
    let stamps = topics::read(&context.settings, STAMPS.name).await?;
    ensure!(stamps.len() == REQUESTS as usize / 100);
    ensure!(
        stamps
            .iter()
            .all(|stamp| stamp.payload == b"stamp" && stamp.key.is_some())
    );
    Ok(())
}

/// A topic that is not there is named before anything is sent; a record that the client refuses
/// ends the run, and who waits for it learns that it was not sent.
pub(super) async fn what_cannot_be_sent_is_told(context: TestContext) -> Result<()> {
    let metrics = Metrics::register(NAMES)?;
    let inbox = || {
        let (inbox, requests) = sync_channel(WAITING);
        let source = Inbox {
            requests,
            next: None,
            stamped: None,
        };
        (inbox, source)
    };
    let missing = spec(&context, &metrics)?;
    let source = inbox().1;
    let prepared = tokio::task::spawn_blocking(move || Lanes::prepare(&missing, vec![source])).await?;
    let error = prepared.err().context("a topic was made up")?.to_string();
    ensure!(
        error.contains("letters") && error.contains("millrace init"),
        "{error}"
    );

    ensure_topics(&context.settings.kafka, &[LETTERS, PARCELS, STAMPS])?;
    let mut small = spec(&context, &metrics)?;
    // Less than librdkafka adds to any record.
    small.client.set("message.max.bytes", "1000");
    let (asking, source) = inbox();
    let source = Large(source);
    let prepared = tokio::task::spawn_blocking(move || Lanes::prepare(&small, vec![source]));
    let mut lanes = prepared.await??;
    lanes.start()?;
    let (answer, answered) = oneshot::channel();
    asking.send(Request { number: 1, answer })?;
    let supervisor = supervisor(&context, "large", metrics)?;
    let ended = supervisor.watch(lanes, &Shutdown::new(), |_| {}).await?;
    let failure = format!("{:#}", ended.failure.context("it was sent")?);
    ensure!(
        failure.contains("a letter could not be sent to") && failure.contains("letters"),
        "{failure}"
    );
    ensure!(failure.contains("MessageSizeTooLarge"), "{failure}");
    ensure!(answered.await.is_err(), "dropped, as it was never sent");
    let totals = ended.ledger.totals();
    ensure!(
        totals.finished && (totals.acknowledged, totals.failed) == (0, 0),
        "{totals:?}"
    );
    Ok(())
}

/// An inbox whose records are large.
struct Large(Inbox);

impl Source for Large {
    type Entry = Posted;
    type Round = ();

    fn round(&mut self) {}

    fn next(&mut self, record: &mut Record) -> Result<Next<Posted>> {
        let next = self.0.next(record)?;
        record.value.resize(2_000, b'x');
        Ok(next)
    }

    fn wait(&mut self, time: Duration) {
        self.0.wait(time);
    }
}
