//! What can be seen of hand-overs without a broker: a full queue, refusals, and that no opaque is
//! lost.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use millrace_kafka_batch::{BatchConsumer, BatchProducer, Outcome, TopicIndex};
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{Producer, ProducerContext, PurgeConfig};
use rdkafka::{ClientConfig, ClientContext};

/// A context that hears of nothing: reports are taken by the array.
struct Unheard;

impl ClientContext for Unheard {}

impl ProducerContext for Unheard {
    type DeliveryOpaque = Arc<u64>;

    fn delivery(&self, _: &DeliveryResult<'_>, _: Arc<u64>) {}
}

/// A producer whose brokers are not there, and whose queue holds 10 records of up to 1,000 bytes.
fn producer() -> (BatchProducer<Unheard>, TopicIndex) {
    let producer = ClientConfig::new()
        .set("bootstrap.servers", "127.0.0.1:1")
        .set("queue.buffering.max.messages", "10")
        .set("message.max.bytes", "1000")
        .create_with_context(Unheard)
        .unwrap();
    let mut producer = BatchProducer::new(producer).unwrap();
    let topic = producer.add_topic("some-topic", 3).unwrap();
    (producer, topic)
}

/// Records in the queue fail at once, which makes room. Gives their opaques.
fn make_room(producer: &BatchProducer<Unheard>) -> Vec<u64> {
    producer
        .producer()
        .purge(PurgeConfig::default().queue().inflight());
    let mut failed = Vec::new();
    producer.serve(Duration::from_millis(50), |reports| {
        failed.extend(reports.map(|(opaque, error)| {
            let purged = KafkaError::MessageProduction(RDKafkaErrorCode::PurgeQueue);
            assert_eq!(error, Some(purged));
            *opaque
        }));
    });
    failed
}

#[test]
fn a_full_queue_keeps_the_rest_in_order() {
    let (mut producer, topic) = producer();
    for number in 0..35_u64 {
        producer.push(topic, b"one key", &vec![0; number as usize], Arc::new(number));
    }
    let (mut waiting, mut reported) = (35, Vec::new());
    let full = |_: Arc<u64>, error: KafkaError| panic!("refused: {error}");
    while producer.hand_over(topic, full) == Outcome::QueueFull {
        assert_eq!(waiting - producer.waiting(topic), 10);
        waiting = producer.waiting(topic);
        reported.extend(make_room(&producer));
    }
    assert_eq!((waiting, producer.waiting(topic)), (5, 0));
    reported.extend(make_room(&producer));
    assert!(reported.into_iter().eq(0..35), "each once, in order");
}

#[test]
fn what_is_refused_is_given_back_and_holds_nothing_up() {
    let (mut producer, topic) = producer();
    for (number, len) in [(1, 10), (2, 5_000), (3, 20)] {
        producer.push(topic, b"one key", &vec![0; len], Arc::new(number));
    }
    let mut refused = Vec::new();
    let outcome = producer.hand_over(topic, |opaque, error| refused.push((*opaque, error)));
    assert_eq!((outcome, producer.waiting(topic)), (Outcome::Done, 0));
    let too_large = KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge);
    assert_eq!(refused, [(2, too_large)]);
    assert_eq!(make_room(&producer), [1, 3]);
}

#[test]
fn partitions_are_named_or_left_to_the_client() {
    let (mut producer, topic) = producer();
    // The first is beyond those that the topic was added with.
    for (number, partition) in [(1, Some(7)), (2, None), (3, Some(0)), (4, None)] {
        producer.push_to(topic, partition, None, b"value", Arc::new(number));
    }
    assert_eq!(producer.waiting(topic), 4);
    let outcome = producer.hand_over(topic, |_, error| panic!("refused: {error}"));
    assert_eq!((outcome, producer.waiting(topic)), (Outcome::Done, 0));
    let mut reported = make_room(&producer);
    reported.sort_unstable();
    assert_eq!(reported, [1, 2, 3, 4]);
    producer.push_to(topic, None, None, b"value", Arc::new(5));
    producer.clear(|opaque| assert_eq!(*opaque, 5));
    assert_eq!(producer.waiting(topic), 0);
}

