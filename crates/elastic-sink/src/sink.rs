//! Elasticsearch as a sink: what is read, what becomes of a record, and how a batch is written.

use std::time::Duration;

use millrace_registry::RegistryError;
use millrace_service::sink::{Reads, source};
use millrace_settings::Settings;
use millrace_sink::{Decision, Item, Limits, Names, Record, Refusal, Sink, WriteBatch, Written};

use crate::bulk::IndexFault;
use crate::bulk::encode::size_of;
use crate::decode::{self, Decoder, Readers};
use crate::document::Document;
use crate::metrics::OPERATOR;
use crate::sample::Sample;
use crate::stream::{IndexKey, Stream};
use crate::writer::{self, Writer};

const INDICES: [&str; Stream::ALL.len()] = {
    let mut labels = [""; Stream::ALL.len()];
    let mut at = 0;
    while at < labels.len() {
        labels[at] = Stream::ALL[at].index();
        at += 1;
    }
    labels
};

const FAULTS: [&str; IndexFault::ALL.len()] = {
    let mut labels = [""; IndexFault::ALL.len()];
    let mut at = 0;
    while at < labels.len() {
        labels[at] = IndexFault::ALL[at].as_str();
        at += 1;
    }
    labels
};

/// Documents into the monthly indices of each stream.
#[derive(Debug)]
pub struct ElasticSink {
    decoder: Decoder,
    writer: Writer,
    /// The streams that are read, in the order of the sources.
    streams: Vec<Stream>,
}

impl ElasticSink {
    /// A sink that decides by `readers` and writes by `writer`.
    #[must_use]
    pub fn new(settings: &Settings, readers: Readers, writer: Writer) -> Self {
        let sample = Sample::of(settings.elastic_sink.transaction_share);
        Self {
            decoder: Decoder::new(readers, settings, sample),
            writer,
            streams: streams(settings),
        }
    }
}

impl Item for Document {
    type Target = IndexKey;

    fn target(&self) -> IndexKey {
        self.key()
    }

    fn size_bytes(&self) -> usize {
        size_of(self)
    }
}

impl Sink for ElasticSink {
    const NAMES: Names = Names {
        service: OPERATOR,
        section: "elastic_sink",
        store: "Elasticsearch",
        items: "documents",
        target: "index",
        targets: "indices",
        target_labels: &INDICES,
        source_labels: &INDICES,
        reasons: &FAULTS,
    };

    type Item = Document;

    fn decide(&self, record: &Record<'_>) -> Result<Decision<Document>, RegistryError> {
        let partition = record.origin.partition;
        self.decoder.decide(decode::Record {
            stream: self.streams[partition.source.0],
            partition: partition.partition,
            offset: record.origin.offset,
            append_time_ms: record.append_time_ms,
            key: record.key,
            payload: record.payload,
        })
    }

    async fn write(&self, batch: &WriteBatch<'_, Document>) -> Written<IndexKey> {
        let written = self.writer.write(batch.items.iter().map(|&(_, item)| item)).await;
        Written {
            refused: written.refused.into_iter().map(refusal).collect(),
            blocked: written.blocked,
            reasons: written
                .reasons
                .into_iter()
                .map(|(key, reason)| (key, reason.into()))
                .collect(),
            // The writer does so itself, by what a bulk request may be.
            ..Written::default()
        }
    }

    fn name(&self, target: IndexKey) -> String {
        target.name(self.writer.index_prefix())
    }

    fn label(target: IndexKey) -> &'static str {
        target.stream.index()
    }
}

fn refusal(refused: writer::Refusal) -> Refusal {
    Refusal {
        at: refused.at,
        code: refused.item.code,
        message: refused.item.message,
    }
}

/// The streams that are read: no transactions, where none is chosen.
fn streams(settings: &Settings) -> Vec<Stream> {
    let sample = Sample::of(settings.elastic_sink.transaction_share);
    let is_read = |stream: &Stream| *stream != Stream::TRANSACTIONS || !sample.is_empty();
    Stream::of(settings).into_iter().filter(is_read).collect()
}

/// What the sink reads, and its bounds.
pub(crate) fn reads(settings: &Settings) -> Reads {
    let sink = &settings.elastic_sink;
    let source = |stream: Stream| source(stream.read_topic(settings), stream.index());
    Reads {
        sources: streams(settings).into_iter().map(source).collect(),
        limits: Limits {
            bytes: sink.bulk_bytes,
            items: sink.bulk_actions,
            age: Duration::from_millis(sink.bulk_interval_ms),
        },
        in_flight: sink.bulks_in_flight,
        set_aside_bytes: sink.set_aside_bytes,
    }
}
