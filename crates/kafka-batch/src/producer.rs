//! Records gathered by partition and handed over a partition at a time.
//!
//! With a thousand records of one partition in a call, librdkafka looks the partition up once, and
//! the thread that sends wakes for the first of them alone. The bytes are copied into the batch,
//! and by librdkafka into its queue. A record with headers goes in its turn, alone: the call for
//! many takes none.

use std::collections::VecDeque;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::time::Duration;

use rdkafka::IntoOpaque;
use rdkafka::bindings;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::types::{RDKafkaErrorCode, RDKafkaMessage, RDKafkaRespErr};

use crate::events::{Event, Reports};
use crate::native::{Queue, Topic};
use crate::partition_for;

/// Most records of a call.
const MAX_CALL: usize = 10_000;
/// The number of no partition, for which the client picks one (`RD_KAFKA_PARTITION_UA`, a macro).
const UNASSIGNED: i32 = -1;

/// What became of a hand-over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Everything is in the client's queue, but for what was refused.
    Done,
    /// The client's queue is full. What did not go in is kept, in order, for the next call.
    QueueFull,
}

/// A topic that records are gathered for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicIndex(usize);

/// A record that waits: whether it has a key and headers, where its bytes end, and its opaque as a
/// pointer.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    has_key: bool,
    has_headers: bool,
    key_end: usize,
    value_end: usize,
    opaque: *mut c_void,
}

/// What waits for one partition: keys and values, one after the other, and the records they belong
/// to.
#[derive(Debug, Default)]
struct Lane {
    bytes: Vec<u8>,
    records: Vec<Waiting>,
    /// Of those that have any, in their order.
    headers: VecDeque<OwnedHeaders>,
    /// How many of `records` have been handed over or refused, and what is past their last byte.
    done: usize,
    done_bytes: usize,
}

impl Lane {
    #[inline]
    fn push(&mut self, key: Option<&[u8]>, value: &[u8], headers: Option<OwnedHeaders>, opaque: *mut c_void) {
        self.bytes.extend_from_slice(key.unwrap_or_default());
        let key_end = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.records.push(Waiting {
            has_key: key.is_some(),
            has_headers: headers.is_some(),
            key_end,
            value_end: self.bytes.len(),
            opaque,
        });
        self.headers.extend(headers);
    }

    fn waiting(&self) -> &[Waiting] {
        &self.records[self.done..]
    }

    /// Counts the next waiting record as dealt with.
    fn advance(&mut self) {
        self.done_bytes = self.records[self.done].value_end;
        self.done += 1;
        if self.done == self.records.len() {
            (self.done, self.done_bytes) = (0, 0);
            self.records.clear();
            self.bytes.clear();
        }
    }
}

#[derive(Debug)]
struct TopicLanes {
    topic: Topic,
    name: String,
    /// That [`BatchProducer::push`] chooses from.
    partitions: i32,
    /// The first for partitions that the client picks, then by partition.
    lanes: Vec<Lane>,
    waiting: usize,
}

/// A producer with records waiting to be handed over. The delivery of each is reported as if it had
/// been sent alone.
pub struct BatchProducer<C: ProducerContext + 'static> {
    // Fields are dropped in this order: topics and queue have to go before their client.
    topics: Vec<TopicLanes>,
    events: Queue,
    /// Room for what a call is given; empty in between.
    messages: Vec<RDKafkaMessage>,
    producer: BaseProducer<C>,
}

// SAFETY: topics and producer may be used from any thread, an opaque is `Send` by its trait, and
// the room is empty.
unsafe impl<C: ProducerContext + 'static> Send for BatchProducer<C> {}

