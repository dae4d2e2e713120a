//! What a message says of itself by its headers.

use millrace_kafka::copies::header;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};

/// The value of the header `name`.
pub(crate) fn value<'a>(message: &'a BorrowedMessage<'_>, name: &str) -> Option<&'a [u8]> {
    let headers = message.headers()?;
    headers.iter().find(|header| header.key == name)?.value
}

/// The same as text; empty where there is none.
pub(crate) fn text<'a>(message: &'a BorrowedMessage<'_>, name: &str) -> &'a str {
    let text = value(message, name).and_then(|value| std::str::from_utf8(value).ok());
    text.unwrap_or_default()
}

/// Partition and offset of the record that a late record or a dead letter was.
pub(crate) fn source(message: &BorrowedMessage<'_>) -> Option<(i32, i64)> {
    let partition = text(message, header::SOURCE_PARTITION).parse().ok()?;
    Some((partition, text(message, header::SOURCE_OFFSET).parse().ok()?))
}
