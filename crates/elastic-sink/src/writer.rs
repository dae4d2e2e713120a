//! Writes documents until each is taken, refused, or waits for its index; however long that takes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use millrace_settings::Settings;
use millrace_sink::{Backoff, Reachability};
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;

use crate::bulk::{
    Answer, BulkSize, IndexFault, Reason, RefusedItem, RequestOutcome, RetryReason, classify, encode,
};
use crate::client::{Elasticsearch, explain, without_documents};
use crate::conflict::Conflicts;
use crate::document::Document;
use crate::indices::{Indices, NoPlace};
use crate::metrics::{Metrics, Outcome};
use crate::origin::Origin;
use crate::refusals::{Answered, Refusals};

mod progress;
mod settle;
mod targets;

use progress::{Placed, Progress};
pub use progress::{Refusal, Written};
use targets::Targets;

/// What of the answer is read: for each document its status and why not; or why the request failed.
const ANSWER_FIELDS: &str = "items.*.status,items.*.error,error";

/// Attempts without any progress before the service says that it is not ready, or a document whose
/// shard fails is set aside: a busy server is no outage.
const PATIENCE_ATTEMPTS: u32 = 3;

/// Writes to one server.
#[derive(Debug, Clone)]
pub struct Writer {
    client: Elasticsearch,
    index_prefix: String,
    /// How long the server may wait for a shard: it has to answer in time for the other documents.
    shard_timeout: String,
    /// Where documents go.
    pub indices: Arc<Indices>,
    /// How much goes at once.
    pub size: Arc<BulkSize>,
    refusals: Arc<Refusals>,
    conflicts: Arc<Conflicts>,
    /// Pauses between attempts.
    pub backoff: Backoff,
    /// Counters.
    pub metrics: Metrics,
    /// Told of what the writes meet.
    pub reachability: Reachability,
}

impl Writer {
    /// A writer with the settings of the sink and the server.
    #[must_use]
    pub fn new(
        client: &Elasticsearch,
        settings: &Settings,
        metrics: Metrics,
        reachability: Reachability,
    ) -> Self {
        let (sink, server) = (&settings.elastic_sink, &settings.elasticsearch);
        let timeout = Duration::from_millis(server.timeout_ms);
        Self {
            client: client.clone(),
            index_prefix: server.index_prefix.clone(),
            shard_timeout: format!("{}ms", (server.timeout_ms / 2).max(1)),
            indices: Arc::new(Indices::new(client.clone(), server.clone())),
            size: Arc::new(BulkSize::new(sink.bulk_bytes, timeout)),
            refusals: Arc::new(Refusals::new(sink.refused_in_a_row, sink.unproven_refusals_wait)),
            conflicts: Arc::new(Conflicts::new(
                client.clone(),
                server.index_prefix.clone(),
                Origin::new(settings),
            )),
            backoff: backoff(sink.retry_initial_ms, sink.retry_max_ms),
            metrics,
            reachability,
        }
    }

    /// What is put before index names.
    #[must_use]
    pub fn index_prefix(&self) -> &str {
        &self.index_prefix
    }

    /// Writes every document, trying again until the server has taken or refused each, or its index
    /// is found to take none for now.
    pub async fn write(&self, documents: impl Iterator<Item = &Document>) -> Written {
        let mut progress = Progress::new(documents);
        while !progress.is_done() {
            let mut group = progress.cut(self.size.limit());
            let targets = match self.targets(&group).await {
                Ok(targets) => targets,
                Err((key, NoPlace::Blocked(reason))) => {
                    progress.put_back(group);
                    progress.block(key, reason);
                    continue;
                }
                Err((_, NoPlace::Later(reason, message))) => {
                    let count = group.len();
                    progress.put_back(group);
                    self.pause(&mut progress, reason, &message, count).await;
                    continue;
                }
            };
            self.count_repeats(&targets.take_repeats(&mut group)).await;
            if group.is_empty() {
                progress.failures = 0;
                self.reachability.writes(None);
                continue;
            }
            self.attempt(&mut progress, group, &targets).await;
        }
        progress.written
    }

