//! What a 409 hides: a stored document with the same identity and other content.
//!
//! A repeat of the same record is answered 409, and so is a record of topics that were made anew
//! beside full indices: then Elasticsearch keeps what the topics no longer say. All of them are
//! compared with what is stored, of a long replay so many a second (`budget`), and then a few of
//! the documents of each answer; if one of them differs, all of them are, up to a bound. What was
//! not compared is counted.
//!
//! A transaction, or a shop's event, whose id has been before in the log, with other content, is no
//! such thing: the first stays, as in the jobs. Fraud comes so (the rule *replay*), and retries of
//! careless senders do. What is stored is of a smaller offset then, and the log has it there: of a
//! few it is asked ([`crate::origin`]), as the rows of a corrected file may be further on than
//! before, too.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::Elasticsearch;
use crate::document::{Document, offset_of};
use crate::origin::Origin;
use crate::stream::Stream;

mod budget;

use budget::Budget;

/// Documents of one answer that are looked at whatever was looked at before …
const SAMPLE: usize = 16;

/// … and the most where one of those differs; and of one question.
const MOST: usize = 1_000;

/// Events of a stream in one answer that the log is asked about.
const LOOKED_UP: usize = 4;

/// Least time between two lines in the log about the same.
const TELL_INTERVAL: Duration = Duration::from_secs(60);

/// A field that a second detection of the same anomaly stamps anew.
const STAMPED: &str = "detectionTime";

/// A document that was answered 409.
#[derive(Debug, Clone)]
pub struct Repeat<'a> {
    /// The document.
    pub document: &'a Document,
    /// The index that has it, by the answer: another than the document's own behind an alias.
    pub index: Option<String>,
}

/// Looks at documents that were answered 409.
#[derive(Debug)]
pub struct Conflicts {
    client: Elasticsearch,
    index_prefix: String,
    origin: Origin,
    budget: Mutex<Budget>,
    told: Mutex<Told>,
}

/// Documents that are known to have other content than what is stored, which stays.
#[derive(Debug, Default)]
pub struct Differing<'a> {
    /// Those of an index that was filled from other topics.
    pub foreign: Vec<&'a Document>,
    /// Events whose id has been before.
    pub repeated: Vec<&'a Document>,
    /// How many were compared, by stream.
    pub compared: BTreeMap<Stream, u64>,
}

/// What a comparison has found.
#[derive(Default)]
struct Compared<'a> {
    differing: Vec<(&'a Document, Difference)>,
    counts: BTreeMap<Stream, u64>,
}

/// When the log was last told of either, and of how many since.
#[derive(Debug, Default)]
struct Told {
    foreign: Pace,
    repeated: Pace,
}

#[derive(Debug, Default)]
struct Pace {
    at: Option<Instant>,
    since: usize,
}

impl Pace {
    /// How many there are to tell of with these; `None` where it is too early for another line.
    fn take(&mut self, documents: usize, now: Instant) -> Option<usize> {
        self.since += documents;
        let is_early = |at: Instant| now.saturating_duration_since(at) < TELL_INTERVAL;
        if self.since == 0 || self.at.is_some_and(is_early) {
            return None;
        }
        self.at = Some(now);
        Some(std::mem::take(&mut self.since))
    }
}

/// What a stored document has in another way.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Difference {
    /// The first field.
    field: String,
    /// The version that is stored.
    version: i64,
}

#[derive(Deserialize)]
struct Answer {
    docs: Vec<Stored>,
}

#[derive(Deserialize)]
struct Stored {
    #[serde(rename = "_version")]
    version: Option<i64>,
    #[serde(rename = "_source")]
    source: Option<Value>,
}

impl Conflicts {
    /// For indices with this prefix, and the events of these logs.
    #[must_use]
    pub fn new(client: Elasticsearch, index_prefix: String, origin: Origin) -> Self {
        Self {
            client,
            index_prefix,
            origin,
            budget: Mutex::default(),
            told: Mutex::default(),
        }
    }

