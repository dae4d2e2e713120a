//! What Elasticsearch's answer means for each document.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::fault::{self, Cause, Fault, IndexFault};

/// Why a request or an item is sent again; the label `reason` of `millrace_sink_retries_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RetryReason {
    /// No connection, or it broke.
    Connection,
    /// No answer in time.
    Timeout,
    /// 429: the server has too much to do.
    Rejected,
    /// 5xx: the server or a shard is unwell.
    Server,
    /// The cluster or a proxy refuses for a reason that no document is to blame for: rights, a
    /// block, a login page.
    Blocked,
    /// An answer that is no answer to a bulk request.
    Response,
}

impl RetryReason {
    /// Every value.
    pub const ALL: [Self; 6] = [
        Self::Connection,
        Self::Timeout,
        Self::Rejected,
        Self::Server,
        Self::Blocked,
        Self::Response,
    ];

    /// The label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Timeout => "timeout",
            Self::Rejected => "rejected",
            Self::Server => "server",
            Self::Blocked => "blocked",
            Self::Response => "response",
        }
    }
}

/// What became of one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemOutcome {
    /// It was written.
    Indexed,
    /// 409: this version or a higher one is there already. Success, if the content is the same.
    Unchanged {
        /// The index that has it.
        index: Option<String>,
    },
    /// It can be taken later: the cluster cannot take anything of the kind now.
    Retry {
        /// Why not now.
        reason: RetryReason,
        /// The server's words.
        message: String,
    },
    /// Its index takes nothing until somebody mends it.
    Blocked {
        /// What is the matter with the index.
        fault: IndexFault,
        /// The server's words.
        message: String,
    },
    /// It can never be taken.
    Refused(RefusedItem),
}

/// Why a document can never be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedItem {
    /// A name from a fixed set, fit for a metric label.
    pub code: &'static str,
    /// The server's words.
    pub message: String,
}

impl RefusedItem {
    /// Whether the error is known to be of a document: whatever its index is like, another document
    /// may be taken.
    #[must_use]
    pub fn is_of_a_document(&self) -> bool {
        fault::is_of_a_document(self.code, &self.message)
    }
}

/// What became of a request as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestOutcome {
    /// One outcome for each document, in their order.
    Items(Vec<ItemOutcome>),
    /// Nothing of it was taken; all of it can be taken later.
    Retry {
        /// Why not now.
        reason: RetryReason,
        /// The server's words.
        message: String,
    },
    /// 413: something on the way takes no requests of this size.
    TooLarge(String),
    /// One bad document spoils the request. Halves tell which.
    Split(RefusedItem),
}

/// An HTTP answer.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: &'a [u8],
}

#[derive(Deserialize)]
struct Bulk {
    items: Vec<BTreeMap<String, Item>>,
}

#[derive(Deserialize)]
struct Item {
    status: u16,
    error: Option<Cause>,
}

/// Reads the answer to a bulk request of `count` documents.
#[must_use]
pub fn classify(answer: Answer<'_>, count: usize) -> RequestOutcome {
    if (200..300).contains(&answer.status) {
        return items(answer.body, count);
    }
    let cause = Cause::of(answer.body);
    let message = match &cause {
        Some(cause) => format!("status {}: {}", answer.status, cause.message()),
        None => format!(
            "status {} in words that are not Elasticsearch's: {}",
            answer.status,
            text(answer.body)
        ),
    };
    if answer.status == 413 {
        return RequestOutcome::TooLarge(message);
    }
    match fault::of_request(answer.status, cause.as_ref()) {
        Fault::Document(code) => RequestOutcome::Split(RefusedItem { code, message }),
        Fault::Cluster(reason) => RequestOutcome::Retry { reason, message },
        Fault::Index(_) => RequestOutcome::Retry {
            reason: RetryReason::Blocked,
            message,
        },
    }
}

fn items(body: &[u8], count: usize) -> RequestOutcome {
    let malformed = |message| RequestOutcome::Retry {
        reason: RetryReason::Response,
        message,
    };
    match serde_json::from_slice::<Bulk>(body) {
        Err(error) => malformed(format!("the answer is no bulk answer: {error}: {}", text(body))),
        Ok(bulk) if bulk.items.len() != count => {
            malformed(format!("{} outcomes for {count} documents", bulk.items.len()))
        }
        Ok(bulk) => RequestOutcome::Items(bulk.items.into_iter().map(item).collect()),
    }
}

fn item(item: BTreeMap<String, Item>) -> ItemOutcome {
    let Some(Item { status, error }) = item.into_values().next() else {
        return ItemOutcome::Retry {
            reason: RetryReason::Response,
            message: "an outcome without an action".to_owned(),
        };
    };
    match status {
        200..300 => return ItemOutcome::Indexed,
        409 => {
            return ItemOutcome::Unchanged {
                index: error.and_then(|error| error.index),
            };
        }
        _ => {}
    }
    let cause = error.unwrap_or_default();
    let message = format!("status {status}: {}", cause.message());
    match fault::of_item(status, &cause) {
        Fault::Document(code) => ItemOutcome::Refused(RefusedItem { code, message }),
        Fault::Index(fault) => ItemOutcome::Blocked { fault, message },
        Fault::Cluster(reason) => ItemOutcome::Retry { reason, message },
    }
}

/// The start of a body that is no JSON of Elasticsearch's.
fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).chars().take(300).collect()
}

#[cfg(test)]
mod tests;
