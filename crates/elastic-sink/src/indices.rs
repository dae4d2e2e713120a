//! Where the documents of a month are written to, made sure of before the first of them.
//!
//! # Decisions
//! * *No index is made by writing.* Elasticsearch makes an index that is written to and not there,
//!   and guesses its types if the template has gone with it. So every bulk request has
//!   `require_alias`, and the sink creates the index itself, with the mapping in the request and an
//!   alias `…-write` on it. If the index vanishes, the alias does too, and the next request is
//!   answered 404 in place of a guess: then templates and index are made anew.
//! * *What an administrator has set up is used.* An alias by the month's name is written through:
//!   `require_alias` holds for it as well. Where it has several indices, as after a rollover, each
//!   document stays in the one that has it (`homes`). A data stream is refused: it takes no
//!   external versions, so that a replay would double it.
//! * *An index with other types gets nothing*: its sums would be wrong or its searches fail, in
//!   silence.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use millrace_settings::Elasticsearch as Settings;
use reqwest::Method;
use serde_json::{Value, json};

use crate::bulk::fault::Fault;
use crate::bulk::{IndexFault, Reason, RetryReason};
use crate::client::Elasticsearch;
use crate::stream::IndexKey;
use crate::templates::TemplateError;
use crate::templates::put::{Fields, add_fields, checked, mapping, put_stream, sent};

mod homes;

pub use homes::Home;

/// What follows an index's name in the alias that is written to.
const WRITE_SUFFIX: &str = "-write";

/// What to write a month's documents to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The alias that the sink has put on the month's index.
    OwnAlias,
    /// An alias by the month's own name, set up by somebody.
    ForeignAlias,
}

impl Place {
    /// What follows the index's name.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::OwnAlias => WRITE_SUFFIX,
            Self::ForeignAlias => "",
        }
    }
}

/// Why there is no place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoPlace {
    /// The index takes nothing until somebody mends it.
    Blocked(Reason),
    /// The server cannot be asked now.
    Later(RetryReason, String),
}

/// The places that are known.
#[derive(Debug)]
pub struct Indices {
    client: Elasticsearch,
    settings: Settings,
    known: Mutex<BTreeMap<IndexKey, Place>>,
    /// Held while one is made, which others need not try too.
    making: tokio::sync::Mutex<()>,
}

/// What bears a name.
#[derive(Debug, PartialEq, Eq)]
enum Bearer {
    Nothing,
    /// An index; whether it has the alias to write to.
    Index(bool),
    Alias,
    DataStream,
}

impl Indices {
    /// None is known yet.
    #[must_use]
    pub fn new(client: Elasticsearch, settings: Settings) -> Self {
        Self {
            client,
            settings,
            known: Mutex::default(),
            making: tokio::sync::Mutex::default(),
        }
    }

    /// The place of a month's documents; looks for it, and makes it, the first time.
    ///
    /// # Errors
    /// There can be none for now.
    pub async fn place(&self, key: IndexKey) -> Result<Place, NoPlace> {
        if let Some(place) = self.with(|known| known.get(&key).copied()) {
            return Ok(place);
        }
        let _making = self.making.lock().await;
        if let Some(place) = self.with(|known| known.get(&key).copied()) {
            return Ok(place);
        }
        let place = self.make(key).await?;
        self.with(|known| known.insert(key, place));
        Ok(place)
    }

