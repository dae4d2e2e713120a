//! Cassandra as a sink: what is read, what becomes of a record, and how a batch is written.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use millrace_catalog::Service;
use millrace_kafka::clock::now_ms;
use millrace_registry::RegistryError;
use millrace_service::sink::{Reads, source};
use millrace_settings::Settings;
use millrace_sink::{Decision, Item, Limits, Names, Record, Sink, Work, WriteBatch, Written};

use crate::fault::{Fault, REASONS};
use crate::row::Row;
use crate::rows::Readers;
use crate::store::Store;
use crate::stream::Stream;

/// Batches at once: one is gathered and decoded while others are written. What is under way of all
/// of them is bounded by requests.
const BATCHES_IN_FLIGHT: usize = 2;

/// The rows of a record.
#[derive(Debug)]
pub struct Rows {
    stream: Stream,
    rows: Vec<Row>,
}

impl Item for Rows {
    type Target = Stream;

    fn target(&self) -> Stream {
        self.stream
    }

    fn size_bytes(&self) -> usize {
        self.rows.iter().map(Row::size_bytes).sum()
    }
}

/// Rows into their tables.
#[derive(Debug)]
pub struct CassandraSink {
    store: Store,
    readers: Readers,
    /// The streams that are read, in the order of the sources.
    streams: Vec<Stream>,
    requests_in_flight: usize,
}

impl CassandraSink {
    /// A sink into `store` of what `readers` read.
    #[must_use]
    pub fn new(settings: &Settings, store: Store, readers: Readers) -> Self {
        Self {
            store,
            readers,
            streams: Stream::of(settings),
            requests_in_flight: settings.cassandra_sink.requests_in_flight,
        }
    }

    async fn put(
        &self,
        at: usize,
        item: &Rows,
        now_ms: i64,
        is_away: &AtomicBool,
    ) -> (usize, Stream, Result<(), Fault>) {
        (
            at,
            item.stream,
            self.store.write(&item.rows, now_ms, is_away).await,
        )
    }
}

impl Sink for CassandraSink {
    const NAMES: Names = Names {
        service: Service::CassandraSink.name(),
        section: "cassandra_sink",
        store: "Cassandra",
        items: "rows",
        target: "table",
        targets: "tables",
        target_labels: &Stream::LABELS,
        source_labels: &Stream::LABELS,
        reasons: &REASONS,
    };

    // A row that was made can be written.
    const KEEPS_RECORDS: bool = false;

    type Item = Rows;

    fn decide(&self, record: &Record<'_>) -> Result<Decision<Rows>, RegistryError> {
        let stream = self.streams[record.origin.partition.source.0];
        let value = record.payload.unwrap_or_default();
        let made = self.readers.rows(stream, value, record.origin.offset)?;
        Ok(match made {
            Ok(rows) => Decision::Work(Work::Write(Rows { stream, rows })),
            // elastic-sink reads the same topics, and sends it to the dead letters.
            Err(code) => Decision::Skip { code },
        })
    }

    async fn write(&self, batch: &WriteBatch<'_, Rows>) -> Written<Stream> {
        let (now_ms, is_away) = (now_ms(), AtomicBool::new(false));
        let mut waiting = batch.items.iter().enumerate();
        let mut under_way = FuturesUnordered::new();
        let mut written = Written::default();
        loop {
            let room = self.requests_in_flight.saturating_sub(under_way.len());
            for (at, (_, item)) in waiting.by_ref().take(room) {
                under_way.push(self.put(at, item, now_ms, &is_away));
            }
            let Some((at, stream, outcome)) = under_way.next().await else {
                break;
            };
            match outcome {
                Ok(()) => {}
                Err(Fault::Again(message)) => {
                    written.again.push(at);
                    // The first is the cluster's; what follows was not sent.
                    if written.again.len() == 1 {
                        written.again_message = message;
                    }
                }
                Err(Fault::Blocked(reason)) => {
                    written.blocked.push(at);
                    written.reasons.insert(stream, reason);
                }
            }
        }
        written
    }

    fn name(&self, target: Stream) -> String {
        format!("the tables of {}", target.label())
    }

    fn label(target: Stream) -> &'static str {
        target.label()
    }
}

/// What the sink reads, and its bounds.
pub(crate) fn reads(settings: &Settings) -> Reads {
    let sink = &settings.cassandra_sink;
    let source = |stream: Stream| source(stream.topic(settings), stream.label());
    Reads {
        sources: Stream::of(settings).into_iter().map(source).collect(),
        limits: Limits {
            bytes: sink.max_bytes,
            items: sink.max_rows,
            age: Duration::from_millis(sink.max_age_ms),
        },
        in_flight: BATCHES_IN_FLIGHT,
        set_aside_bytes: sink.set_aside_bytes,
    }
}