#[test]
fn records_with_headers_keep_their_turn_in_a_full_queue_too() {
    let (mut producer, topic) = producer();
    let headers = || {
        OwnedHeaders::new().insert(Header {
            key: "traceparent",
            value: Some("00-01-02-00"),
        })
    };
    for number in 0..35_u64 {
        let headers = (number % 3 == 0).then(headers);
        let partition = producer.partition_of(topic, b"one key");
        let value = vec![0; number as usize];
        producer.push_with(
            topic,
            Some(partition),
            Some(b"one key"),
            &value,
            headers,
            Arc::new(number),
        );
    }
    // One that no record may be as large as, with headers.
    producer.push_with(topic, Some(0), None, &[0; 5_000], Some(headers()), Arc::new(99));
    let (mut reported, mut refused) = (Vec::new(), Vec::new());
    let mut rounds = 0;
    while producer.hand_over(topic, |opaque, error| refused.push((*opaque, error))) == Outcome::QueueFull {
        rounds += 1;
        reported.extend(make_room(&producer));
    }
    reported.extend(make_room(&producer));
    assert!((3..=4).contains(&rounds), "{rounds} times full");
    assert!(
        reported.iter().copied().eq(0..35),
        "each once, in order: {reported:?}"
    );
    let too_large = KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge);
    assert_eq!(refused, [(99, too_large)]);
    let opaque = Arc::new(7);
    producer.push_with(topic, None, None, b"value", Some(headers()), Arc::clone(&opaque));
    let mut cleared = 0;
    producer.clear(|_| cleared += 1);
    assert_eq!((cleared, producer.waiting(topic)), (1, 0));
    producer.push_to(topic, None, None, b"value", Arc::clone(&opaque));
    producer.hand_over(topic, |_, error| panic!("refused: {error}"));
    make_room(&producer);
    assert_eq!(Arc::strong_count(&opaque), 1);
}

#[test]
fn what_is_dropped_gives_its_opaques_back() {
    let (mut producer, topic) = producer();
    let opaque = Arc::new(0);
    for key in 0..100_u8 {
        producer.push(topic, &[key], b"value", Arc::clone(&opaque));
    }
    let mut cleared = 0;
    producer.clear(|_| cleared += 1);
    assert_eq!(
        (cleared, producer.waiting(topic), Arc::strong_count(&opaque)),
        (100, 0, 1)
    );
    for key in 0..5_u8 {
        producer.push(topic, &[key], b"value", Arc::clone(&opaque));
    }
    producer.hand_over(topic, |_, error| panic!("refused: {error}"));
    producer
        .producer()
        .purge(PurgeConfig::default().queue().inflight());
    // Reports that nobody looks at.
    producer.serve(Duration::from_millis(50), |_| {});
    assert_eq!(Arc::strong_count(&opaque), 1);
    producer.push(topic, b"key", b"value", Arc::clone(&opaque));
    drop(producer);
    assert_eq!(Arc::strong_count(&opaque), 1);
}

#[test]
fn ends_of_partitions_are_refused() {
    let consumer = |eof: &str| {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("group.id", "g")
            .set("enable.partition.eof", eof)
            .create()
            .unwrap();
        BatchConsumer::new(consumer).map(|_| ())
    };
    assert_eq!(consumer("false"), Ok(()));
    assert!(
        consumer("true")
            .unwrap_err()
            .to_string()
            .contains("enable.partition.eof must be false")
    );
}

#[test]
fn a_name_that_is_none_is_an_error() {
    let (mut producer, _) = producer();
    assert!(producer.add_topic("zero \0 byte", 1).is_err());
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", "127.0.0.1:1")
        .set("group.id", "g")
        .create()
        .unwrap();
    let consumer = BatchConsumer::new(consumer).unwrap();
    assert!(consumer.route("zero \0 byte", 0).is_err());
    consumer.route("some-topic", 0).unwrap();
    assert!(consumer.fetch(10, Duration::from_millis(5)).is_empty());
}