    /// Forgets a place that has turned out not to be there any more.
    pub fn forget(&self, key: IndexKey) {
        self.with(|known| known.remove(&key));
    }

    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<IndexKey, Place>) -> T) -> T {
        work(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn make(&self, key: IndexKey) -> Result<Place, NoPlace> {
        let name = key.name(&self.settings.index_prefix);
        loop {
            match self.bearer(&name).await? {
                Bearer::Index(has_alias) => {
                    self.check_fields(key, &name).await?;
                    if !has_alias {
                        self.put_alias(&name).await?;
                    }
                    return Ok(Place::OwnAlias);
                }
                Bearer::Alias => {
                    self.check_fields(key, &name).await?;
                    return Ok(Place::ForeignAlias);
                }
                Bearer::DataStream => {
                    return Err(blocked(
                        IndexFault::DataStream,
                        format!("{name} is a data stream"),
                    ));
                }
                Bearer::Nothing => {
                    put_stream(&self.client, key.stream, &self.settings).await?;
                    if self.create(key, &name).await? {
                        tracing::info!(index = name, "the index is created");
                        return Ok(Place::OwnAlias);
                    }
                    // Another sink was faster.
                }
            }
        }
    }

    async fn bearer(&self, name: &str) -> Result<Bearer, NoPlace> {
        let action = format!("look for {name}");
        let request = self.client.request(Method::GET, &["_resolve", "index", name]);
        let (status, body) = sent(&action, request).await?;
        if status == 404 && body.contains("index_not_found_exception") {
            return Ok(Bearer::Nothing);
        }
        Ok(bearer(&checked(&action, status, body)?, name))
    }

    /// Adds new fields, and refuses what has others by their names.
    async fn check_fields(&self, key: IndexKey, name: &str) -> Result<(), NoPlace> {
        for (index, fields) in add_fields(&self.client, key.stream, name).await? {
            if let Fields::Unfit(reason) = fields {
                return Err(blocked(IndexFault::Mapping, format!("index {index} {reason}")));
            }
        }
        Ok(())
    }

    /// Whether the index is new; else somebody else has just made it. Settings come from the
    /// template, be it ours or one that goes before it; types are ours.
    async fn create(&self, key: IndexKey, name: &str) -> Result<bool, NoPlace> {
        let action = format!("create the index {name}");
        let aliases = BTreeMap::from([(format!("{name}{WRITE_SUFFIX}"), json!({}))]);
        let body = json!({ "mappings": mapping(key.stream), "aliases": aliases });
        // Its shards may have no room: who writes to it finds out, and holds up nobody else by
        // waiting.
        let request = self
            .client
            .request(Method::PUT, &[name])
            .query(&[("wait_for_active_shards", "0")])
            .json(&body);
        let (status, body) = sent(&action, request).await?;
        if status == 400 && body.contains("resource_already_exists_exception") {
            return Ok(false);
        }
        match checked(&action, status, body) {
            Ok(_) => Ok(true),
            // The cluster takes no new indices, as one that is read-only: those that are there may
            // go on.
            Err(TemplateError::Refused {
                status: 403,
                fault: Some(Fault::Cluster(_)),
                answer,
                ..
            }) => Err(blocked(IndexFault::Missing, answer)),
            Err(error) => Err(error.into()),
        }
    }

    async fn put_alias(&self, name: &str) -> Result<(), NoPlace> {
        let alias = format!("{name}{WRITE_SUFFIX}");
        let action = format!("put the alias {alias}");
        let request = self.client.request(Method::PUT, &[name, "_alias", &alias]);
        let (status, body) = sent(&action, request).await?;
        checked(&action, status, body)?;
        Ok(())
    }
}

fn blocked(fault: IndexFault, message: String) -> NoPlace {
    NoPlace::Blocked(Reason { fault, message })
}

impl From<TemplateError> for NoPlace {
    fn from(error: TemplateError) -> Self {
        let message = error.to_string();
        match error {
            TemplateError::Unreachable { .. } => Self::Later(RetryReason::Connection, message),
            TemplateError::Refused { fault: None, .. } => Self::Later(RetryReason::Blocked, message),
            TemplateError::Refused {
                fault: Some(fault), ..
            } => match fault {
                Fault::Index(fault) => blocked(fault, message),
                Fault::Cluster(reason) => Self::Later(reason, message),
                // There is no document to blame.
                Fault::Document(_) => blocked(IndexFault::Missing, message),
            },
        }
    }
}

/// What bears `name`, by an answer of `GET _resolve/index/NAME`.
fn bearer(answer: &Value, name: &str) -> Bearer {
    let named = |kind: &str| {
        let all = answer[kind].as_array().into_iter().flatten();
        all.into_iter().find(|one| one["name"] == name)
    };
    let list = |one: &Value, field: &str| one[field].as_array().cloned().unwrap_or_default();
    if named("data_streams").is_some() {
        Bearer::DataStream
    } else if named("aliases").is_some() {
        Bearer::Alias
    } else if let Some(index) = named("indices") {
        let alias = format!("{name}{WRITE_SUFFIX}");
        Bearer::Index(list(index, "aliases").iter().any(|known| *known == alias))
    } else {
        Bearer::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_borne_by_an_index_an_alias_a_data_stream_or_nothing() {
        let answer = json!({
            "indices": [
                { "name": "a", "attributes": ["open"] },
                { "name": "b", "aliases": ["b-write", "other"], "attributes": ["open"] },
            ],
            "aliases": [{ "name": "c", "indices": ["c-1", "c-2"] }],
            "data_streams": [{ "name": "d", "backing_indices": [".ds-d-1"], "timestamp_field": "@timestamp" }],
        });
        for (name, expected) in [
            ("a", Bearer::Index(false)),
            ("b", Bearer::Index(true)),
            ("c", Bearer::Alias),
            ("d", Bearer::DataStream),
            ("e", Bearer::Nothing),
        ] {
            assert_eq!(bearer(&answer, name), expected, "{name}");
        }
    }

    #[test]
    fn what_the_server_says_of_an_index_is_no_outage() {
        let refused = |status, body: &str| {
            NoPlace::from(checked("create the index x", status, body.to_owned()).unwrap_err())
        };
        let no_room = r#"{"error":{"type":"validation_exception","reason":"this cluster currently has [9]/[9] maximum normal shards open"},"status":400}"#;
        assert!(
            matches!(refused(400, no_room), NoPlace::Blocked(Reason { fault: IndexFault::NoRoom, message })
                if message.contains("create the index x") && message.contains("[9]/[9]"))
        );
        let unknown = r#"{"error":{"type":"some_exception","reason":"why"},"status":400}"#;
        assert!(matches!(
            refused(400, unknown),
            NoPlace::Blocked(Reason {
                fault: IndexFault::Missing,
                ..
            })
        ));
        for (status, body) in [
            (502, "<html>"),
            (
                503,
                r#"{"error":{"type":"master_not_discovered_exception","reason":null},"status":503}"#,
            ),
            (
                401,
                r#"{"error":{"type":"security_exception","reason":"unable to authenticate"},"status":401}"#,
            ),
        ] {
            assert!(matches!(refused(status, body), NoPlace::Later(..)), "{body}");
        }
    }
}
