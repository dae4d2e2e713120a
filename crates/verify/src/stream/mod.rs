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
use serde::de::IgnoredAny;

use crate::check::{Check, Look, Waits, wait_for};
use crate::elastic::{Index, Total};
use crate::ledger;
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
    pub(crate) events: u64,
}

/// What the ledgers have.
#[derive(Debug, Clone, Copy, Default)]
struct Sent {
    /// Events that the brokers acknowledged, each id once.
    acknowledged: u64,
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
    pub(crate) fn open<E: Event>(settings: &Settings, stream: Stream) -> anyhow::Result<Self> {
        let open = |topic: &str| TopicLog::open(&settings.kafka, topic_name(&settings.kafka, topic));
        let fetcher = SchemaFetcher::new(millrace_service::registry::config(&settings.schema_registry));
        Ok(Self {
            settings: settings.clone(),
            log: open(stream.topic)?,
            late: open(stream.late)?,
            dead_letters: open(&dead_letter(stream.topic))?,
            events: Events::of::<E>(&fetcher)?,
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
    fn indexed(&self, index: Option<&Index>) -> anyhow::Result<Vec<Option<Total>>> {
        let total = |results: &Results| -> anyhow::Result<Option<Total>> {
            let Made { documents, field, .. } = results.made;
            index
                .map(|index| wait_for(index.total(documents, field)))
                .transpose()
        };
        self.results.iter().map(total).collect()
    }

    /// Adds the ledgers of the topic up.
    fn sent(&self) -> anyhow::Result<Sent> {
        let mut sent = Sent::default();
        for (path, is_running) in ledger::files(&self.stream.ledgers)? {
            let file = ledger::load::<IgnoredAny>(&path)
                .with_context(|| format!("the ledger {}", path.display()))?;
            if file.topic == topic_name(&self.settings.kafka, self.stream.topic) {
                sent.is_running |= is_running;
                sent.acknowledged += file.acknowledged - file.duplicates - file.malformed;
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
        let indexed = self.indexed(index);
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
        let totals = match &indexed {
            Ok(totals) => totals.clone(),
            Err(_) => vec![None; self.results.len()],
        };
        let found = self.results.iter().zip(totals);
        let found = found.map(|(results, total)| results.found(total)).collect();
        let figures = self.events.figures(self.stream.window_ms, found)?;
        let sent = self.sent()?;
        Ok(Look {
            rows: compare::compare(self.stream.events, &sent, &figures),
            is_running: sent.is_running,
            unindexed: indexed.err(),
            ..Look::default()
        })
    }
}