impl<C: ProducerContext + 'static> BatchProducer<C> {
    /// A producer without topics.
    ///
    /// # Errors
    /// librdkafka has no memory for a reference to its queue.
    pub fn new(producer: BaseProducer<C>) -> KafkaResult<Self> {
        // SAFETY: the producer is live, and dropped after the queue.
        let events = unsafe { Queue::of_events(producer.client().native_ptr()) }
            .ok_or_else(|| KafkaError::ClientCreation("no queue of events".to_owned()))?;
        Ok(Self {
            topics: Vec::new(),
            events,
            messages: Vec::new(),
            producer,
        })
    }

    /// Serves every event there is, waiting for the first, `timeout` at most. `reported` gets
    /// delivery reports by the array; the context hears of everything else, as when the producer is
    /// polled.
    pub fn serve(&self, timeout: Duration, mut reported: impl FnMut(Reports<'_, C::DeliveryOpaque>)) {
        const {
            assert!(
                !C::ENABLE_REFRESH_OAUTH_TOKEN,
                "tokens are refreshed by polling alone"
            );
        };
        let (mut room, mut timeout) = (Vec::new(), timeout);
        while let Some(event) = Event::next(&self.events, timeout) {
            if event.is_reports() {
                // SAFETY: records are sent with opaques of this type alone, and the reports are
                // taken once.
                reported(unsafe { event.reports::<C::DeliveryOpaque>(&mut room) });
            } else {
                event.tell(&**self.producer.context());
            }
            timeout = Duration::ZERO;
        }
    }

    /// The producer itself. To be served, or else polled: a poll gives the reports to its context,
    /// one by one.
    pub fn producer(&self) -> &BaseProducer<C> {
        &self.producer
    }

    /// Adds a topic of `partitions` partitions, for [`BatchProducer::push`] to choose from.
    ///
    /// # Errors
    /// A name that is none.
    pub fn add_topic(&mut self, name: &str, partitions: usize) -> KafkaResult<TopicIndex> {
        // SAFETY: the producer is live, and dropped after the topics.
        let topic = unsafe { Topic::new(self.producer.client().native_ptr(), name) }?;
        self.topics.push(TopicLanes {
            topic,
            name: name.to_owned(),
            partitions: partitions.max(1) as i32,
            lanes: Vec::new(),
            waiting: 0,
        });
        Ok(TopicIndex(self.topics.len() - 1))
    }

    /// Number of records that wait for a topic.
    #[must_use]
    pub fn waiting(&self, topic: TopicIndex) -> usize {
        self.topics[topic.0].waiting
    }

    /// Adds a record, for the partition that [`partition_for`] sends its key to; its bytes are
    /// copied. There is no bound but the caller's: see [`BatchProducer::waiting`].
    #[inline]
    pub fn push(&mut self, topic: TopicIndex, key: &[u8], value: &[u8], opaque: C::DeliveryOpaque) {
        let partition = self.partition_of(topic, key);
        self.push_to(topic, Some(partition), Some(key), value, opaque);
    }

    /// The partition of a topic that [`BatchProducer::push`] sends a key to.
    #[inline]
    #[must_use]
    pub fn partition_of(&self, topic: TopicIndex, key: &[u8]) -> u32 {
        partition_for(key, self.topics[topic.0].partitions) as u32
    }

    /// As [`BatchProducer::push`], for a partition that the caller names, or else for one that the
    /// client's own partitioner picks. Records of one partition keep their order only if all are
    /// sent in the same of these ways.
    #[inline]
    pub fn push_to(
        &mut self,
        topic: TopicIndex,
        partition: Option<u32>,
        key: Option<&[u8]>,
        value: &[u8],
        opaque: C::DeliveryOpaque,
    ) {
        self.push_with(topic, partition, key, value, None, opaque);
    }

    /// As [`BatchProducer::push_to`], with headers if there are any. They change nothing in the
    /// order.
    #[inline]
    pub fn push_with(
        &mut self,
        topic: TopicIndex,
        partition: Option<u32>,
        key: Option<&[u8]>,
        value: &[u8],
        headers: Option<OwnedHeaders>,
        opaque: C::DeliveryOpaque,
    ) {
        let topic = &mut self.topics[topic.0];
        let lane = partition.map_or(0, |partition| partition as usize + 1);
        if topic.lanes.len() <= lane {
            topic.lanes.resize_with(lane + 1, Lane::default);
        }
        topic.lanes[lane].push(key, value, headers, opaque.into_ptr());
        topic.waiting += 1;
    }

    /// Hands over what waits for a topic. `refused` gets the opaque of each record that the client
    /// does not take, and why: it has gone from the batch, and no report will come.
    pub fn hand_over(
        &mut self,
        topic: TopicIndex,
        mut refused: impl FnMut(C::DeliveryOpaque, KafkaError),
    ) -> Outcome {
        let topic = &mut self.topics[topic.0];
        for (partition, lane) in (UNASSIGNED..).zip(&mut topic.lanes) {
            while let Some(first) = lane.waiting().first() {
                if first.has_headers {
                    match send_alone(&self.producer, &topic.name, partition, lane) {
                        Ok(()) => {}
                        Err(None) => return Outcome::QueueFull,
                        Err(Some((opaque, error))) => refused(opaque, error),
                    }
                    lane.advance();
                    topic.waiting -= 1;
                    continue;
                }
                fill(&mut self.messages, lane);
                // SAFETY: the messages point into the lane, which is not changed meanwhile.
                unsafe { produce(&topic.topic, partition, &mut self.messages) };
                for message in self.messages.drain(..) {
                    match message.err {
                        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR => {}
                        // Once it is full, it is for every later record of the call too.
                        RDKafkaRespErr::RD_KAFKA_RESP_ERR__QUEUE_FULL => return Outcome::QueueFull,
                        code => {
                            // SAFETY: made by `into_ptr`, and given back once: librdkafka keeps
                            // nothing of what it refuses.
                            let opaque = unsafe { C::DeliveryOpaque::from_ptr(message._private) };
                            refused(opaque, KafkaError::MessageProduction(code.into()));
                        }
                    }
                    lane.advance();
                    topic.waiting -= 1;
                }
            }
        }
        Outcome::Done
    }

    /// Takes everything that waits out of the batches; `dropped` gets the opaques.
    pub fn clear(&mut self, mut dropped: impl FnMut(C::DeliveryOpaque)) {
        for topic in &mut self.topics {
            topic.waiting = 0;
            for lane in &mut topic.lanes {
                while let Some(record) = lane.waiting().first() {
                    // SAFETY: made by `into_ptr`, not handed over, and given back once, as the
                    // record goes.
                    dropped(unsafe { C::DeliveryOpaque::from_ptr(record.opaque) });
                    lane.advance();
                }
                lane.headers.clear();
            }
        }
    }
}

