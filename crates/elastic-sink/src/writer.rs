//! Writes documents, however long it takes.

use std::time::{Duration, Instant};

use bytes::Bytes;
use elasticsearch::{BulkParts, Elasticsearch};

use crate::bulk::{Answer, ItemOutcome, RefusedItem, RequestOutcome, RetryReason, classify, encode};
use crate::client::explain;
use crate::document::Document;
use crate::metrics::{Metrics, Outcome};
use crate::reachability::Reachability;
use crate::retry::Backoff;

/// What of the answer is read: for each document its status and why not; or why the request failed.
const ANSWER_FIELDS: [&str; 3] = ["items.*.status", "items.*.error", "error"];

/// Attempts without any progress before the service says that it is not ready: a busy server is no outage.
const PATIENCE_ATTEMPTS: u32 = 3;

/// A document that Elasticsearch will never take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its place among the documents given.
    pub at: usize,
    /// Why.
    pub item: RefusedItem,
}

/// Writes to one server.
#[derive(Debug, Clone)]
pub struct Writer {
    /// The connection.
    pub client: Elasticsearch,
    /// Put before index names.
    pub index_prefix: String,
    /// Pauses between attempts.
    pub backoff: Backoff,
    /// Counters.
    pub metrics: Metrics,
    /// Told of what the writes meet.
    pub reachability: Reachability,
}

/// Documents to be sent as one request, with their places.
type Group<'a> = Vec<(usize, &'a Document)>;

impl Writer {
    /// Writes every document, trying again until the server has taken or refused each; gives those refused, in no order.
    pub async fn write(&self, documents: impl Iterator<Item = &Document>) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        let mut groups: Vec<Group<'_>> = vec![documents.enumerate().collect()];
        while let Some(mut group) = groups.pop() {
            let mut failures = 0;
            while !group.is_empty() {
                let (reason, message) = match self.attempt(&group).await {
                    RequestOutcome::Items(outcomes) => {
                        let before = group.len();
                        let Some(retry) = self.settle(&mut group, outcomes, &mut refusals) else {
                            self.reachability.writes(None);
                            break;
                        };
                        if group.len() < before {
                            failures = 0;
                        }
                        retry
                    }
                    RequestOutcome::Retry { reason, message } => (reason, message),
                    RequestOutcome::Split(item) => {
                        if let [(at, document)] = group[..] {
                            self.metrics.document(document.stream, Outcome::DeadLettered, 1);
                            refusals.push(Refusal { at, item });
                        } else {
                            let second = group.split_off(group.len() / 2);
                            groups.extend([second, group]);
                        }
                        break;
                    }
                };
                self.pause(reason, &message, group.len(), failures).await;
                failures = failures.saturating_add(1);
            }
        }
        refusals
    }

    /// Takes what is settled out of the group; the first reason to send the rest again, or `None` if nothing is left.
    fn settle(
        &self,
        group: &mut Group<'_>,
        outcomes: Vec<ItemOutcome>,
        refusals: &mut Vec<Refusal>,
    ) -> Option<(RetryReason, String)> {
        let mut again = None;
        let mut outcomes = outcomes.into_iter();
        group.retain(|&(at, document)| match outcomes.next() {
            Some(ItemOutcome::Indexed) => {
                self.metrics.document(document.stream, Outcome::Indexed, 1);
                false
            }
            Some(ItemOutcome::Unchanged) => {
                self.metrics.document(document.stream, Outcome::Unchanged, 1);
                false
            }
            Some(ItemOutcome::Refused(item)) => {
                self.metrics.document(document.stream, Outcome::DeadLettered, 1);
                refusals.push(Refusal { at, item });
                false
            }
            Some(ItemOutcome::Retry { reason, message }) => {
                again.get_or_insert((reason, message));
                true
            }
            // `classify` gives as many outcomes as there are documents.
            None => true,
        });
        again
    }

    async fn attempt(&self, group: &Group<'_>) -> RequestOutcome {
        let body = Bytes::from(encode(
            &self.index_prefix,
            group.iter().map(|&(_, document)| document),
        ));
        self.metrics.bulk_bytes.observe(body.len() as f64);
        let start = Instant::now();
        let outcome = self.send(body, group.len()).await;
        self.metrics.bulk_duration.observe(start.elapsed().as_secs_f64());
        outcome
    }

    async fn send(&self, body: Bytes, count: usize) -> RequestOutcome {
        let broken = |error: elasticsearch::Error| RequestOutcome::Retry {
            reason: if error.is_timeout() {
                RetryReason::Timeout
            } else {
                RetryReason::Connection
            },
            message: explain(&error),
        };
        let request = self
            .client
            .bulk(BulkParts::None)
            .filter_path(&ANSWER_FIELDS)
            .body(vec![body]);
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return broken(error),
        };
        let status = response.status_code().as_u16();
        match response.bytes().await {
            Ok(body) => classify(Answer { status, body: &body }, count),
            Err(error) => broken(error),
        }
    }

    async fn pause(&self, reason: RetryReason, message: &str, documents: usize, failures: u32) {
        self.metrics.retried(reason, 1);
        let reason = reason.as_str();
        let is_outage = failures + 1 >= PATIENCE_ATTEMPTS || matches!(reason, "connection" | "blocked");
        if is_outage {
            self.reachability.writes(Some(format!(
                "Elasticsearch takes no documents ({reason}): {message}"
            )));
        }
        // An outage is told once by the readiness; each attempt is of interest only to who looks for it.
        tracing::debug!(
            reason,
            answer = message,
            documents,
            failures,
            "a bulk request will be sent again"
        );
        self.backoff.wait(failures).await;
    }
}

/// The back-off of the settings.
#[must_use]
pub fn backoff(initial_ms: u64, max_ms: u64) -> Backoff {
    Backoff {
        initial: Duration::from_millis(initial_ms),
        max: Duration::from_millis(max_ms),
    }
}

#[cfg(test)]
mod tests;
