//! Messages as librdkafka hands them out.

use std::ffi::c_int;
use std::ptr::NonNull;

use rdkafka::bindings;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::types::{RDKafkaMessage, RDKafkaRespErr};

use crate::Record;
use crate::native::Queue;

/// An error in place of a record, of which the context has heard too, as it does when polling. The
/// partition's position has to be set anew by a seek.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The partition.
    pub partition: i32,
    /// The offset that it is about; below 0 if it is about none.
    pub offset: i64,
    /// librdkafka's words for it, perhaps none.
    pub reason: String,
    /// What is wrong.
    pub error: KafkaError,
}

/// Appends up to `count` messages, for which there is room, and waits for them, `timeout_ms` at
/// most.
pub(crate) fn take(
    queue: &Queue,
    messages: &mut Vec<NonNull<RDKafkaMessage>>,
    count: usize,
    timeout_ms: c_int,
) {
    let room = &mut messages.spare_capacity_mut()[..count];
    // SAFETY: the queue is live and of a live client; `NonNull` lies in memory as a pointer does,
    // and there is room for `count` of them.
    let taken = unsafe {
        bindings::rd_kafka_consume_batch_queue(queue.as_ptr(), timeout_ms, room.as_mut_ptr().cast(), count)
    };
    // It gives -1 for an error, of which it knows none.
    let taken = usize::try_from(taken).unwrap_or(0);
    // SAFETY: that many pointers have been written, none of them null, and the messages are ours
    // from now on.
    unsafe { messages.set_len(messages.len() + taken) }
}

/// A record, or what was reported in its place, of which the context hears.
///
/// # Safety
/// The message is live, and not changed, for `'m`.
#[inline]
pub(crate) unsafe fn item<'m>(
    message: NonNull<RDKafkaMessage>,
    context: &impl ConsumerContext,
) -> Result<Record<'m>, Report> {
    // SAFETY: the message is live, by this function's contract.
    let code = unsafe { message.as_ref() }.err;
    if code == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
        // SAFETY: as above, and it has no error.
        return Ok(unsafe { Record::new(message) });
    }
    // SAFETY: as above.
    Err(report(unsafe { message.as_ref() }, context))
}

#[cold]
fn report(message: &RDKafkaMessage, context: &impl ConsumerContext) -> Report {
    let reason = if message.payload.is_null() {
        String::new()
    } else {
        // SAFETY: the payload of a message with an error is its text, of that length.
        let text = unsafe { std::slice::from_raw_parts(message.payload.cast(), message.len) };
        String::from_utf8_lossy(text).into_owned()
    };
    context.error(KafkaError::Global(message.err.into()), &reason);
    let error = match message.err {
        RDKafkaRespErr::RD_KAFKA_RESP_ERR__FATAL => KafkaError::MessageConsumptionFatal(message.err.into()),
        code => KafkaError::MessageConsumption(code.into()),
    };
    Report {
        partition: message.partition,
        offset: message.offset,
        reason,
        error,
    }
}

/// Gives a message back.
///
/// # Safety
/// The message is the caller's, is given back once, and its client lives.
pub(crate) unsafe fn destroy(message: NonNull<RDKafkaMessage>) {
    // SAFETY: by this function's contract.
    unsafe { bindings::rd_kafka_message_destroy(message.as_ptr()) }
}
