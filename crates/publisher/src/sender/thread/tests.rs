//! A sending thread whose brokers are not there: what it has in flight is bounded, a stop ends it,
//! and a record costs no allocation.

use prometheus::{Histogram, HistogramOpts};
use rdkafka::ClientConfig;

use super::*;
use crate::ledger::testing::Reading;

/// Gives readings without end.
struct Endless {
    given: u64,
    rounds: u64,
}

impl Source for Endless {
    type Entry = Reading;
    type Round = ();

    fn round(&mut self) {
        self.rounds += 1;
    }

    fn next(&mut self, record: &mut Record) -> anyhow::Result<Next<Reading>> {
        self.given += 1;
        record.set_key(b"cellar");
        record.value.extend_from_slice(&self.given.to_be_bytes());
        Ok(Next::Record(Reading::first("cellar", 0, 1)))
    }
}

fn sender(capacity: usize) -> Sender<Endless> {
    let durations = Histogram::with_opts(HistogramOpts::new("x", "x")).unwrap();
    let deliveries = Arc::new(Deliveries::new(capacity, 60_000, durations));
    let producer = ClientConfig::new()
        .set("bootstrap.servers", "127.0.0.1:1")
        .create_with_context(DeliveryContext(Arc::clone(&deliveries)))
        .unwrap();
    let mut producer = BatchProducer::new(producer).unwrap();
    let topic = Topic {
        name: "readings".to_owned(),
        item: "reading",
    };
    Sender {
        topics: vec![(producer.add_topic(&topic.name, 3).unwrap(), topic)],
        producer,
        asides: None,
        source: Endless { given: 0, rounds: 0 },
        deliveries,
        counters: Arc::default(),
        stop: Arc::default(),
    }
}

#[test]
fn no_more_is_taken_from_the_source_than_may_be_in_flight() {
    let mut sender = sender(100);
    let (mut gathered, mut record) = (Gathered::default(), Record::new());
    assert!(matches!(
        sender.gather(&mut gathered, &mut record).unwrap(),
        Pause::Full
    ));
    assert!(matches!(
        sender.gather(&mut gathered, &mut record).unwrap(),
        Pause::Full
    ));
    assert_eq!(
        (sender.source.given, gathered.records, gathered.bytes),
        (100, 100, 100 * (6 + 8))
    );
    sender.hand_over(&mut gathered).unwrap();
    assert_eq!(sender.counters.sent.load(Ordering::Relaxed), 100);
    assert_eq!(sender.deliveries.in_flight(), 100);
}

#[test]
fn what_a_stop_leaves_unsent_is_in_no_count() {
    let mut sender = sender(100);
    let (mut gathered, mut record) = (Gathered::default(), Record::new());
    sender.gather(&mut gathered, &mut record).unwrap();
    assert_eq!(sender.deliveries.in_flight(), 100);
    let (stop, deliveries) = (Arc::clone(&sender.stop), Arc::clone(&sender.deliveries));
    stop.hurry();
    // Nothing was handed over, so that there is no outcome to wait for.
    sender.run().unwrap();
    assert_eq!(deliveries.in_flight(), 0);
    let tally = deliveries.take_tally();
    assert_eq!((tally.acknowledged, tally.failed), (0, 0));
}

#[test]
fn a_record_costs_no_allocation() {
    let mut sender = sender(GATHERED_RECORDS as usize);
    let (mut gathered, mut record) = (Gathered::default(), Record::new());
    // Buffers grow to their size, and windows have their place.
    for round in 0..3 {
        let found = allocation_counter::measure(|| {
            let pause = sender.gather(&mut gathered, &mut record).unwrap();
            assert!(matches!(pause, Pause::Enough));
            let slots = 0..GATHERED_RECORDS as usize;
            sender.deliveries.settle(slots.map(|slot| (slot, None)));
        });
        assert!(round == 0 || found.count_total == 0, "{found:?}");
        gathered = Gathered::default();
        sender
            .producer
            .clear(|slot| assert!(sender.deliveries.release(slot).is_none()));
    }
    assert_eq!(sender.source.rounds, 3);
    assert_eq!(sender.deliveries.take_tally().acknowledged, 3 * GATHERED_RECORDS);
}

#[test]
fn a_topic_that_there_is_not_ends_the_run_and_not_the_process() {
    struct Elsewhere;

    impl Source for Elsewhere {
        type Entry = Reading;
        type Round = ();

        fn round(&mut self) {}

        fn next(&mut self, record: &mut Record) -> anyhow::Result<Next<Reading>> {
            record.topic = 7;
            Ok(Next::Record(Reading::first("cellar", 0, 1)))
        }
    }

    let Sender {
        producer,
        topics,
        deliveries,
        counters,
        stop,
        ..
    } = sender(10);
    let sender = Sender {
        producer,
        topics,
        asides: None,
        source: Elsewhere,
        deliveries,
        counters,
        stop,
    };
    let error = sender.run().unwrap_err().to_string();
    assert_eq!(error, "a record is for topic 7 of 1");
}
