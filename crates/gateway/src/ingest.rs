//! One request, from its head to its answer.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::BodyDataStream;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use futures::StreamExt as _;
use millrace_kafka::clock::now_ms;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::access::{Access, Client};
use crate::batch::{Batch, Outcome};
use crate::body::{self, Encoding, Form};
use crate::idempotency::{self, Guard, Known, Store};
use crate::inbox::{Outlet, Parcel};
use crate::intake::{Checked, Stream};
use crate::items;
use crate::metrics::Metrics;
use crate::problem::Problem;
use crate::report::{ItemError, Report};
use crate::trace;

/// Bodies of more bytes are worked on beside the threads that serve.
const LARGE_BODY_BYTES: usize = 65_536;
/// How long a body is read on that is refused.
const DRAIN_LIMIT: Duration = Duration::from_secs(2);
/// Beyond librdkafka's own limit, which ends the wait.
const MARGIN: Duration = Duration::from_secs(5);

/// What requests are served with.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) settings: millrace_settings::Gateway,
    pub(crate) access: Access,
    pub(crate) streams: Vec<Arc<Stream>>,
    pub(crate) store: Store,
    pub(crate) metrics: Metrics,
    pub(crate) outlet: Outlet,
    /// Bytes of bodies.
    pub(crate) bytes: Arc<Semaphore>,
    /// Records in flight.
    pub(crate) records: Arc<Semaphore>,
}

/// What a request is answered with.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) report: Arc<Report>,
    /// It was made for an earlier request of the same `Idempotency-Key`.
    pub(crate) is_replayed: bool,
}

/// A request that has been read.
struct Received {
    stream: Arc<Stream>,
    client: Arc<Client>,
    headers: HeaderMap,
    form: Form,
    body: Vec<u8>,
    room: OwnedSemaphorePermit,
}

impl Gateway {
    /// The stream of this name.
    pub(crate) fn stream(&self, name: &str) -> Option<&Arc<Stream>> {
        self.streams.iter().find(|stream| stream.name == name)
    }

