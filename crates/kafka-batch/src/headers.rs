//! A record's headers, read only when they are asked for.

use std::borrow::Cow;
use std::ffi::CStr;
use std::marker::PhantomData;
use std::ptr::{NonNull, null, null_mut};

use rdkafka::bindings;
use rdkafka::message::BorrowedMessage;
use rdkafka::types::{RDKafkaMessage, RDKafkaRespErr};

/// A header: its name, and its value if it has one.
pub type RecordHeader<'a> = (Cow<'a, str>, Option<&'a [u8]>);

/// Where the headers of a fetched record are. A pointer: nothing is read before
/// [`RecordHeaders::iter`].
#[derive(Debug, Clone, Copy, Default)]
pub struct RecordHeaders<'a> {
    message: Option<NonNull<RDKafkaMessage>>,
    record: PhantomData<&'a RDKafkaMessage>,
}

impl<'a> RecordHeaders<'a> {
    /// Those of a record without any.
    pub const NONE: Self = Self {
        message: None,
        record: PhantomData,
    };

    /// # Safety
    /// `message` is a fetched message without an error, and lives for `'a`.
    #[inline]
    pub(crate) unsafe fn new(message: NonNull<RDKafkaMessage>) -> Self {
        Self {
            message: Some(message),
            record: PhantomData,
        }
    }

    /// Those of a record that came alone.
    #[must_use]
    pub fn of(message: &'a BorrowedMessage<'_>) -> Self {
        Self {
            message: NonNull::new(message.ptr()),
            record: PhantomData,
        }
    }

    /// Each header in the record's order. Bytes of a name that are no UTF-8 become U+FFFD.
    pub fn iter(&self) -> impl Iterator<Item = RecordHeader<'a>> + use<'a> {
        let headers = self.message.and_then(|message| {
            let mut headers = null_mut();
            // SAFETY: the message is live. What the call parses it keeps in the message, outside of
            // the part that others have borrowed, and this type is of one thread.
            let code = unsafe { bindings::rd_kafka_message_headers(message.as_ptr(), &mut headers) };
            NonNull::new(headers).filter(|_| code == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR)
        });
        headers.into_iter().flat_map(|headers| {
            (0..).map_while(move |at| {
                let (mut name, mut value, mut len) = (null(), null(), 0);
                // SAFETY: the headers live as long as their message.
                let code = unsafe {
                    bindings::rd_kafka_header_get_all(headers.as_ptr(), at, &mut name, &mut value, &mut len)
                };
                if code != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
                    return None;
                }
                // SAFETY: a name ends with a zero byte, and lives as long as the headers.
                let name = unsafe { CStr::from_ptr(name) };
                let value = (!value.is_null()).then(|| {
                    // SAFETY: it is not null and the start of so many bytes, which live as long as
                    // the headers.
                    unsafe { std::slice::from_raw_parts(value.cast::<u8>(), len) }
                });
                Some((name.to_string_lossy(), value))
            })
        })
    }
}
