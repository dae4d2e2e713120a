//! What a simulated client has fetched of a partition whose records are taken in turns.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use millrace_kafka_batch::Report;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::cluster::LoggedRecord;
use crate::InputRecord;
use crate::worker::turns::Fetched;

/// A record, or a report in the place of one.
#[derive(Debug, Clone)]
struct Item {
    partition: i32,
    offset: i64,
    record: Option<LoggedRecord>,
}

/// The client's part: what nobody has taken yet.
#[derive(Debug, Default)]
pub(in crate::worker) struct Client {
    items: VecDeque<Item>,
    /// Where it goes on after a pause: behind all that was taken, reports too.
    taken_to: i64,
}

impl Client {
    pub(in crate::worker) fn fetch(&mut self, partition: i32, offset: i64, record: &LoggedRecord) {
        let record = Some(record.clone());
        self.items.push_back(Item {
            partition,
            offset,
            record,
        });
    }

    pub(in crate::worker) fn report(&mut self, partition: i32, offset: i64) {
        self.items.push_back(Item {
            partition,
            offset,
            record: None,
        });
    }

    /// What nobody has taken is fetched again after a pause; from where on.
    pub(super) fn pause(&mut self) -> i64 {
        self.items.clear();
        self.taken_to
    }

    pub(super) fn seek(&mut self, offset: i64) {
        self.items.clear();
        self.taken_to = offset;
    }
}

/// The worker's part.
#[derive(Debug, Default)]
pub(in crate::worker) struct Memory {
    client: Rc<RefCell<Client>>,
    here: Vec<Item>,
}

impl Memory {
    pub(in crate::worker) fn of(client: &Rc<RefCell<Client>>) -> Self {
        Self {
            client: Rc::clone(client),
            here: Vec::new(),
        }
    }
}

impl Fetched for Memory {
    fn fill(&mut self, count: usize) {
        let mut client = self.client.borrow_mut();
        while self.here.len() < count
            && let Some(item) = client.items.pop_front()
        {
            client.taken_to = item.offset + 1;
            self.here.push(item);
        }
    }

    fn len(&self) -> usize {
        self.here.len()
    }

    fn offset(&self, place: usize) -> Option<i64> {
        let item = self.here.get(place)?;
        item.record.is_some().then_some(item.offset)
    }

    fn items<'q>(
        &'q self,
        topic: &'q str,
        count: usize,
    ) -> impl Iterator<Item = Result<InputRecord<'q>, Report>> {
        self.here.iter().take(count).map(move |item| match &item.record {
            Some(record) => Ok(record.as_input(topic, item.partition, item.offset)),
            None => Err(Report {
                partition: item.partition,
                offset: item.offset,
                reason: String::new(),
                error: KafkaError::MessageConsumption(RDKafkaErrorCode::PartitionEOF),
            }),
        })
    }

    fn remove_first(&mut self, count: usize) {
        self.here.drain(..count.min(self.here.len()));
    }
}
