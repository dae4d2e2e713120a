//! What a 409 hides: a stored document with the same identity and other content.
//!
//! A repeat of the same record is answered 409, and so is a record of topics that were made anew
//! beside full indices: then Elasticsearch keeps what the topics no longer say. A few of the
//! documents of each answer are compared with what is stored; if one of them differs, all of them
//! are, up to a bound.
//!
//! A transaction whose id has been before in the log, with other content, is no such thing: the
//! first stays, as in the aggregator, and is of a smaller offset. Fraud comes so (the rule
//! *replay*), and retries of careless senders do.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::Elasticsearch;
use crate::document::{Document, offset_of};
use crate::stream::Stream;

/// Documents of one answer that are looked at …
const SAMPLE: usize = 16;

/// … and the most where one of those differs.
const MOST: usize = 1_000;

/// Least time between two lines in the log about the same.
const TELL_INTERVAL: Duration = Duration::from_secs(60);

/// A field that a second detection of the same anomaly stamps anew.
const STAMPED: &str = "detectionTime";

/// Looks at documents that were answered 409.
#[derive(Debug)]
pub struct Conflicts {
    client: Elasticsearch,
    index_prefix: String,
    told: Mutex<Told>,
}

/// Documents that are known to have other content than what is stored, which stays.
#[derive(Debug, Default)]
pub struct Differing<'a> {
    /// Those of an index that was filled from other topics.
    pub foreign: Vec<&'a Document>,
    /// Transactions whose id has been before.
    pub repeated: Vec<&'a Document>,
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
    /// For indices with this prefix.
    #[must_use]
    pub fn new(client: Elasticsearch, index_prefix: String) -> Self {
        Self {
            client,
            index_prefix,
            told: Mutex::default(),
        }
    }

    /// The documents among `repeats`, which were answered 409, that are known to differ from what
    /// is stored. The log is told of them.
    pub async fn differing<'a>(&self, repeats: &[&'a Document]) -> Differing<'a> {
        let step = repeats.len().div_ceil(SAMPLE).max(1);
        let sample: Vec<&Document> = repeats.iter().copied().step_by(step).collect();
        let mut found = self.compare(&sample).await;
        if !found.is_empty() && sample.len() < repeats.len() {
            found = self.compare(&repeats[..repeats.len().min(MOST)]).await;
        }
        let is_repeated = |(document, it): &(&Document, Difference)| is_repeated(document, it);
        let (repeated, foreign): (Vec<_>, Vec<_>) = found.into_iter().partition(is_repeated);
        self.tell(&foreign, &repeated, Instant::now());
        let of = |found: Vec<(&'a Document, Difference)>| found.into_iter().map(|(it, _)| it).collect();
        Differing {
            foreign: of(foreign),
            repeated: of(repeated),
        }
    }

    async fn compare<'a>(&self, documents: &[&'a Document]) -> Vec<(&'a Document, Difference)> {
        if documents.is_empty() {
            return Vec::new();
        }
        let stored = match self.stored(documents).await {
            Ok(answer) => answer.docs,
            // The document is there in any case; a user may have no right to read it.
            Err(error) => {
                tracing::debug!(%error, "documents that are there already cannot be compared");
                return Vec::new();
            }
        };
        let pairs = documents.iter().copied().zip(stored);
        pairs
            .filter_map(|(document, stored)| Some((document, difference(document, &stored)?)))
            .collect()
    }

    async fn stored(&self, documents: &[&Document]) -> Result<Answer, reqwest::Error> {
        let docs: Vec<Value> = documents
            .iter()
            .map(|document| json!({ "_index": document.key().name(&self.index_prefix), "_id": document.id }))
            .collect();
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
            && let Some(transactions) = told.repeated.take(repeated.len(), now)
        {
            tracing::info!(
                index = first.key().name(&self.index_prefix),
                transactions,
                field = it.field,
                offset = first.offset(),
                first_offset = offset_of(it.version),
                "transactions came again under an id that has been before, with other content: the first stays, as in the \
                 aggregator. Field and offsets are those of one of them"
            );
        }
    }
}