    /// The documents among `repeats`, which were answered 409, that are known to differ from what
    /// is stored. The log is told of them.
    pub async fn differing<'a>(&self, repeats: &[Repeat<'a>]) -> Differing<'a> {
        let step = repeats.len().div_ceil(self.looked_at(repeats.len())).max(1);
        let sample: Vec<_> = repeats.iter().step_by(step).collect();
        let mut compared = self.compare(&sample).await;
        if !compared.differing.is_empty() && sample.len() < repeats.len() {
            let most: Vec<_> = repeats.iter().take(MOST.max(sample.len())).collect();
            compared = self.compare(&most).await;
        }
        let found = compared.differing;
        let (later, mut foreign): (Vec<_>, Vec<_>) = found
            .into_iter()
            .partition(|(document, it)| is_later(document, it));
        let mut repeated = Vec::new();
        for later in by_stream(later) {
            let known = self.look_up(&later).await;
            let (again, others) = told_apart(later, &known);
            repeated.extend(again);
            foreign.extend(others);
        }
        self.tell(&foreign, &repeated, Instant::now());
        let of = |found: Vec<(&'a Document, Difference)>| found.into_iter().map(|(it, _)| it).collect();
        Differing {
            foreign: of(foreign),
            repeated: of(repeated),
            compared: compared.counts,
        }
    }

    /// How many of so many documents are compared, 1 at least.
    fn looked_at(&self, repeats: usize) -> usize {
        let mut budget = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
        budget.take(repeats, Instant::now()).max(SAMPLE)
    }

    /// Whether the log has some of these at the offset that is stored; `None` of the others.
    async fn look_up(&self, later: &[(&Document, Difference)]) -> Vec<Option<bool>> {
        let mut known = vec![None; later.len()];
        let step = later.len().div_ceil(LOOKED_UP).max(1);
        for (at, (document, it)) in later.iter().enumerate().step_by(step) {
            let offset = offset_of(it.version);
            known[at] = self.origin.has(document.stream, &document.id, offset).await;
        }
        known
    }

    async fn compare<'a>(&self, repeats: &[&Repeat<'a>]) -> Compared<'a> {
        let mut compared = Compared::default();
        for some in repeats.chunks(MOST) {
            let stored = match self.stored(some).await {
                Ok(answer) => answer.docs,
                // The document is there in any case; a user may have no right to read it.
                Err(error) => {
                    tracing::debug!(%error, "documents that are there already cannot be compared");
                    continue;
                }
            };
            for (repeat, stored) in some.iter().zip(stored) {
                if stored.source.is_none() {
                    continue;
                }
                let document = repeat.document;
                *compared.counts.entry(document.stream).or_default() += 1;
                if let Some(difference) = difference(document, &stored) {
                    compared.differing.push((document, difference));
                }
            }
        }
        compared
    }

    async fn stored(&self, repeats: &[&Repeat<'_>]) -> Result<Answer, reqwest::Error> {
        let place = |repeat: &&Repeat<'_>| {
            let own = || repeat.document.key().name(&self.index_prefix);
            let index = repeat.index.clone().unwrap_or_else(own);
            json!({ "_index": index, "_id": repeat.document.id })
        };
        let docs: Vec<Value> = repeats.iter().map(place).collect();
        let request = self.client.request(Method::POST, &["_mget"]);
        let answer = request.json(&json!({ "docs": docs })).send().await?;
        answer.error_for_status()?.json().await
    }

    /// Ids are no matter for the log: index, field and place say enough.
    fn tell(&self, foreign: &[(&Document, Difference)], repeated: &[(&Document, Difference)], now: Instant) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((first, it)) = foreign.first()
            && let Some(documents) = told.foreign.take(foreign.len(), now)
        {
            tracing::warn!(
                index = first.key().name(&self.index_prefix),
                documents,
                field = it.field,
                offset = first.offset(),
                "documents of the same identity and other content are in Elasticsearch already, and stay: the topics are not \
                 those that the index was filled from. Delete the index and read the topics again (docs/elasticsearch.md). \
                 Field and offset are those of one of them"
            );
        }
        if let Some((first, it)) = repeated.first()
            && let Some(events) = told.repeated.take(repeated.len(), now)
        {
            tracing::info!(
                index = first.key().name(&self.index_prefix),
                events,
                field = it.field,
                offset = first.offset(),
                first_offset = offset_of(it.version),
                "events came again under an id that has been before, with other content: the first stays, as in the jobs. \
                 Field and offsets are those of one of them"
            );
        }
    }
}

/// Whether the difference may be that between two events of one id in one log, of which the first
/// stays: what is stored is of a smaller offset.
fn is_later(document: &Document, difference: &Difference) -> bool {
    document.stream.line().identity.is_some() && difference.version > document.version
}

/// Each stream has a log of its own, and is asked about by itself.
fn by_stream(later: Vec<(&Document, Difference)>) -> impl Iterator<Item = Vec<(&Document, Difference)>> {
    let mut streams = BTreeMap::<Stream, Vec<_>>::new();
    for (document, it) in later {
        streams.entry(document.stream).or_default().push((document, it));
    }
    streams.into_values()
}

/// Those that come again in one log, and those of an index that was filled from another. `known` is
/// whether the log has each at the offset that is stored. Of which that is not known, they are as
/// the others are: where one is not there, it is another log.
fn told_apart<T>(later: Vec<T>, known: &[Option<bool>]) -> (Vec<T>, Vec<T>) {
    let is_one_log = !known.contains(&Some(false));
    let (mut repeated, mut foreign) = (Vec::new(), Vec::new());
    for (one, is_there) in later.into_iter().zip(known) {
        match is_there.unwrap_or(is_one_log) {
            true => repeated.push(one),
            false => foreign.push(one),
        }
    }
    (repeated, foreign)
}

/// What is stored in another way than `document` says, if anything is.
fn difference(document: &Document, stored: &Stored) -> Option<Difference> {
    let (version, source) = (stored.version?, stored.source.as_ref()?);
    // An early result is replaced by a later one, and that is right.
    if document.stream == Stream::AGGREGATES && version > document.version {
        return None;
    }
    let ours = serde_json::from_str::<Value>(&document.source).ok()?;
    let (ours, stored) = (ours.as_object()?, source.as_object()?);
    // A field that one of them lacks came or went with a release.
    let (field, _) = ours
        .iter()
        .filter(|(name, _)| *name != STAMPED)
        .find(|(name, value)| stored.get(*name).is_some_and(|stored| stored != *value))?;
    Some(Difference {
        field: field.clone(),
        version,
    })
}

#[cfg(test)]
mod tests;
