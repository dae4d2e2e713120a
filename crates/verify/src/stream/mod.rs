//! A stream of events with results in windows, or sessions: what the ledgers have must be in its
//! topic, each event of that in the results of its window or on the late topic once, and
//! Elasticsearch must hold what the topics hold. A pipeline says what its records are called, and
//! what a result is of.

mod compare;
mod state;

use std::path::PathBuf;

use anyhow::Context as _;
use millrace_catalog::{DocumentSpec, Pipeline, dead_letter};
use millrace_contract::{Contract, Event};
use millrace_kafka::log::TopicLog;
use millrace_kafka::topic_name;
use millrace_registry::SchemaFetcher;
use millrace_settings::Settings;
use serde::Deserialize;

use crate::check::{Check, Look, Waits, wait_for};
use crate::elastic::{Index, Total};
use crate::ledger;
use crate::totals::Totals;
use compare::{Figures, Indexed};
use state::{Events, Results, note};

/// A stream of events.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    /// Its pipeline.
    pub(crate) pipeline: &'static Pipeline,
    /// What cannot be read where its topics cannot, as `the clickstream`.
    pub(crate) reads: &'static str,
    /// What its events are called, as `clicks`.
    pub(crate) events: &'static str,
    /// Its topic, before any prefix.
    pub(crate) topic: &'static str,
    /// That of its late records.
    pub(crate) late: &'static str,
    /// The folder of its producers' ledgers.
    pub(crate) ledgers: PathBuf,
    /// The size of its windows.
    pub(crate) window_ms: i64,
    /// What its events come to, where there is money in them.
    pub(crate) money: Option<Money>,
    /// Those of the events themselves, where they are documents too.
    pub(crate) documents: Option<&'static DocumentSpec>,
}

/// What is said of the money in events.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Money {
    /// What it is called, as `revenue`.
    pub(crate) name: &'static str,
    /// The field of an event's document that has it, in 1/10,000.
    pub(crate) field: &'static str,
}

/// So many events, and what they came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    /// Events.
    pub(crate) events: u64,
    /// In 1/10,000; 0 where there is no money in them.
    pub(crate) units: i128,
}

impl Tally {
    fn of(totals: &Totals) -> Self {
        Self {
            events: totals.purchase_count,
            units: totals.purchase_sum.units(),
        }
    }

    /// Of a result without money.
    pub(crate) fn of_events(events: i64) -> Self {
        Self {
            events: events.max(0).cast_unsigned(),
            units: 0,
        }
    }

    fn add(&mut self, other: Self) {
        self.events += other.events;
        self.units += other.units;
    }
}

/// How the events are in the results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counting {
    /// Each in one result of its window, once that has closed.
    InWindows,
    /// Each in one at most: the others are in sessions that are not over.
    InSessions,
}

/// What is made of the events.
#[derive(Debug)]
pub(crate) struct Made {
    /// The results' stream and index.
    pub(crate) documents: &'static DocumentSpec,
    /// What they are called, as `page views`.
    pub(crate) name: &'static str,
    /// What the events in them are called, as `views`.
    pub(crate) unit: &'static str,
    /// The field of a document that has their number.
    pub(crate) field: &'static str,
    /// The field that has what they came to, in 1/10,000, where there is money in them.
    pub(crate) money_field: Option<&'static str>,
    /// How the events are in them.
    pub(crate) counting: Counting,
}

/// What a result is of. Whose it is and when it starts tell results apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    /// Whose result.
    pub(crate) of: u128,
    /// Start of its window, or the time of its first event, in milliseconds since 1970.
    pub(crate) start_ms: i64,
    /// The events in it.
    pub(crate) tally: Tally,
}

/// A line of a ledger, whatever else it adds up.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Line {
    /// What the events came to, in 1/10,000, where there is money in them.
    #[serde(default)]
    revenue_units: i64,
}

/// What the ledgers have.
#[derive(Debug, Clone, Copy, Default)]
struct Sent {
    /// Events that the brokers acknowledged, each id once.
    acknowledged: u64,
    /// What they came to, in 1/10,000.
    units: i128,
    /// Whether a run goes on.
    is_running: bool,
}

/// The logs that are compared, and what has been read of them.
pub(crate) struct OfStream {
    settings: Settings,
    stream: Stream,
    log: TopicLog,
    late: TopicLog,
    dead_letters: TopicLog,
    events: Events,
    results: Vec<Results>,
    fetcher: SchemaFetcher,
}

