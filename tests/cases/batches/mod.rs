//! Batches to and from the real brokers: nothing is lost, doubled or out of order, with a queue
//! that fills up and with members that come and go.

mod member;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use millrace_catalog::TopicSpec;
use millrace_kafka::admin::ensure_topics;
use millrace_kafka::client::idempotent_producer_config;
use millrace_kafka::topic_name;
use millrace_kafka_batch::{BatchProducer, Outcome, TopicIndex, partition_for};
use millrace_settings::Settings;
use millrace_tests::pipeline::LIMIT;
use millrace_tests::{TestContext, topics, wait_until};
use rdkafka::ClientContext;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::ProducerContext;

use member::Member;

const TOPIC: TopicSpec = TopicSpec {
    name: "batches",
    partitions: 6,
    compacted: false,
    log_append_time: false,
    takes_copies: false,
    value_schema: None,
    is_written_by_others: false,
};
/// By partition and by whether that was named: keys and values.
type Places = BTreeMap<(i32, bool), Vec<(Option<String>, String)>>;

/// Records of a hand-over, of which only a part goes into the queue.
const ROUND: u64 = 700;

/// Records are sent with their numbers; reports are taken by the array, so that none comes here.
struct Numbered;

impl ClientContext for Numbered {}

impl ProducerContext for Numbered {
    type DeliveryOpaque = usize;

    fn delivery(&self, _: &DeliveryResult<'_>, number: usize) {
        unreachable!("record {number} is reported alone");
    }
}

struct Source {
    producer: BatchProducer<Numbered>,
    /// What was reported of each record: its number, and whether it was acknowledged.
    reports: Vec<(usize, bool)>,
    topic: TopicIndex,
    sent: u64,
    /// Rounds that did not fit into the queue at once.
    full: u64,
}

impl Source {
    fn new(settings: &Settings) -> Result<Self> {
        ensure_topics(&settings.kafka, &[TOPIC])?;
        // Too small for what is handed over, so that it is full all the time.
        let properties = [("queue.buffering.max.messages", "300"), ("linger.ms", "1")];
        let properties = properties
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let config = idempotent_producer_config(&settings.kafka, &properties)?;
        let mut producer = BatchProducer::new(config.create_with_context(Numbered)?)?;
        let topic = producer.add_topic(
            &topic_name(&settings.kafka, TOPIC.name),
            TOPIC.partitions as usize,
        )?;
        Ok(Self {
            producer,
            reports: Vec::new(),
            topic,
            sent: 0,
            full: 0,
        })
    }

    /// Sends a round of numbered records, keyed by one of 97 keys, and waits for room where there
    /// is none.
    fn round(&mut self) -> Result<()> {
        for number in self.sent..self.sent + ROUND {
            let value = number.to_string();
            let key = format!("key-{}", number % 97);
            self.producer
                .push(self.topic, key.as_bytes(), value.as_bytes(), number as usize);
        }
        self.hand_over()
    }

    /// As [`Source::round`], but where [`place`] says.
    fn round_to_places(&mut self) -> Result<()> {
        for number in self.sent..self.sent + ROUND {
            let (partition, key) = place(number);
            let (key, value) = (key.as_deref().map(str::as_bytes), number.to_string());
            self.producer
                .push_to(self.topic, partition, key, value.as_bytes(), number as usize);
        }
        self.hand_over()
    }

    fn hand_over(&mut self) -> Result<()> {
        self.sent += ROUND;
        let (mut refused, mut is_full) = (None, false);
        while self
            .producer
            .hand_over(self.topic, |_, error| refused = Some(error))
            == Outcome::QueueFull
        {
            is_full = true;
            self.serve();
        }
        self.full += u64::from(is_full);
        refused.map_or(Ok(()), |error| Err(error.into()))
    }

    fn serve(&mut self) {
        let new = &mut self.reports;
        self.producer.serve(Duration::from_millis(2), |reports| {
            new.extend(reports.map(|(number, error)| (number, error.is_none())));
        });
    }

    /// Waits for every report, and checks that each record has one and was acknowledged.
    fn finish(mut self) -> Result<u64> {
        let start = Instant::now();
        while self.reports.len() < self.sent as usize && start.elapsed() < LIMIT {
            self.serve();
        }
        self.reports.sort_unstable();
        let expected = (0..self.sent as usize).map(|number| (number, true));
        ensure!(
            self.reports.into_iter().eq(expected),
            "not every record was acknowledged once"
        );
        let rounds = self.sent / ROUND;
        ensure!(
            2 * self.full > rounds,
            "the queue was full in {} of {rounds} rounds",
            self.full
        );
        Ok(self.sent)
    }
}

/// Sends so many rounds, and waits until each record is acknowledged; how many there were.
async fn send(context: &TestContext, rounds: usize, round: fn(&mut Source) -> Result<()>) -> Result<u64> {
    let settings = context.settings.clone();
    tokio::task::spawn_blocking(move || {
        let mut source = Source::new(&settings)?;
        (0..rounds).try_for_each(|_| round(&mut source))?;
        source.finish()
    })
    .await?
}

