//! The bytes of a bulk request.

use std::fmt::Write as _;

use crate::document::{Document, put_string};
use crate::stream::IndexKey;

/// What an action's line and line ends cost beside the id and the source, about; for sizing before
/// encoding.
const OVERHEAD_BYTES: usize = 120;

/// About how many bytes a document takes in a request.
#[must_use]
pub fn size_of(document: &Document) -> usize {
    document.id.len() + document.source.len() + OVERHEAD_BYTES
}

/// The body for `documents`: for each a line with the action `index`, external versioning and the
/// place of its month, and a line with its source. `suffix` is what follows the index's name in the
/// place to write to.
#[must_use]
pub fn encode<'a>(
    index_prefix: &str,
    suffix: impl Fn(IndexKey) -> &'static str,
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
        let _ = write!(
            body,
            "{index_prefix}{}-{}{}",
            document.stream.index(),
            document.month,
            suffix(document.key())
        );
        body.push_str("\",\"_id\":");
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
        ];
        let expected = concat!(
            r#"{"index":{"_index":"t-millrace-aggregates-2026.01","_id":"m-17_EUR_0","version":1,"version_type":"external"}}"#,
            "\n{\"a\":1}\n",
            r#"{"index":{"_index":"t-millrace-anomalies-2026.01-write","_id":"quote\"","version":9007199254740991,"version_type":"external"}}"#,
            "\n{\"a\":1}\n",
        );
        let suffix = |key: IndexKey| {
            if key.stream == Stream::ANOMALIES {
                "-write"
            } else {
                ""
            }
        };
        assert_eq!(encode("t-", suffix, documents.iter()), expected);
        assert_eq!(encode("", suffix, [].iter()), "");
    }

    #[test]
    fn the_estimate_is_near() {
        let documents = [document(
            Stream::TRANSACTIONS,
            "6f1c2b1e-0d5a-4c55-9a52-0c6f6d2f7a11",
            9_007_199_254_740_991,
        )];
        let (real, estimate) = (
            encode("", |_| "-write", documents.iter()).len(),
            size_of(&documents[0]),
        );
        assert!(
            real <= estimate + 16 && estimate <= real + 40,
            "{real} {estimate}"
        );
    }
}
