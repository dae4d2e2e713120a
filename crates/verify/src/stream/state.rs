//! What has been read of the topics, record by record.

use std::collections::{BTreeMap, HashSet};

use millrace_contract::{Contract, Event, ReadError, Reader};
use millrace_domain::Currency;
use millrace_kafka::log::TopicLog;
use millrace_registry::SchemaFetcher;
use rdkafka::message::{BorrowedMessage, Message as _};

use super::compare::{Figures, Found, Indexed};
use super::{Made, Part, Tally};
use crate::message;
use crate::once::{Entry, Known, Records};
use crate::places::Places;
use crate::totals::Windows;

/// ISO 4217's code where no currency is meant.
const NO_CURRENCY: &[u8; 3] = b"XXX";

/// Id and time of an event, and what it came to in 1/10,000.
type ReadEvent = Box<dyn Fn(&[u8]) -> Result<([u8; 16], i64, i64), ReadError> + Send>;
/// What a result is of.
type ReadPart = Box<dyn Fn(&[u8]) -> Result<Part, ReadError> + Send>;

/// The events of a stream.
pub(super) struct Events {
    read: ReadEvent,
    currency: Currency,
    records: Records,
    unreadable: Places,
    pub(super) late: Places,
    pub(super) dead: Places,
}

impl Events {
    pub(super) fn of<E: Event + 'static>(
        fetcher: &SchemaFetcher,
        paid_units: fn(&E) -> i64,
    ) -> anyhow::Result<Self> {
        let reader = Reader::<E>::new(fetcher.clone());
        Ok(Self {
            read: Box::new(move |value| {
                let event = reader.read(value)?;
                Ok((event.id(), event.time_ms(), paid_units(&event)))
            }),
            currency: Currency::parse(NO_CURRENCY)?,
            records: Records::default(),
            unreadable: Places::default(),
            late: Places::default(),
            dead: Places::default(),
        })
    }

    pub(super) fn take(&mut self, message: &BorrowedMessage<'_>) -> anyhow::Result<()> {
        let (partition, offset) = (message.partition(), message.offset());
        match (self.read)(message.payload().unwrap_or_default()) {
            Ok((id, time_ms, units)) => {
                let entry = Entry::of_event(id, time_ms, (units, self.currency), partition, offset);
                self.records.add(&entry)
            }
            Err(ReadError::Registry(error)) => Err(error.into()),
            Err(ReadError::Invalid(_)) => {
                self.unreadable.insert(partition, offset);
                Ok(())
            }
        }
    }

    /// What they come to, in windows of this size, beside what is made of them.
    ///
    /// # Errors
    /// What is in the temporary folder cannot be read again.
    pub(super) fn figures(&mut self, window_ms: i64, made: Vec<Found>) -> anyhow::Result<Figures> {
        let unsunk = Places::default();
        let counted = self.records.count(&Known {
            dead: &self.dead,
            late: &self.late,
            unsunk: &unsunk,
            window_ms,
            is_vouched: &|_| false,
        })?;
        let mut in_time: BTreeMap<i64, Tally> = BTreeMap::new();
        for ((start_ms, _), totals) in &counted.once {
            in_time.entry(*start_ms).or_default().add(Tally::of(totals));
        }
        for ((start_ms, _), totals) in &counted.late {
            if let Some(tally) = in_time.get_mut(start_ms) {
                tally.events = tally.events.saturating_sub(totals.purchase_count);
                tally.units -= totals.purchase_sum.units();
            }
        }
        in_time.retain(|_, tally| tally.events > 0);
        let all = |windows: &Windows| {
            let mut tally = Tally::default();
            windows.values().for_each(|totals| tally.add(Tally::of(totals)));
            tally
        };
        Ok(Figures {
            once: all(&counted.once),
            copies: counted.copies,
            late: all(&counted.late).events,
            in_time,
            unreadable: self.unreadable.len(),
            dead_letters: self.dead.len(),
            wrongly_refused: counted.wrongly_refused,
            made,
            indexed: None,
        })
    }
}

/// The results of one kind.
pub(super) struct Results {
    pub(super) made: &'static Made,
    log: TopicLog,
    read: ReadPart,
    seen: HashSet<(u128, i64)>,
    events: BTreeMap<i64, Tally>,
    doubled: u64,
}

impl Results {
    pub(super) fn of<T: Contract + 'static>(
        made: &'static Made,
        log: TopicLog,
        fetcher: &SchemaFetcher,
        part: fn(&T) -> Part,
    ) -> Self {
        let reader = Reader::<T>::new(fetcher.clone());
        Self {
            made,
            log,
            read: Box::new(move |value| reader.read(value).map(|result| part(&result))),
            seen: HashSet::new(),
            events: BTreeMap::new(),
            doubled: 0,
        }
    }

    /// Reads what is new.
    ///
    /// # Errors
    /// The brokers or the registry are away, or a record is no such result.
    pub(super) fn look(&mut self) -> anyhow::Result<()> {
        self.log.read_new(|message| {
            let part = (self.read)(message.payload().unwrap_or_default())?;
            match self.seen.insert((part.of, part.start_ms)) {
                true => self.events.entry(part.start_ms).or_default().add(part.tally),
                false => self.doubled += 1,
            }
            anyhow::Ok(())
        })
    }

    pub(super) fn found(&self, indexed: Option<Indexed>) -> Found {
        Found {
            made: self.made,
            results: self.seen.len() as u64,
            events: self.events.clone(),
            doubled: self.doubled,
            indexed,
        }
    }
}

/// Adds where a copy's record lay.
pub(super) fn note(message: &BorrowedMessage<'_>, places: &mut Places) {
    if let Some((partition, offset)) = message::source(message) {
        places.insert(partition, offset);
    }
}