    /// Does a request. What it sends goes on where its client goes away: a repeat with the same
    /// `Idempotency-Key` finds what became of it.
    ///
    /// # Errors
    /// It is refused whole, and nothing of it was sent.
    pub(crate) async fn ingest(gateway: &Arc<Self>, name: &str, request: Request) -> Result<Answer, Problem> {
        let (parts, body) = request.into_parts();
        let mut chunks = body.into_data_stream();
        let received = gateway.receive(name, parts.headers, &mut chunks).await;
        if received.is_err() {
            drain(&mut chunks, gateway.settings.max_body_bytes).await;
        }
        let received = received?;
        let done = tokio::spawn(Arc::clone(gateway).handle(received));
        done.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a request was not done");
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            Err(Problem::new(
                status,
                "internal",
                "the request could not be done: the log says why",
            ))
        })
    }

    /// Reads a request. What is refused before its body was read leaves the rest in `chunks`.
    async fn receive(
        &self,
        name: &str,
        headers: HeaderMap,
        chunks: &mut BodyDataStream,
    ) -> Result<Received, Problem> {
        let client = Arc::clone(self.access.client(&headers)?);
        let stream = Arc::clone(self.stream(name).ok_or_else(|| self.no_stream(name))?);
        // What is refused below is taken of the limit too.
        client.take(1)?;
        let form = Form::of(&headers)?;
        let (body, room) = self.read(&headers, chunks).await?;
        Ok(Received {
            stream,
            client,
            headers,
            form,
            body,
            room,
        })
    }

    fn no_stream(&self, name: &str) -> Problem {
        let names: Vec<_> = self.streams.iter().map(|stream| stream.name).collect();
        let detail = format!("there is no stream {name:?}: must be one of {}", names.join(", "));
        Problem::new(StatusCode::NOT_FOUND, "unknown_stream", detail)
    }

    /// The body, decompressed, with the room that it takes.
    async fn read(
        &self,
        headers: &HeaderMap,
        chunks: &mut BodyDataStream,
    ) -> Result<(Vec<u8>, OwnedSemaphorePermit), Problem> {
        let encoding = Encoding::of(headers)?;
        let limit = self.settings.max_body_bytes;
        let length = headers.get(header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if length.is_some_and(|length| length > limit) {
            return Err(body::too_large(limit));
        }
        // Room for all that it may have, until it is known.
        let reserved = match encoding {
            Encoding::Identity => length.unwrap_or(limit),
            Encoding::Gzip => limit,
        };
        let mut room = self.room_for_bytes(reserved)?;
        let timeout = Duration::from_millis(self.settings.request_timeout_ms);
        let bytes = tokio::time::timeout(timeout, collect(chunks, limit));
        let bytes = bytes.await.unwrap_or_else(|_| {
            let detail = format!("the body did not come within {} s", timeout.as_secs());
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", detail))
        })?;
        let bytes = match encoding {
            Encoding::Identity => bytes,
            Encoding::Gzip => beside(bytes.len(), move || body::gunzip(&bytes, limit)).await??,
        };
        let spare = reserved.saturating_sub(bytes.len());
        drop(room.split(spare));
        Ok((bytes, room))
    }

    fn room_for_bytes(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Problem> {
        let count = u32::try_from(bytes).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.bytes).try_acquire_many_owned(count);
        self.show_bytes();
        room.map_err(|_| {
            let detail = format!(
                "requests of {} bytes are under way, as many as are let in at once",
                self.settings.max_in_flight_bytes - self.bytes.available_permits()
            );
            Problem::busy("bytes_in_flight", detail)
        })
    }

    fn show_bytes(&self) {
        let taken = self.settings.max_in_flight_bytes - self.bytes.available_permits();
        self.metrics.in_flight_bytes.set(taken as i64);
    }

    async fn handle(self: Arc<Self>, received: Received) -> Result<Answer, Problem> {
        let answer = self.answer(&received).await;
        drop(received.room);
        self.show_bytes();
        answer
    }

    async fn answer(&self, received: &Received) -> Result<Answer, Problem> {
        let Received {
            stream,
            client,
            headers,
            form,
            body,
            ..
        } = received;
        let key = idempotency::key(headers, &client.name, stream.name)?;
        let (guard, before) = match key {
            None => (None, None),
            Some(key) => {
                let known = self
                    .store
                    .begin(key, idempotency::fingerprint(*form, body), Instant::now());
                self.metrics.idempotency_keys.set(self.store.len() as i64);
                match known? {
                    Known::New(guard, before) => (Some(guard), before),
                    Known::Done(report) => {
                        return Ok(Answer {
                            report,
                            is_replayed: true,
                        });
                    }
                }
            }
        };
        let (items, checked) = self.check(received, before.as_deref()).await?;
        client.take(items - 1)?;
        let report = self
            .send(stream, items, checked, before.as_deref(), headers)
            .await?;
        Ok(self.finish(report, guard))
    }

    /// Splits the body, and checks what of it is to be sent.
    async fn check(&self, received: &Received, before: Option<&Report>) -> Result<(usize, Checked), Problem> {
        let again: Option<BTreeSet<usize>> = before.map(|report| {
            let again = report.errors.iter().filter(|error| error.is_retriable());
            again.map(|error| error.index).collect()
        });
        let (most, form) = (self.settings.max_items, received.form);
        let check = |stream: &Stream, body: &[u8]| {
            let items = items::split(body, form, most)?;
            let is_wanted = |index| again.as_ref().is_none_or(|again| again.contains(&index));
            Ok((items.len(), stream.check(&items, now_ms(), is_wanted)))
        };
        if received.body.len() <= LARGE_BODY_BYTES {
            return check(&received.stream, &received.body);
        }
        // The other requests of this thread move on to another.
        tokio::task::block_in_place(|| check(&received.stream, &received.body))
    }

    /// Sends what is right, and waits for what becomes of it.
    async fn send(
        &self,
        stream: &Stream,
        items: usize,
        checked: Checked,
        before: Option<&Report>,
        headers: &HeaderMap,
    ) -> Result<Report, Problem> {
        let Checked {
            records,
            indices,
            bytes,
            mut errors,
        } = checked;
        let kept = before.into_iter().flat_map(|report| &report.errors);
        errors.extend(kept.filter(|error| !error.is_retriable()).cloned());
        if records.is_empty() {
            return Ok(Report::new(stream.name, items, errors));
        }
        let count = u32::try_from(records.len()).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.records).try_acquire_many_owned(count);
        let room = room.map_err(|_| {
            let detail = "as many records as may be under way wait for the brokers' acknowledgement";
            Problem::busy("records_in_flight", detail)
        })?;
        let batch = Batch::new(records.len(), Some(room));
        self.outlet
            .put(Parcel::new(&batch, records, bytes, trace::headers(headers)));
        let limit = Duration::from_millis(self.settings.request_timeout_ms) + MARGIN;
        // Where it is over, those that still wait are told as of unknown outcome.
        let _ = tokio::time::timeout(limit, batch.done()).await;
        let outcomes = batch.outcomes().zip(indices);
        errors.extend(outcomes.filter_map(|(outcome, index)| unacknowledged(&batch, outcome, index)));
        Ok(Report::new(stream.name, items, errors))
    }

    fn finish(&self, report: Report, guard: Option<Guard>) -> Answer {
        self.metrics.items(&report);
        let report = Arc::new(report);
        if let Some(guard) = guard {
            guard.finish(&report);
        }
        Answer {
            report,
            is_replayed: false,
        }
    }
}

fn unacknowledged(batch: &Batch, outcome: Outcome, index: usize) -> Option<ItemError> {
    let (code, detail) = match outcome {
        Outcome::Acknowledged => return None,
        Outcome::NotSent => (
            "not_sent",
            "it was not sent: the gateway is stopping, or cannot send".to_owned(),
        ),
        Outcome::Unknown | Outcome::Waiting => (
            "unacknowledged",
            format!(
                "the brokers have not acknowledged it ({}): it may be in the topic or not",
                batch.code().as_deref().unwrap_or("no answer yet")
            ),
        ),
    };
    let error = ItemError::unacknowledged(index, code, detail);
    Some(ItemError {
        expected: Some("send it again with the same id: copies are found by it".to_owned()),
        ..error
    })
}

/// Reads on in what is refused, in bounds. A connection that is closed with bytes unread is reset,
/// and its client may lose the answer.
async fn drain(chunks: &mut BodyDataStream, limit: usize) {
    let read = async {
        let mut left = limit;
        while left > 0
            && let Some(Ok(chunk)) = chunks.next().await
        {
            left = left.saturating_sub(chunk.len());
        }
    };
    // Who sends slowly need not be waited for.
    let _ = tokio::time::timeout(DRAIN_LIMIT, read).await;
}

/// The bytes of a body, of at most `limit`.
async fn collect(chunks: &mut BodyDataStream, limit: usize) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| {
            let detail = format!("the body ended early: {error}");
            Problem::new(StatusCode::BAD_REQUEST, "broken_body", detail)
        })?;
        if bytes.len() + chunk.len() > limit {
            return Err(body::too_large(limit));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Does `work` over so many bytes, on a thread of its own where they are many.
async fn beside<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    // A small one may unpack to a thousand times its size.
    if bytes <= LARGE_BODY_BYTES / 1_000 {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Problem::new(
            status,
            "internal",
            format!("the body could not be unpacked: {error}"),
        )
    })
}
