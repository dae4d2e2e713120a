//! The bytes of a bulk request.

use std::fmt::Write as _;

use crate::document::{Document, put_string};

/// What an action's line and line ends cost beside the id and the source, about; for sizing before
/// encoding.
const OVERHEAD_BYTES: usize = 120;

/// What a document is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// The alias that is the index's name and this suffix.
    Alias(&'static str),
    /// An index by its own name, which has the document already.
    Index(&'a str),
}

/// About how many bytes a document takes in a request.
#[must_use]
pub fn size_of(document: &Document) -> usize {
    document.id.len() + document.source.len() + OVERHEAD_BYTES
}

/// The body for `documents`: for each a line with the action `index`, external versioning and the
/// target, and a line with its source. The request as a whole must demand aliases.
#[must_use]
pub fn encode<'a, 't>(
    index_prefix: &str,
    target: impl Fn(&Document) -> Target<'t>,
    documents: impl Iterator<Item = &'a Document> + Clone,
) -> String {
    let bytes = documents
        .clone()
        .map(|document| size_of(document) + index_prefix.len())
        .sum();
    let mut body = String::with_capacity(bytes);
    for document in documents {
        body.push_str("{\"index\":{\"_index\":\"");
        // Writing to a string cannot fail.
        let _ = match target(document) {
            Target::Alias(suffix) => write!(
                body,
                "{index_prefix}{}-{}{suffix}\"",
                document.stream.index(),
                document.month
            ),
            Target::Index(name) => write!(body, "{name}\",\"require_alias\":false"),
        };
        body.push_str(",\"_id\":");
        put_string(&mut body, &document.id);
        let _ = write!(
            body,
            ",\"version\":{},\"version_type\":\"external\"}}}}",
            document.version
        );
        body.push('\n');
        body.push_str(&document.source);
        body.push('\n');
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::{Month, Stream};

    fn document(stream: Stream, id: &str, version: i64) -> Document {
        Document {
            stream,
            month: Month::of(1_767_225_600_000).unwrap(),
            id: id.to_owned(),
            version,
            source: "{\"a\":1}".to_owned(),
        }
    }

    #[test]
    fn the_bytes_are_these() {
        let documents = [
            document(Stream::AGGREGATES, "m-17_EUR_0", 1),
            document(Stream::ANOMALIES, "quote\"", 9_007_199_254_740_991),
            document(Stream::TRANSACTIONS, "t", 2),
        ];
        let expected = concat!(
            r#"{"index":{"_index":"t-millrace-aggregates-2026.01","_id":"m-17_EUR_0","version":1,"version_type":"external"}}"#,
            "\n{\"a\":1}\n",
            r#"{"index":{"_index":"t-millrace-anomalies-2026.01-write","_id":"quote\"","version":9007199254740991,"version_type":"external"}}"#,
            "\n{\"a\":1}\n",
            r#"{"index":{"_index":"v-1","require_alias":false,"_id":"t","version":2,"version_type":"external"}}"#,
            "\n{\"a\":1}\n",
        );
        let target = |document: &Document| match document.stream {
            Stream::ANOMALIES => Target::Alias("-write"),
            Stream::TRANSACTIONS => Target::Index("v-1"),
            _ => Target::Alias(""),
        };
        assert_eq!(encode("t-", target, documents.iter()), expected);
        assert_eq!(encode("", target, [].iter()), "");
    }

    #[test]
    fn the_estimate_is_near() {
        let documents = [document(
            Stream::TRANSACTIONS,
            "6f1c2b1e-0d5a-4c55-9a52-0c6f6d2f7a11",
            9_007_199_254_740_991,
        )];
        let (real, estimate) = (
            encode("", |_| Target::Alias("-write"), documents.iter()).len(),
            size_of(&documents[0]),
        );
        assert!(
            real <= estimate + 16 && estimate <= real + 40,
            "{real} {estimate}"
        );
    }
}