/// Whether the difference is that between two events of one id in one log, of which the first
/// stays: what is stored is of a smaller offset.
fn is_repeated(document: &Document, difference: &Difference) -> bool {
    let is_event = matches!(document.stream, Stream::Transactions | Stream::ShopEvents);
    is_event && difference.version > document.version
}

/// What is stored in another way than `document` says, if anything is.
fn difference(document: &Document, stored: &Stored) -> Option<Difference> {
    let (version, source) = (stored.version?, stored.source.as_ref()?);
    // An early result is replaced by a later one, and that is right.
    if document.stream == Stream::Aggregates && version > document.version {
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
mod tests {
    use super::*;
    use crate::stream::Month;

    fn document(stream: Stream, version: i64, source: &str) -> Document {
        Document {
            stream,
            month: Month::of(0).unwrap(),
            id: "1".to_owned(),
            version,
            source: source.to_owned(),
        }
    }

    fn differs(document: &Document, stored: &Stored) -> bool {
        difference(document, stored).is_some()
    }

    fn stored(version: i64, source: Value) -> Stored {
        Stored {
            version: Some(version),
            source: Some(source),
        }
    }

    #[test]
    fn a_true_repeat_is_the_same() {
        let ours = document(Stream::Transactions, 7, r#"{"a":1,"amount":10.5000,"b":"x"}"#);
        assert!(!differs(
            &ours,
            &stored(7, json!({"b": "x", "a": 1, "amount": 10.5}))
        ));
        assert!(!differs(&ours, &stored(9, json!({"a": 1}))), "a field is new");
    }

    #[test]
    fn other_content_differs_whatever_its_version() {
        let ours = document(Stream::Transactions, 7, r#"{"amount":12.5}"#);
        assert!(differs(&ours, &stored(7, json!({"amount": 10.0}))));
        assert!(differs(&ours, &stored(8, json!({"amount": 10.0}))));
    }

    #[test]
    fn a_transaction_that_came_again_is_told_from_one_of_other_topics() {
        let ours = document(Stream::Transactions, 7, r#"{"amount":12.5,"b":"x"}"#);
        let of = |document: &Document, version| {
            let stored = stored(version, json!({"amount": 10.0, "b": "x"}));
            difference(document, &stored).unwrap()
        };
        assert_eq!(of(&ours, 8).field, "amount");
        assert!(
            is_repeated(&ours, &of(&ours, 8)),
            "the first is of a smaller offset"
        );
        assert!(
            !is_repeated(&ours, &of(&ours, 7)),
            "the same place has other content"
        );
        let alert = document(Stream::Anomalies, 7, r#"{"amount":12.5}"#);
        assert!(!is_repeated(&alert, &of(&alert, 8)), "no anomaly comes twice");
    }

    #[test]
    fn the_log_is_told_of_all_of_them_at_intervals() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        assert_eq!(pace.take(0, start), None);
        assert_eq!(pace.take(3, start), Some(3));
        assert_eq!(pace.take(2, start + TELL_INTERVAL / 2), None);
        assert_eq!(
            pace.take(4, start + TELL_INTERVAL),
            Some(6),
            "and those in between"
        );
        assert_eq!(pace.take(1, start + TELL_INTERVAL), None);
    }

    #[test]
    fn a_later_result_is_none_of_it_and_neither_is_a_second_detection() {
        let early = document(Stream::Aggregates, 7, r#"{"purchaseCount":1}"#);
        assert!(!differs(&early, &stored(8, json!({"purchaseCount": 2}))));
        assert!(differs(&early, &stored(7, json!({"purchaseCount": 2}))));
        let again = document(Stream::Anomalies, 7, r#"{"detectionTime":5,"score":0.5}"#);
        assert!(!differs(
            &again,
            &stored(8, json!({"detectionTime": 4, "score": 0.5}))
        ));
    }

    #[test]
    fn what_cannot_be_seen_differs_in_nothing() {
        let ours = document(Stream::Transactions, 7, r#"{"a":1}"#);
        let unseen = Stored {
            version: None,
            source: None,
        };
        assert!(!differs(&ours, &unseen));
    }
}
