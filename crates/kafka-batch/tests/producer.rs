//! What can be seen of hand-overs without a broker: a full queue, refusals, and that no opaque is lost.

#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use millrace_kafka_batch::{BatchConsumer, BatchProducer, Outcome, TopicIndex};
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{Producer, ProducerContext, PurgeConfig};
use rdkafka::{ClientConfig, ClientContext};

/// Keeps what was reported: the opaque, and the value's length.
#[derive(Default)]
struct Reports(Mutex<Vec<(u64, usize)>>);

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = Arc<u64>;

    fn delivery(&self, result: &DeliveryResult<'_>, opaque: Arc<u64>) {
        let (_, message) = result.as_ref().unwrap_err();
        self.0.lock().unwrap().push((*opaque, message.payload_len()));
    }
}

/// A producer whose brokers are not there, and whose queue holds 10 records of up to 1,000 bytes.
fn producer() -> (BatchProducer<Reports>, TopicIndex) {
    let producer = ClientConfig::new()
        .set("bootstrap.servers", "127.0.0.1:1")
        .set("queue.buffering.max.messages", "10")
        .set("message.max.bytes", "1000")
        .create_with_context(Reports::default())
        .unwrap();
    let mut producer = BatchProducer::new(producer).unwrap();
    let topic = producer.add_topic("some-topic", 3).unwrap();
    (producer, topic)
}

/// Records in the queue fail at once, which makes room.
fn make_room(producer: &BatchProducer<Reports>) {
    producer
        .producer()
        .purge(PurgeConfig::default().queue().inflight());
    producer.producer().poll(Duration::from_millis(50));
}

#[test]
fn a_full_queue_keeps_the_rest_in_order() {
    let (mut producer, topic) = producer();
    for number in 0..35_u64 {
        producer.push(topic, b"one key", &vec![0; number as usize], Arc::new(number));
    }
    let mut waiting = 35;
    let full = |_: Arc<u64>, error: KafkaError| panic!("refused: {error}");
    while producer.hand_over(topic, full) == Outcome::QueueFull {
        assert_eq!(waiting - producer.waiting(topic), 10);
        waiting = producer.waiting(topic);
        make_room(&producer);
    }
    assert_eq!((waiting, producer.waiting(topic)), (5, 0));
    make_room(&producer);
    let reports = producer.producer().client().context().0.lock().unwrap().clone();
    let expected: Vec<_> = (0..35).map(|number| (number, number as usize)).collect();
    assert_eq!(reports, expected, "each once, in order, with its own bytes");
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
    make_room(&producer);
    assert_eq!(
        *producer.producer().client().context().0.lock().unwrap(),
        [(1, 10), (3, 20)]
    );
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
