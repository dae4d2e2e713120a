//! The names of a copy's headers, and how those of its source are kept apart from them.

use std::borrow::Cow;

use crate::RecordHeader;

/// The headers that copies have of their own.
pub mod header {
    /// Why the record could not be processed, in words.
    pub const ERROR: &str = "error";
    /// The bounded name of the reason.
    pub const ERROR_CODE: &str = "error.code";
    /// The service that made the dead letter.
    pub const SERVICE: &str = "service";
    /// How long after its window had closed a record came, in milliseconds.
    pub const LATE_BY_MS: &str = "late.by_ms";
    /// Full name of the topic that the record was read from.
    pub const SOURCE_TOPIC: &str = "source.topic";
    /// The partition that it was read from.
    pub const SOURCE_PARTITION: &str = "source.partition";
    /// The offset that it was read from.
    pub const SOURCE_OFFSET: &str = "source.offset";
    /// The record's time in the log it was read from, in milliseconds since 1970.
    pub const SOURCE_TIMESTAMP_MS: &str = "source.timestamp_ms";
    /// On every copy that was cut: the length that the value had, in bytes; 0 for a tombstone.
    pub const TRUNCATED: &str = "truncated";
    /// The length that the key had, in bytes, where it was cut.
    pub const TRUNCATED_KEY: &str = "truncated.key";
    /// The names of the source's headers that were left out, with commas between.
    pub const TRUNCATED_HEADERS: &str = "truncated.headers";
    /// On a record that was sent again: topic, partition and offset of its copy. It counts as the
    /// record's own.
    pub const REPLAYED_FROM: &str = "replayed.from";
}

/// What goes before the name of a source's header that is one of a copy's own.
const PREFIX: &str = "original.";

/// Whether a header of a copy with this name is Millrace's.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    matches!(
        name,
        header::ERROR
            | header::ERROR_CODE
            | header::SERVICE
            | header::LATE_BY_MS
            | header::SOURCE_TOPIC
            | header::SOURCE_PARTITION
            | header::SOURCE_OFFSET
            | header::SOURCE_TIMESTAMP_MS
            | header::TRUNCATED
            | header::TRUNCATED_KEY
            | header::TRUNCATED_HEADERS
    )
}

/// The name on a copy of the source's header `name`. One that looks like a prefixed name is
/// prefixed once more, so that [`own_headers`] finds the names as they were.
pub(super) fn on_copy<'a>(name: &Cow<'a, str>) -> Cow<'a, str> {
    if is_reserved(name) || name.starts_with(PREFIX) {
        Cow::Owned(format!("{PREFIX}{name}"))
    } else {
        name.clone()
    }
}

/// The source's own headers among those of a copy, by the names they had.
#[must_use]
pub fn own_headers<'a>(of_copy: &[RecordHeader<'a>]) -> Vec<RecordHeader<'a>> {
    let own = of_copy.iter().filter(|(name, _)| !is_reserved(name));
    own.map(|(name, value)| {
        let name = match name.strip_prefix(PREFIX) {
            Some(original) => Cow::Owned(original.to_owned()),
            None => name.clone(),
        };
        (name, *value)
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_names_survive_a_copy() {
        let names = [
            "traceparent",
            "error",
            "source.offset",
            "original.error",
            "original.original.x",
            "truncated",
            "replayed.from",
            "",
        ];
        let own: Vec<RecordHeader<'_>> = names.iter().map(|name| (Cow::Borrowed(*name), None)).collect();
        let copied: Vec<RecordHeader<'_>> = own.iter().map(|(name, _)| (on_copy(name), None)).collect();
        assert!(copied.iter().all(|(name, _)| !is_reserved(name)), "{copied:?}");
        assert_eq!(own_headers(&copied), own);
        assert_eq!(copied[1].0, "original.error");
        assert_eq!(copied[0].0, "traceparent");
    }
}
