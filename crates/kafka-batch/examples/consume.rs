//! What fetching costs: reads a topic from its start to its present end, by the batch or one poll a
//! record.
//!
//! `cargo run --release -p millrace-kafka-batch --example consume -- BOOTSTRAP_SERVERS TOPIC
//! [RECORDS_A_BATCH]`

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement")]

use std::time::{Duration, Instant};

use millrace_kafka_batch::BatchConsumer;
use rdkafka::consumer::{BaseConsumer, Consumer, DefaultConsumerContext};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [servers, topic, rest @ ..] = arguments.as_slice() else {
        println!("usage: consume BOOTSTRAP_SERVERS TOPIC [RECORDS_A_BATCH]");
        return;
    };
    let batch = rest.first().map(|size| size.parse::<usize>().unwrap());
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("group.id", "reader-that-commits-nothing")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("isolation.level", "read_committed")
        .set("fetch.queue.backoff.ms", "20")
        .set("queued.max.messages.kbytes", "32768")
        .create()
        .unwrap();
    let (mut list, mut end) = (TopicPartitionList::new(), 0);
    let metadata = consumer
        .fetch_metadata(Some(topic), Duration::from_secs(10))
        .unwrap();
    let partitions = metadata.topics()[0].partitions();
    for partition in partitions {
        let (low, high) = consumer
            .fetch_watermarks(topic, partition.id(), Duration::from_secs(10))
            .unwrap();
        end += high - low;
        list.add_partition_offset(topic, partition.id(), Offset::Beginning)
            .unwrap();
    }
    let consumer = BatchConsumer::new(consumer).unwrap();
    if batch.is_some() {
        for partition in partitions {
            consumer.route(topic, partition.id()).unwrap();
        }
    }
    consumer.consumer().assign(&list).unwrap();
    let (started, cpu_s) = (Instant::now(), cpu_seconds());
    let (mut records, mut bytes) = (0_i64, 0);
    while records < end {
        let new = match batch {
            Some(size) => by_batch(&consumer, size, &mut bytes),
            None => by_poll(consumer.consumer(), &mut bytes),
        };
        records += new;
    }
    let (wall_s, cpu_s) = (started.elapsed().as_secs_f64(), cpu_seconds() - cpu_s);
    println!(
        "{records} records, {bytes} bytes: {wall_s:.2} s, {cpu_s:.2} CPU seconds, {:.0} records a CPU second",
        records as f64 / cpu_s
    );
}

fn by_batch(consumer: &BatchConsumer<DefaultConsumerContext>, size: usize, bytes: &mut usize) -> i64 {
    let batch = consumer.fetch(size, Duration::from_millis(100));
    for record in batch.iter() {
        let record = record.map_err(|report| report.error).unwrap();
        *bytes += record.payload().unwrap_or_default().len() + record.key().unwrap_or_default().len();
    }
    batch.len() as i64
}

fn by_poll(consumer: &BaseConsumer, bytes: &mut usize) -> i64 {
    let Some(record) = consumer.poll(Duration::from_millis(100)) else {
        return 0;
    };
    let record = record.unwrap();
    *bytes += record.payload_len() + record.key_len();
    1
}

/// User and system time of this process, as Linux counts it in ticks of 1/100 s.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = stat.rsplit(')').next().unwrap();
    let ticks = |field: usize| {
        after_name
            .split_whitespace()
            .nth(field)
            .unwrap()
            .parse::<f64>()
            .unwrap()
    };
    (ticks(11) + ticks(12)) / 100.0
}
