//! What a 409 hides: a stored document with the same identity and other content.
//!
//! A repeat of the same record is answered 409, and so is a record of topics that were made anew
//! beside full indices: then Elasticsearch keeps what the topics no longer say. A few of the
//! documents of each answer are compared with what is stored; if one of them differs, all of them
//! are, up to a bound.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::Elasticsearch;
use crate::document::Document;
use crate::stream::Stream;

/// Documents of one answer that are looked at …
const SAMPLE: usize = 16;

/// … and the most where one of those differs.
const MOST: usize = 1_000;

/// Least time between two warnings.
const WARN_INTERVAL: Duration = Duration::from_secs(60);

/// A field that a second detection of the same anomaly stamps anew.
const STAMPED: &str = "detectionTime";

/// Looks at documents that were answered 409.
#[derive(Debug)]
pub struct Conflicts {
    client: Elasticsearch,
    index_prefix: String,
    warned_at: Mutex<Option<Instant>>,
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
            warned_at: Mutex::default(),
        }
    }

    /// The documents among `repeats`, which were answered 409, that are known to differ from what
    /// is stored.
    pub async fn differing<'a>(&self, repeats: &[&'a Document]) -> Vec<&'a Document> {
        let step = repeats.len().div_ceil(SAMPLE).max(1);
        let sample: Vec<&Document> = repeats.iter().copied().step_by(step).collect();
        let mut found = self.compare(&sample).await;
        if !found.is_empty() && sample.len() < repeats.len() {
            found = self.compare(&repeats[..repeats.len().min(MOST)]).await;
        }
        if let Some(first) = found.first() {
            self.warn(first, found.len());
        }
        found
    }

    async fn compare<'a>(&self, documents: &[&'a Document]) -> Vec<&'a Document> {
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
            .filter(|(document, stored)| differs(document, stored))
            .map(|(document, _)| document)
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

    /// Ids are no matter for the log: the index and the number say enough.
    fn warn(&self, first: &Document, documents: usize) {
        let now = Instant::now();
        let mut warned_at = self.warned_at.lock().unwrap_or_else(PoisonError::into_inner);
        if warned_at.is_some_and(|last| now.saturating_duration_since(last) < WARN_INTERVAL) {
            return;
        }
        *warned_at = Some(now);
        tracing::warn!(
            index = first.key().name(&self.index_prefix),
            documents,
            "documents of the same identity and other content are in Elasticsearch already, and stay: the topics are not \
             those that the index was filled from. Delete the index and read the topics again (docs/elasticsearch.md)"
        );
    }
}

fn differs(document: &Document, stored: &Stored) -> bool {
    let (Some(version), Some(source)) = (stored.version, &stored.source) else {
        return false;
    };
    // An early result is replaced by a later one, and that is right.
    if document.stream == Stream::Aggregates && version > document.version {
        return false;
    }
    let Ok(ours) = serde_json::from_str::<Value>(&document.source) else {
        return false;
    };
    let (Some(ours), Some(stored)) = (ours.as_object(), source.as_object()) else {
        return false;
    };
    // A field that one of them lacks came or went with a release.
    ours.iter()
        .filter(|(name, _)| *name != STAMPED)
        .any(|(name, value)| stored.get(name).is_some_and(|stored| stored != value))
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
