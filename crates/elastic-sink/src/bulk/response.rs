//! What Elasticsearch's answer means for each document.

use std::collections::BTreeMap;

use serde::Deserialize;

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
    /// The cluster refuses for a reason that no document is to blame for: rights, a block, a closed or missing index,
    /// no room for more shards.
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
    /// 409: this version or a higher one is there already. Success.
    Unchanged,
    /// It can be taken later.
    Retry {
        /// Why not now.
        reason: RetryReason,
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
    /// The server refuses it as it is: too large, or one bad document spoils it. Halves tell which.
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

#[derive(Deserialize)]
struct Failure {
    error: Cause,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Cause {
    #[serde(rename = "type")]
    kind: String,
    reason: Option<String>,
    caused_by: Option<Box<Cause>>,
}

impl Cause {
    fn message(&self) -> String {
        let mut text = self.kind.clone();
        let mut cause = Some(self);
        while let Some(this) = cause {
            if let Some(reason) = &this.reason {
                text.push_str(": ");
                text.push_str(reason);
            }
            cause = this.caused_by.as_deref();
        }
        text
    }
}

/// Reads the answer to a bulk request of `count` documents.
#[must_use]
pub fn classify(answer: Answer<'_>, count: usize) -> RequestOutcome {
    if (200..300).contains(&answer.status) {
        return items(answer.body, count);
    }
    let cause = serde_json::from_slice::<Failure>(answer.body)
        .ok()
        .map(|failure| failure.error);
    let message = cause.as_ref().map_or_else(|| text(answer.body), Cause::message);
    let message = format!("status {}: {message}", answer.status);
    let retry = |reason| RequestOutcome::Retry {
        reason,
        message: message.clone(),
    };
    match answer.status {
        408 => retry(RetryReason::Timeout),
        429 => retry(RetryReason::Rejected),
        500.. => retry(RetryReason::Server),
        413 => RequestOutcome::Split(RefusedItem {
            code: "too_large",
            message,
        }),
        // Only in Elasticsearch's own words: a proxy that answers 400 to everything must not empty the log into the
        // dead letters.
        400 => match cause {
            Some(cause) if !is_cluster_state(&cause) => RequestOutcome::Split(RefusedItem {
                code: refusal(&cause.kind),
                message,
            }),
            _ => retry(RetryReason::Blocked),
        },
        _ => retry(RetryReason::Blocked),
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
    let cause = error.unwrap_or_default();
    let retry = |reason| ItemOutcome::Retry {
        reason,
        message: format!("status {status}: {}", cause.message()),
    };
    match status {
        200..300 => ItemOutcome::Indexed,
        409 => ItemOutcome::Unchanged,
        408 => retry(RetryReason::Timeout),
        429 => retry(RetryReason::Rejected),
        401 | 403 => retry(RetryReason::Blocked),
        400..500 if is_cluster_state(&cause) => retry(RetryReason::Blocked),
        400..500 => ItemOutcome::Refused(RefusedItem {
            code: refusal(&cause.kind),
            message: format!("status {status}: {}", cause.message()),
        }),
        _ => retry(RetryReason::Server),
    }
}

/// Whether a 4xx tells of the cluster's state and not of the document: someone has to mend it, and then the same
/// document is taken.
fn is_cluster_state(cause: &Cause) -> bool {
    match cause.kind.as_str() {
        "cluster_block_exception"
        | "index_closed_exception"
        | "index_not_found_exception"
        | "security_exception" => true,
        // "this action would add [1] shards, but this cluster currently has [1000]/[1000] maximum normal shards open"
        "validation_exception" | "illegal_argument_exception" => cause
            .reason
            .as_deref()
            .is_some_and(|reason| reason.contains("maximum normal shards open")),
        _ => false,
    }
}

/// The server's name of a refusal, from a fixed set.
fn refusal(kind: &str) -> &'static str {
    const KNOWN: [&str; 5] = [
        "strict_dynamic_mapping_exception",
        "document_parsing_exception",
        "mapper_parsing_exception",
        "illegal_argument_exception",
        "action_request_validation_exception",
    ];
    KNOWN
        .into_iter()
        .find(|known| *known == kind)
        .unwrap_or("refused")
}

/// The start of a body that is no JSON of Elasticsearch's.
fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).chars().take(300).collect()
}

#[cfg(test)]
mod tests;
