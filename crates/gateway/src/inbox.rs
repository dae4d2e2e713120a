//! From requests to the sending thread.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::time::Duration;

use millrace_publisher::{Next, Record, Source};
use rdkafka::message::OwnedHeaders;

use crate::batch::{Batch, Facts, Posted, Ticket};

/// While records are in flight, their acknowledgements are looked for as often.
const WAIT_FOR_REPORTS: Duration = Duration::from_millis(1);
/// How long a thread sleeps that has nothing to do.
const WAIT_FOR_REQUESTS: Duration = Duration::from_millis(50);

/// A record that is ready to be sent, within the bytes of its parcel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prepared {
    pub(crate) topic: usize,
    pub(crate) key_len: usize,
    pub(crate) value_len: usize,
    pub(crate) facts: Facts,
}

/// The records of one request. Dropped, those that were not taken out of it were not sent.
#[derive(Debug)]
pub(crate) struct Parcel {
    batch: Arc<Batch>,
    /// Key and value of each record.
    bytes: Vec<u8>,
    records: VecDeque<Prepared>,
    headers: Option<OwnedHeaders>,
    taken: usize,
    read: usize,
}

impl Parcel {
    /// A batch's records, as many as it is of; `bytes` has key and value of each in turn.
    pub(crate) fn new(
        batch: &Arc<Batch>,
        records: Vec<Prepared>,
        bytes: Vec<u8>,
        headers: Option<OwnedHeaders>,
    ) -> Self {
        debug_assert_eq!(batch.len(), records.len());
        Self {
            batch: Arc::clone(batch),
            bytes,
            records: records.into(),
            headers,
            taken: 0,
            read: 0,
        }
    }

    fn next(&mut self, record: &mut Record, in_flight: &Arc<AtomicUsize>) -> Option<Posted> {
        let prepared = self.records.pop_front()?;
        let ticket = Ticket::new(&self.batch, self.taken);
        self.taken += 1;
        let (key, value) = self.bytes[self.read..].split_at(prepared.key_len);
        record.topic = prepared.topic;
        record.set_key(key);
        record.value.extend_from_slice(&value[..prepared.value_len]);
        record.headers.clone_from(&self.headers);
        self.read += prepared.key_len + prepared.value_len;
        in_flight.fetch_add(1, Ordering::Relaxed);
        Some(Posted {
            facts: prepared.facts,
            ticket,
            in_flight: Arc::clone(in_flight),
        })
    }
}

impl Drop for Parcel {
    fn drop(&mut self) {
        for at in self.taken..self.batch.len() {
            drop(Ticket::new(&self.batch, at));
        }
    }
}

enum Message {
    Parcel(Parcel),
    Close,
}

/// Where requests put their records.
#[derive(Debug, Clone)]
pub(crate) struct Outlet(SyncSender<Message>);

impl Outlet {
    /// Puts records there. Those of a parcel that there is no room for, or nobody to send, are not
    /// sent, and its batch says so.
    pub(crate) fn put(&self, parcel: Parcel) {
        if let Err(TrySendError::Full(refused) | TrySendError::Disconnected(refused)) =
            self.0.try_send(Message::Parcel(parcel))
        {
            drop(refused);
        }
    }

    /// Takes no more, once what is there has been sent. Blocks while there is no room.
    pub(crate) fn close(&self) {
        // Where nobody receives there is nothing to end.
        let _ = self.0.send(Message::Close);
    }
}

/// What the sending thread reads.
#[derive(Debug)]
pub(crate) struct Inbox {
    messages: Receiver<Message>,
    parcel: Option<Parcel>,
    is_closed: bool,
    in_flight: Arc<AtomicUsize>,
}

/// A pair with room for `parcels`.
pub(crate) fn inbox(parcels: usize) -> (Outlet, Inbox) {
    let (sender, messages) = sync_channel(parcels);
    let inbox = Inbox {
        messages,
        parcel: None,
        is_closed: false,
        in_flight: Arc::default(),
    };
    (Outlet(sender), inbox)
}