impl OfStream {
    /// Opens the topics of the events.
    ///
    /// # Errors
    /// The brokers are away, or a topic does not exist.
    pub(crate) fn open<E: Event + 'static>(settings: &Settings, stream: Stream) -> anyhow::Result<Self> {
        Self::paying::<E>(settings, stream, |_| 0)
    }

    /// As [`OfStream::open`], of events that come to something, in 1/10,000.
    ///
    /// # Errors
    /// The brokers are away, or a topic does not exist.
    pub(crate) fn paying<E: Event + 'static>(
        settings: &Settings,
        stream: Stream,
        paid_units: fn(&E) -> i64,
    ) -> anyhow::Result<Self> {
        let open = |topic: &str| TopicLog::open(&settings.kafka, topic_name(&settings.kafka, topic));
        let fetcher = SchemaFetcher::new(millrace_service::registry::config(&settings.schema_registry));
        Ok(Self {
            settings: settings.clone(),
            log: open(stream.topic)?,
            late: open(stream.late)?,
            dead_letters: open(&dead_letter(stream.topic))?,
            events: Events::of(&fetcher, paid_units)?,
            results: Vec::new(),
            fetcher,
            stream,
        })
    }

    /// With the topic of what is made of them.
    ///
    /// # Errors
    /// The brokers are away, or the topic does not exist.
    pub(crate) fn making<T: Contract + 'static>(
        mut self,
        made: &'static Made,
        part: fn(&T) -> Part,
    ) -> anyhow::Result<Self> {
        let kafka = &self.settings.kafka;
        let log = TopicLog::open(kafka, topic_name(kafka, made.documents.stream))?;
        self.results.push(Results::of(made, log, &self.fetcher, part));
        Ok(self)
    }

    /// What Elasticsearch has of each kind of results.
    fn indexed(&self, index: &Index) -> anyhow::Result<Vec<Indexed>> {
        let indexed = |results: &Results| -> anyhow::Result<Indexed> {
            let made = results.made;
            let of_money = made.money_field.map(|field| index.total(made.documents, field));
            Ok(Indexed {
                events: wait_for(index.total(made.documents, made.field))?,
                units: of_money.map(wait_for).transpose()?.map(|total| total.sum),
            })
        };
        self.results.iter().map(indexed).collect()
    }

    /// What it has of the events themselves, where they are documents with money in them.
    fn indexed_events(&self, index: &Index) -> anyhow::Result<Option<Total>> {
        let Some((documents, money)) = self.stream.documents.zip(self.stream.money) else {
            return Ok(None);
        };
        wait_for(index.total(documents, money.field)).map(Some)
    }

    /// Adds the ledgers of the topic up.
    fn sent(&self) -> anyhow::Result<Sent> {
        let mut sent = Sent::default();
        for (path, is_running) in ledger::files(&self.stream.ledgers)? {
            let file =
                ledger::load::<Line>(&path).with_context(|| format!("the ledger {}", path.display()))?;
            if file.topic == topic_name(&self.settings.kafka, self.stream.topic) {
                sent.is_running |= is_running;
                sent.acknowledged += file.acknowledged - file.duplicates - file.malformed;
                let units = file.windows.iter().map(|line| i128::from(line.revenue_units));
                sent.units += units.sum::<i128>();
            }
        }
        Ok(sent)
    }
}

impl Check for OfStream {
    fn reads(&self) -> &'static str {
        self.stream.reads
    }

    fn waits_for(&self) -> Waits {
        let pipeline = self.stream.pipeline;
        Waits {
            jobs: pipeline.jobs.iter().map(|job| job.name).collect(),
            documents: pipeline.documents.iter().map(|it| it.stream).collect(),
        }
    }

    fn look(&mut self, index: Option<&Index>) -> anyhow::Result<Look> {
        let indexed = index
            .map(|index| anyhow::Ok((self.indexed(index)?, self.indexed_events(index)?)))
            .transpose();
        for results in &mut self.results {
            results.look()?;
        }
        let events = &mut self.events;
        self.late.read_new(|message| {
            note(message, &mut events.late);
            anyhow::Ok(())
        })?;
        self.dead_letters.read_new(|message| {
            note(message, &mut events.dead);
            anyhow::Ok(())
        })?;
        self.log.read_new(|message| events.take(message))?;
        let (totals, of_events) = match &indexed {
            Ok(Some((totals, of_events))) => (totals.as_slice(), *of_events),
            Ok(None) | Err(_) => (&[][..], None),
        };
        let found = self.results.iter().enumerate();
        let found = found.map(|(at, results)| results.found(totals.get(at).copied()));
        let figures = Figures {
            indexed: of_events,
            ..self.events.figures(self.stream.window_ms, found.collect())?
        };
        let sent = self.sent()?;
        let money = self.stream.money.map(|money| money.name);
        Ok(Look {
            rows: compare::compare((self.stream.events, money), &sent, &figures),
            is_running: sent.is_running,
            unindexed: indexed.err(),
            ..Look::default()
        })
    }
}