impl<C: ProducerContext + 'static> Drop for BatchProducer<C> {
    fn drop(&mut self) {
        self.clear(drop);
    }
}

/// Hands over the first record that waits in a lane, which has headers.
///
/// # Errors
/// The queue is full, and the record waits on; or else the client does not take it.
fn send_alone<C: ProducerContext + 'static>(
    producer: &BaseProducer<C>,
    topic: &str,
    partition: i32,
    lane: &mut Lane,
) -> Result<(), Option<(C::DeliveryOpaque, KafkaError)>> {
    let (start, waiting) = (lane.done_bytes, lane.records[lane.done]);
    // SAFETY: made by `into_ptr`, and given back once: it goes to the client, or back into the
    // lane, or to the caller, who takes the record out of the lane.
    let opaque = unsafe { C::DeliveryOpaque::from_ptr(waiting.opaque) };
    let mut record = BaseRecord::<[u8], [u8], _>::with_opaque_to(topic, opaque);
    record.partition = (partition != UNASSIGNED).then_some(partition);
    record.key = waiting.has_key.then(|| &lane.bytes[start..waiting.key_end]);
    record.payload = Some(&lane.bytes[waiting.key_end..waiting.value_end]);
    record.headers = lane.headers.pop_front();
    let Err((error, record)) = producer.send(record) else {
        return Ok(());
    };
    let BaseRecord {
        headers,
        delivery_opaque,
        ..
    } = record;
    if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
        return Err(Some((delivery_opaque, error)));
    }
    if let Some(headers) = headers {
        lane.headers.push_front(headers);
    }
    lane.records[lane.done].opaque = delivery_opaque.into_ptr();
    Err(None)
}

/// Describes what waits in a lane as librdkafka wants it, as much as goes into a call: up to a
/// record that has headers.
fn fill(messages: &mut Vec<RDKafkaMessage>, lane: &Lane) {
    let mut start = lane.done_bytes;
    let plain = lane.waiting().iter().take_while(|record| !record.has_headers);
    messages.extend(plain.take(MAX_CALL).map(|record| {
        let (key, value) = (
            &lane.bytes[start..record.key_end],
            &lane.bytes[record.key_end..record.value_end],
        );
        start = record.value_end;
        RDKafkaMessage {
            err: RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR,
            rkt: null_mut(),
            partition: 0,
            // Not written through: the call copies them.
            payload: value.as_ptr().cast_mut().cast(),
            len: value.len(),
            key: if record.has_key {
                key.as_ptr().cast_mut().cast()
            } else {
                null_mut()
            },
            key_len: key.len(),
            offset: 0,
            _private: record.opaque,
        }
    }));
}

/// Hands messages to one partition; each says afterwards whether it was taken.
///
/// # Safety
/// Keys and payloads of the messages are live.
unsafe fn produce(topic: &Topic, partition: i32, messages: &mut [RDKafkaMessage]) {
    // SAFETY: topic and messages are live, and the flag has their bytes copied within the call.
    unsafe {
        bindings::rd_kafka_produce_batch(
            topic.as_ptr(),
            partition,
            bindings::RD_KAFKA_MSG_F_COPY,
            messages.as_mut_ptr(),
            messages.len() as i32,
        )
    };
}
