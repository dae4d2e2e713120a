//! Whose fault an error of Elasticsearch is: docs/elasticsearch.md has the table that this module
//! is.
//!
//! A document is blamed only where nothing else can be: whatever a person has to mend in the
//! cluster must not cost a record its place in the index.

use serde::Deserialize;

use super::response::RetryReason;

/// Whose fault an error is, and so what becomes of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The document's: a dead letter, by a name from a fixed set.
    Document(&'static str),
    /// The index's: its documents are set aside until it is mended.
    Index(IndexFault),
    /// The cluster's, or that of a proxy before it: everything waits and is sent again.
    Cluster(RetryReason),
}

/// Why one index takes no documents; the label `reason` of `millrace_sink_blocked_documents`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IndexFault {
    /// A block against writes: set by a person, or by the flood stage of a full disk.
    ReadOnly,
    /// It is closed.
    Closed,
    /// It is not there, and cannot be made.
    Missing,
    /// The cluster takes no more shards.
    NoRoom,
    /// Its shards are not there.
    Unavailable,
    /// Its ingest pipeline does not exist.
    Pipeline,
    /// An alias is in its place that has no write index.
    NoWriteIndex,
    /// A data stream is in its place, which takes no external versions.
    DataStream,
    /// Its fields have other types, or it takes no more fields.
    Mapping,
    /// The user may not write to it.
    Forbidden,
    /// The server fails again and again where it is written to.
    Server,
    /// It refuses every document, for a reason that is each document's by its name.
    AllRefused,
}

impl IndexFault {
    /// Every value.
    pub const ALL: [Self; 12] = [
        Self::ReadOnly,
        Self::Closed,
        Self::Missing,
        Self::NoRoom,
        Self::Unavailable,
        Self::Pipeline,
        Self::NoWriteIndex,
        Self::DataStream,
        Self::Mapping,
        Self::Forbidden,
        Self::Server,
        Self::AllRefused,
    ];

    /// The label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "read_only",
            Self::Closed => "closed",
            Self::Missing => "missing",
            Self::NoRoom => "no_room",
            Self::Unavailable => "unavailable",
            Self::Pipeline => "pipeline",
            Self::NoWriteIndex => "no_write_index",
            Self::DataStream => "data_stream",
            Self::Mapping => "mapping",
            Self::Forbidden => "forbidden",
            Self::Server => "server",
            Self::AllRefused => "all_refused",
        }
    }

    /// What a person can do about it, as the end of a sentence.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::ReadOnly => "remove the block (PUT INDEX/_settings index.blocks.*), or free disk space",
            Self::Closed => "open the index (POST INDEX/_open)",
            Self::Missing => "allow the sink to create it, or create it from the template",
            Self::NoRoom => "delete old indices, or raise cluster.max_shards_per_node",
            Self::Unavailable => "see GET _cluster/allocation/explain",
            Self::Pipeline => "create the pipeline, or remove index.default_pipeline",
            Self::NoWriteIndex => "set is_write_index for one index of the alias",
            Self::DataStream => {
                "data streams take no corrections: remove the data stream and its template from this name, \
                 or choose another elasticsearch.index_prefix"
            }
            Self::Mapping => {
                "reindex it into an index made from the template, or delete it and read again \
                 (docs/elasticsearch.md)"
            }
            Self::Forbidden => "give the sink's user the rights in docs/elasticsearch.md",
            Self::Server => "see the server's log",
            Self::AllRefused => {
                "mend the index; if the documents are bad indeed, raise elastic_sink.refused_in_a_row, or set \
                 elastic_sink.unproven_refusals_wait to false"
            }
        }
    }
}

/// Why an index takes no documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// What is the matter.
    pub fault: IndexFault,
    /// The server's words.
    pub message: String,
}

impl From<Reason> for millrace_sink::Reason {
    fn from(reason: Reason) -> Self {
        Self {
            code: reason.fault.as_str(),
            message: reason.message,
            remedy: reason.fault.remedy(),
        }
    }
}

/// An error in Elasticsearch's own words.
#[derive(Debug, Deserialize, Default)]
#[serde(default)]
pub struct Cause {
    /// The exception's name.
    #[serde(rename = "type")]
    pub kind: String,
    /// Why.
    pub reason: Option<String>,
    /// The index that it is about.
    pub index: Option<String>,
    /// What was behind it.
    pub caused_by: Option<Box<Cause>>,
}

#[derive(Deserialize)]
struct Failure {
    error: Cause,
}

impl Cause {
    /// The error that a body tells of; `None` where the words are not Elasticsearch's.
    #[must_use]
    pub fn of(body: &[u8]) -> Option<Self> {
        let cause = serde_json::from_slice::<Failure>(body).ok()?.error;
        (!cause.kind.is_empty()).then_some(cause)
    }

