//! Where documents are already behind an alias of several indices, as rollover makes it.
//!
//! After a rollover such an alias is written to another index than before: a document that is read
//! again then, or corrected, would be there twice. So it is looked for in every index of the alias,
//! by its id and in real time, and stays in the one that has it. The write index is among them: a
//! document found there stays there although the alias is rolled over in the same moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Indices, NoPlace, blocked};
use crate::bulk::RetryReason;
use crate::bulk::fault::{Cause, Fault, of_item};
use crate::document::Document;
use crate::stream::IndexKey;
use crate::templates::put::{checked, sent};

/// The most documents of one question.
const MOST: usize = 1_000;

/// Which index has a document, and in which version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// The index, by its own name.
    pub index: Arc<str>,
    /// The version that it has.
    pub version: i64,
}

#[derive(Deserialize)]
struct Answer {
    docs: Vec<Looked>,
}

#[derive(Deserialize)]
struct Looked {
    #[serde(rename = "_version")]
    version: Option<i64>,
    error: Option<Cause>,
}

impl Indices {
    /// The homes, by id, of those of a month's documents that are there already, where an alias of
    /// several indices is in the month's place; of an alias of one index none are told. The alias
    /// is asked for its indices every time, as it is rolled over by others.
    ///
    /// # Errors
    /// The server cannot be asked now, or an index of the alias.
    pub async fn homes<'a>(
        &self,
        key: IndexKey,
        documents: &[&'a Document],
    ) -> Result<BTreeMap<&'a str, Home>, NoPlace> {
        let mut homes = BTreeMap::new();
        let indices = self.behind(&key.name(&self.settings.index_prefix)).await?;
        if indices.len() < 2 {
            return Ok(homes);
        }
        for index in indices {
            let ids = documents.iter().map(|document| &*document.id);
            let left: Vec<&str> = ids.filter(|id| !homes.contains_key(id)).collect();
            for some in left.chunks(MOST) {
                let versions = self.versions(&index, some).await?;
                for (id, version) in some.iter().zip(versions) {
                    if let Some(version) = version {
                        let index = Arc::clone(&index);
                        homes.insert(*id, Home { index, version });
                    }
                }
            }
        }
        Ok(homes)
    }

    /// The indices of an alias, the last by name first: mostly it is the newest. None where the
    /// alias has gone, which the writing finds out.
    async fn behind(&self, alias: &str) -> Result<Vec<Arc<str>>, NoPlace> {
        let action = format!("look for the indices of {alias}");
        let request = self.client.request(Method::GET, &["_alias", alias]);
        let (status, body) = sent(&action, request).await?;
        if status == 404 {
            return Ok(Vec::new());
        }
        let answer = checked(&action, status, body)?;
        let indices = answer.as_object().into_iter().flat_map(|all| all.keys().rev());
        Ok(indices.map(|index| Arc::from(index.as_str())).collect())
    }

    /// The version that an index has of each of these, if it has it.
    async fn versions(&self, index: &str, ids: &[&str]) -> Result<Vec<Option<i64>>, NoPlace> {
        let action = format!("look for documents in {index}");
        let request = self
            .client
            .request(Method::POST, &[index, "_mget"])
            .query(&[
                ("_source", "false"),
                ("filter_path", "docs.found,docs._version,docs.error"),
            ])
            .json(&json!({ "ids": ids }));
        let (status, body) = sent(&action, request).await?;
        versions(checked(&action, status, body)?, ids.len()).map_err(|(fault, message)| {
            let message = format!("{action}: {message}");
            match fault {
                Fault::Index(fault) => blocked(fault, message),
                Fault::Cluster(reason) => NoPlace::Later(reason, message),
                // A question has no document.
                Fault::Document(_) => NoPlace::Later(RetryReason::Response, message),
            }
        })
    }
}

/// What an answer to a question about so many documents says of each.
fn versions(answer: Value, count: usize) -> Result<Vec<Option<i64>>, (Fault, String)> {
    let malformed = |message: String| (Fault::Cluster(RetryReason::Response), message);
    let answer: Answer = serde_json::from_value(answer).map_err(|error| malformed(error.to_string()))?;
    if answer.docs.len() != count {
        let message = format!("{} answers about {count} documents", answer.docs.len());
        return Err(malformed(message));
    }
    let version = |looked: Looked| match looked.error {
        None => Ok(looked.version),
        Some(cause) => Err((of_item(500, &cause), cause.message())),
    };
    answer.docs.into_iter().map(version).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bulk::IndexFault;

    #[test]
    fn a_document_is_there_with_its_version_or_is_not() {
        let answer = json!({ "docs": [{ "found": false }, { "_version": 7, "found": true }] });
        assert_eq!(versions(answer.clone(), 2), Ok(vec![None, Some(7)]));
        let (fault, message) = versions(answer, 3).unwrap_err();
        assert_eq!(fault, Fault::Cluster(RetryReason::Response));
        assert!(message.contains("2 answers about 3"), "{message}");
    }

    #[test]
    fn what_cannot_be_looked_at_is_not_taken_for_not_there() {
        for (kind, expected) in [
            ("index_closed_exception", Fault::Index(IndexFault::Closed)),
            (
                "no_shard_available_action_exception",
                Fault::Index(IndexFault::Unavailable),
            ),
            ("some_exception", Fault::Cluster(RetryReason::Server)),
        ] {
            let error = json!({ "type": kind, "reason": "why" });
            let answer = json!({ "docs": [{ "_version": 7, "found": true }, { "error": error }] });
            assert_eq!(versions(answer, 2).unwrap_err().0, expected, "{kind}");
        }
    }
}