/// A partition that is named and no key, or a key and no partition.
fn place(number: u64) -> (Option<u32>, Option<String>) {
    if number.is_multiple_of(2) {
        (Some((number / 2 % TOPIC.partitions as u64) as u32), None)
    } else {
        (None, Some(format!("key-{}", number % 97)))
    }
}

/// Records go to the partition that is named, with or without a key, or else where their key
/// belongs; those that go one of the two ways are in order.
pub(super) async fn go_where_they_are_named(context: TestContext) -> Result<()> {
    let sent = send(&context, 5, Source::round_to_places).await?;
    let mut expected = Places::new();
    for number in 0..sent {
        let (named, key) = place(number);
        let of_key = |key: &String| partition_for(key.as_bytes(), TOPIC.partitions);
        let partition = named.map(|named| named as i32).or(key.as_ref().map(of_key));
        let place = (partition.context("neither")?, named.is_some());
        expected.entry(place).or_default().push((key, number.to_string()));
    }
    let mut found = Places::new();
    for record in topics::read(&context.settings, TOPIC.name).await? {
        let key = record.key.map(String::from_utf8).transpose()?;
        let place = (record.partition, key.is_none());
        let value = String::from_utf8(record.payload)?;
        found.entry(place).or_default().push((key, value));
    }
    ensure!(
        found == expected,
        "the log does not hold what was sent, where it was to be"
    );
    Ok(())
}

/// With a queue that is full most of the time, every record is reported once and is in the log
/// once, in the partition of its key and in order within it.
pub(super) async fn are_sent_once_in_order(context: TestContext) -> Result<()> {
    let sent = send(&context, 40, Source::round).await?;
    let mut expected: BTreeMap<i32, Vec<String>> = BTreeMap::new();
    for number in 0..sent {
        let key = format!("key-{}", number % 97);
        let partition = partition_for(key.as_bytes(), TOPIC.partitions);
        expected.entry(partition).or_default().push(number.to_string());
    }
    let mut found: BTreeMap<i32, Vec<String>> = BTreeMap::new();
    for record in topics::read(&context.settings, TOPIC.name).await? {
        found
            .entry(record.partition)
            .or_default()
            .push(String::from_utf8(record.payload)?);
    }
    ensure!(found == expected, "the log does not hold what was sent, in order");
    Ok(())
}

/// While records stream in, members of a cooperative group join and leave. Each record is consumed
/// by one of them, once, and none comes from a partition that its member does not hold.
pub(super) async fn follow_their_partitions(context: TestContext) -> Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    let (settings, stopped) = (context.settings.clone(), Arc::clone(&stop));
    // Made first: the members need the topic.
    let mut source = tokio::task::spawn_blocking(move || Source::new(&settings)).await??;
    let sending: JoinHandle<Result<u64>> = std::thread::spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            source.round()?;
        }
        source.finish()
    });
    let outcome = come_and_go(&context).await;
    stop.store(true, Ordering::Relaxed);
    let sent = tokio::task::spawn_blocking(|| sending.join()).await?;
    let sent = sent.map_err(|_| anyhow!("the sending thread panicked"))??;
    let (mut gone, present) = outcome?;
    let total = |members: &[Member]| members.iter().map(Member::count).sum::<u64>();
    let before = total(&gone);
    wait_until("the members to reach the end", LIMIT, || async {
        Ok((before + total(&present) >= sent).then_some(()))
    })
    .await?;
    gone.extend(present);
    let mut seen: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
    for member in gone {
        for (partition, offset) in member.leave().await? {
            seen.entry(partition).or_default().push(offset);
        }
    }
    for (partition, offsets) in &mut seen {
        offsets.sort_unstable();
        let whole = offsets.iter().copied().eq(0..offsets.len() as i64);
        ensure!(
            whole,
            "partition {partition}: an offset is missing, or came twice"
        );
    }
    let count: usize = seen.values().map(Vec::len).sum();
    ensure!(count as u64 == sent, "{count} records were consumed of {sent}");
    Ok(())
}

/// Three members join one after the other, and the first leaves. The second pair is still there.
async fn come_and_go(context: &TestContext) -> Result<(Vec<Member>, Vec<Member>)> {
    let topic = topic_name(&context.settings.kafka, TOPIC.name);
    let start = |name: &str| Member::start(&context.settings, &topic, name);
    let first = start("first")?;
    first.wait_for(5_000, TOPIC.partitions as usize).await?;
    let second = start("second")?;
    second.wait_for(2_000, 3).await?;
    let third = start("third")?;
    third.wait_for(2_000, 2).await.context("with three members")?;
    first.stop();
    wait_until("the others to take over", LIMIT, || async {
        let held = second.held() + third.held();
        Ok((first.held() == 0 && held == TOPIC.partitions as usize).then_some(()))
    })
    .await?;
    third.wait_for(third.count() + 2_000, 3).await?;
    Ok((vec![first], vec![second, third]))
}