    /// The name and every reason, outermost first.
    #[must_use]
    pub fn message(&self) -> String {
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

/// Whose fault it is that a document was not taken. `status` is neither a success nor 409.
#[must_use]
pub fn of_item(status: u16, cause: &Cause) -> Fault {
    if let Some(fault) = by_name(&cause.kind, &cause.message()) {
        return fault;
    }
    match status {
        401 => Fault::Cluster(RetryReason::Blocked),
        403 => Fault::Index(IndexFault::Forbidden),
        404 => Fault::Index(IndexFault::Missing),
        408 => Fault::Cluster(RetryReason::Timeout),
        429 => Fault::Cluster(RetryReason::Rejected),
        400..500 => Fault::Document(refusal(&cause.kind)),
        _ => Fault::Cluster(RetryReason::Server),
    }
}

/// Whose fault it is that a request was refused as a whole; `None` for the words of something
/// before Elasticsearch. A request goes to many indices, so that none of them is to blame.
#[must_use]
pub fn of_request(status: u16, cause: Option<&Cause>) -> Fault {
    let blocked = Fault::Cluster(RetryReason::Blocked);
    match (status, cause) {
        (408 | 504, _) => Fault::Cluster(RetryReason::Timeout),
        (429, _) => Fault::Cluster(RetryReason::Rejected),
        (500.., _) => Fault::Cluster(RetryReason::Server),
        // Only in Elasticsearch's own words: a proxy that answers 400 to everything must not empty
        // the log into the dead letters.
        (400, Some(cause)) => match by_name(&cause.kind, &cause.message()) {
            Some(Fault::Cluster(reason)) => Fault::Cluster(reason),
            Some(Fault::Index(_)) => blocked,
            Some(Fault::Document(code)) => Fault::Document(code),
            None => Fault::Document(refusal(&cause.kind)),
        },
        _ => blocked,
    }
}

/// Errors that are known by the exception's name, whatever their status.
fn by_name(kind: &str, message: &str) -> Option<Fault> {
    let says = |words: &str| message.contains(words);
    Some(match kind {
        "cluster_block_exception" if says("index closed") => Fault::Index(IndexFault::Closed),
        // "index [x] blocked by: …" is one index's; "blocked by: [SERVICE_UNAVAILABLE/…]" is the
        // cluster's.
        "cluster_block_exception" if says("index [") => Fault::Index(IndexFault::ReadOnly),
        "cluster_block_exception" => Fault::Cluster(RetryReason::Blocked),
        "index_closed_exception" => Fault::Index(IndexFault::Closed),
        "index_not_found_exception" => Fault::Index(IndexFault::Missing),
        "unavailable_shards_exception"
        | "no_shard_available_action_exception"
        | "primary_missing_action_exception"
        | "index_primary_shard_not_allocated_exception" => Fault::Index(IndexFault::Unavailable),
        "es_rejected_execution_exception" | "circuit_breaking_exception" => {
            Fault::Cluster(RetryReason::Rejected)
        }
        _ => return by_words(message),
    })
}

/// States of an index that Elasticsearch tells by `illegal_argument_exception` and the like, as it
/// tells faults of a document: only the words tell them apart.
fn by_words(message: &str) -> Option<Fault> {
    const WORDS: [(&[&str], IndexFault); 10] = [
        (&["maximum ", " shards open"], IndexFault::NoRoom),
        (&["no write index is defined for alias"], IndexFault::NoWriteIndex),
        (&["has more than one ind"], IndexFault::NoWriteIndex),
        (&["pipeline with id [", "does not exist"], IndexFault::Pipeline),
        (
            &["only write ops with an op_type of create"],
            IndexFault::DataStream,
        ),
        (&["creates data streams only"], IndexFault::DataStream),
        (&["cannot be changed from type ["], IndexFault::Mapping),
        (&["Limit of total fields ["], IndexFault::Mapping),
        (&["Limit of mapping depth ["], IndexFault::Mapping),
        (&["with the same name as alias"], IndexFault::NoWriteIndex),
    ];
    let (_, fault) = WORDS
        .into_iter()
        .find(|(words, _)| words.iter().all(|word| message.contains(word)))?;
    Some(Fault::Index(fault))
}

/// Errors that are a document's, with the words by which they are known to be: Elasticsearch tells
/// much else by the last two names.
const OF_DOCUMENTS: [(&str, &str); 5] = [
    ("strict_dynamic_mapping_exception", ""),
    ("document_parsing_exception", ""),
    ("mapper_parsing_exception", ""),
    ("illegal_argument_exception", "immense term"),
    ("action_request_validation_exception", "id is too long"),
];

/// The server's name of a refusal, from a fixed set.
fn refusal(kind: &str) -> &'static str {
    let known = OF_DOCUMENTS.into_iter().find(|(known, _)| *known == kind);
    known.map_or("refused", |(known, _)| known)
}

/// Whether a refusal of this name is known to be of a document: whatever its index is like, another
/// document may be taken.
pub(super) fn is_of_a_document(code: &str, message: &str) -> bool {
    let mut known = OF_DOCUMENTS.into_iter();
    code == "too_large" || known.any(|(name, words)| name == code && message.contains(words))
}

#[cfg(test)]
mod tests;