impl Inbox {
    fn take(&mut self, message: Message) {
        match message {
            Message::Parcel(parcel) => self.parcel = Some(parcel),
            Message::Close => self.is_closed = true,
        }
    }
}

impl Source for Inbox {
    type Entry = Posted;
    type Round = ();

    fn round(&mut self) {}

    fn next(&mut self, record: &mut Record) -> anyhow::Result<Next<Posted>> {
        loop {
            if let Some(parcel) = &mut self.parcel {
                match parcel.next(record, &self.in_flight) {
                    Some(posted) => return Ok(Next::Record(posted)),
                    None => self.parcel = None,
                }
            }
            if self.is_closed {
                return Ok(Next::End);
            }
            match self.messages.try_recv() {
                Ok(message) => self.take(message),
                Err(TryRecvError::Empty) => {
                    let wait = match self.in_flight.load(Ordering::Relaxed) {
                        0 => WAIT_FOR_REQUESTS,
                        _ => WAIT_FOR_REPORTS,
                    };
                    return Ok(Next::Wait(wait));
                }
                Err(TryRecvError::Disconnected) => return Ok(Next::End),
            }
        }
    }

    fn wait(&mut self, time: Duration) {
        match self.messages.recv_timeout(time) {
            Ok(message) => self.take(message),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use millrace_domain::{Amount, Currency, TransactionType};

    use super::*;
    use crate::batch::Outcome;
    use millrace_publisher::Entry as _;

    fn parcel(batch: &Arc<Batch>, records: &[(&str, &str)]) -> Parcel {
        let prepared = |(key, value): &(&str, &str)| Prepared {
            topic: 0,
            key_len: key.len(),
            value_len: value.len(),
            facts: Facts {
                transaction_type: TransactionType::Purchase,
                currency: Currency::parse(b"EUR").unwrap(),
                amount: Amount::from_f64(1.0).unwrap(),
                event_time_ms: 1,
            },
        };
        let bytes = records.iter().flat_map(|(key, value)| [*key, *value]);
        Parcel::new(
            batch,
            records.iter().map(prepared).collect(),
            bytes.collect::<String>().into_bytes(),
            None,
        )
    }

    #[test]
    fn records_come_out_as_they_were_put_in_and_then_the_end() {
        let (outlet, mut inbox) = inbox(4);
        let batch = Batch::new(3, None);
        outlet.put(parcel(&batch, &[("u1", "one"), ("u2", ""), ("u1", "three")]));
        outlet.close();
        let mut found = Vec::new();
        loop {
            let mut record = Record::new();
            match inbox.next(&mut record).unwrap() {
                Next::Record(posted) => {
                    found.push((record.key().unwrap().to_vec(), record.value.clone()));
                    posted.settled(Ok(()));
                }
                Next::Wait(_) => inbox.wait(Duration::from_millis(1)),
                Next::End => break,
            }
        }
        let expected = [("u1", "one"), ("u2", ""), ("u1", "three")];
        let expected = expected.map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec()));
        assert_eq!(found, expected);
        assert!(batch.outcomes().all(|outcome| outcome == Outcome::Acknowledged));
        assert_eq!(inbox.in_flight.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn what_nobody_sends_is_told_as_not_sent() {
        let (outlet, mut inbox) = inbox(1);
        let (first, second) = (Batch::new(2, None), Batch::new(1, None));
        outlet.put(parcel(&first, &[("u", "1"), ("u", "2")]));
        outlet.put(parcel(&second, &[("u", "3")]));
        second.done().await;
        assert!(second.outcomes().eq([Outcome::NotSent]), "there was no room");
        let taken = inbox.next(&mut Record::new()).unwrap();
        drop(inbox);
        drop(taken);
        first.done().await;
        assert!(first.outcomes().eq([Outcome::NotSent, Outcome::NotSent]));
        outlet.close();
    }
}