    async fn attempt<'a>(&self, progress: &mut Progress<'a>, group: Vec<Placed<'a>>, targets: &Targets<'a>) {
        let documents = group.iter().map(|&(_, document)| document);
        let body = Bytes::from(encode(&self.index_prefix, |it| targets.of(it), documents));
        let (bytes, count, start) = (body.len(), group.len(), Instant::now());
        self.metrics.bulk_bytes.observe(bytes as f64);
        let outcome = self.send(body, count).await;
        let took = start.elapsed();
        self.metrics.bulk_duration.observe(took.as_secs_f64());
        match outcome {
            RequestOutcome::Items(outcomes) => {
                self.size.succeeded(bytes, took);
                progress.unspoiled();
                self.settle(progress, group, outcomes).await;
            }
            RequestOutcome::Retry { reason, message } => {
                if matches!(reason, RetryReason::Timeout | RetryReason::Rejected) {
                    self.size.overloaded(bytes);
                }
                progress.put_back(group);
                self.pause(progress, reason, &message, count).await;
            }
            RequestOutcome::TooLarge(message) => match group[..] {
                [placed] if self.size.is_large_document(bytes) => {
                    self.refused(
                        progress,
                        placed,
                        RefusedItem {
                            code: "too_large",
                            message,
                        },
                    );
                }
                // No limit of size is made against it: whoever answers so answers everything so.
                [_] => {
                    progress.put_back(group);
                    self.pause(progress, RetryReason::Blocked, &message, count).await;
                }
                _ => {
                    self.size.too_large(bytes);
                    progress.put_back(group);
                }
            },
            RequestOutcome::Split(item) => {
                if let [placed] = group[..] {
                    self.refused(progress, placed, item);
                } else {
                    progress.halve(count);
                    progress.put_back(group);
                }
            }
        }
        self.metrics.bulk_limit.set(self.size.limit() as i64);
    }

    /// A document was refused alone in its request.
    fn refused<'a>(&self, progress: &mut Progress<'a>, placed: Placed<'a>, item: RefusedItem) {
        let (at, document) = placed;
        let key = document.key();
        let answered = Answered {
            taken: 0,
            refused: 1,
            unproven: usize::from(!item.is_of_a_document()),
        };
        if self.refusals.blames_index(key, answered) {
            progress.put_back(vec![placed]);
            progress.block(
                key,
                Reason {
                    fault: IndexFault::AllRefused,
                    message: without_documents(&item.message),
                },
            );
        } else {
            self.metrics.document(document.stream, Outcome::DeadLettered, 1);
            progress.refuse(at, item);
        }
    }

    async fn send(&self, body: Bytes, count: usize) -> RequestOutcome {
        let broken = |error: reqwest::Error| RequestOutcome::Retry {
            reason: if error.is_timeout() {
                RetryReason::Timeout
            } else {
                RetryReason::Connection
            },
            message: explain(&error),
        };
        let request = self
            .client
            .request(Method::POST, &["_bulk"])
            .query(&[
                ("filter_path", ANSWER_FIELDS),
                ("require_alias", "true"),
                ("timeout", &self.shard_timeout),
            ])
            .header(CONTENT_TYPE, "application/x-ndjson")
            .body(body);
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return broken(error),
        };
        let status = response.status().as_u16();
        match response.bytes().await {
            Ok(body) => classify(Answer { status, body: &body }, count),
            Err(error) => broken(error),
        }
    }

    async fn pause(&self, progress: &mut Progress<'_>, reason: RetryReason, message: &str, documents: usize) {
        let failures = progress.failures;
        progress.failures = failures.saturating_add(1);
        self.metrics.retried(reason, 1);
        let is_outage = failures + 1 >= PATIENCE_ATTEMPTS
            || matches!(
                reason,
                RetryReason::Connection | RetryReason::Blocked | RetryReason::Timeout
            );
        let reason = reason.as_str();
        if is_outage {
            self.reachability.writes(Some(format!(
                "Elasticsearch takes no documents ({reason}): {}",
                without_documents(message)
            )));
        }
        // An outage is told once by the readiness; each attempt is of interest only to who looks
        // for it.
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
