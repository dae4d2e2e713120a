//! A producer's events: delivery reports by the array, everything else as rust-rdkafka serves it.

use std::ffi::{CStr, c_char, c_int};
use std::marker::PhantomData;
use std::ptr::{NonNull, null};
use std::time::Duration;

use rdkafka::IntoOpaque;
use rdkafka::bindings;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::types::{RDKafkaEvent, RDKafkaMessage, RDKafkaRespErr};

use crate::native::{Queue, timeout_ms};

/// An event, which is ours until it is dropped.
pub(crate) struct Event(NonNull<RDKafkaEvent>);

impl Event {
    /// The next event of a queue, waited for.
    pub(crate) fn next(queue: &Queue, timeout: Duration) -> Option<Self> {
        // SAFETY: the queue is live.
        let event = unsafe { bindings::rd_kafka_queue_poll(queue.as_ptr(), timeout_ms(timeout)) };
        NonNull::new(event).map(Self)
    }

    pub(crate) fn is_reports(&self) -> bool {
        self.kind() == bindings::RD_KAFKA_EVENT_DR
    }

    fn kind(&self) -> c_int {
        // SAFETY: the event is live.
        unsafe { bindings::rd_kafka_event_type(self.0.as_ptr()) }
    }

    /// The delivery reports of the event; `room` is used for their messages.
    ///
    /// # Safety
    /// The records were sent with opaques of the type `O`, and this is called once.
    pub(crate) unsafe fn reports<'e, O: IntoOpaque>(
        &'e self,
        room: &'e mut Vec<*const RDKafkaMessage>,
    ) -> Reports<'e, O> {
        room.clear();
        // SAFETY: the event is live.
        let count = unsafe { bindings::rd_kafka_event_message_count(self.0.as_ptr()) };
        room.reserve(count);
        // SAFETY: there is room for `count` of them.
        let count =
            unsafe { bindings::rd_kafka_event_message_array(self.0.as_ptr(), room.as_mut_ptr(), count) };
        // SAFETY: that many have been written.
        unsafe { room.set_len(count) };
        Reports {
            messages: room.iter(),
            opaque: PhantomData,
        }
    }

    /// Tells the context of anything but delivery reports.
    pub(crate) fn tell<C: ClientContext>(&self, context: &C) {
        let event = self.0.as_ptr();
        match self.kind() {
            bindings::RD_KAFKA_EVENT_ERROR => {
                // SAFETY: the event is live.
                let code = unsafe { bindings::rd_kafka_event_error(event) };
                // SAFETY: as above.
                let reason = unsafe { bindings::rd_kafka_event_error_string(event) };
                // SAFETY: an event always has a text, which lives as long.
                let reason = unsafe { text(reason) };
                context.error(KafkaError::Global(code.into()), reason.trim());
            }
            bindings::RD_KAFKA_EVENT_STATS => {
                // SAFETY: the event is live, and of this kind.
                let json = unsafe { bindings::rd_kafka_event_stats(event) };
                // SAFETY: an event of this kind has a text, which lives as long.
                let json = unsafe { text(json) };
                context.stats_raw(json.as_bytes());
            }
            bindings::RD_KAFKA_EVENT_LOG => {
                let (mut facility, mut line, mut level) = (null::<c_char>(), null::<c_char>(), 0);
                // SAFETY: the event is live, and the call sets all three or none.
                let failed =
                    unsafe { bindings::rd_kafka_event_log(event, &mut facility, &mut line, &mut level) };
                if failed == 0 {
                    // SAFETY: it was set, and lives as long as the event.
                    let facility = unsafe { text(facility) };
                    // SAFETY: as above.
                    let line = unsafe { text(line) };
                    context.log(log_level(level), facility.trim(), line.trim());
                }
            }
            // A producer has no other that is enabled.
            _ => {}
        }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: the event is ours, and given back once.
        unsafe { bindings::rd_kafka_event_destroy(self.0.as_ptr()) }
    }
}

/// Delivery reports: the opaque of each record, and why it is not known to be delivered, if so.
pub struct Reports<'e, O: IntoOpaque> {
    messages: std::slice::Iter<'e, *const RDKafkaMessage>,
    opaque: PhantomData<O>,
}

impl<O: IntoOpaque> Iterator for Reports<'_, O> {
    type Item = (O, Option<KafkaError>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let message = *self.messages.next()?;
        // SAFETY: messages live as long as their event, which is borrowed.
        let &RDKafkaMessage {
            err: code,
            _private: opaque,
            ..
        } = unsafe { &*message };
        let error = (code != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR)
            .then(|| KafkaError::MessageProduction(code.into()));
        // SAFETY: made by `into_ptr` of the same type, by the contract of `Event::reports`, and
        // each is visited once.
        Some((unsafe { O::from_ptr(opaque) }, error))
    }
}

impl<O: IntoOpaque> Drop for Reports<'_, O> {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}

/// # Safety
/// `start` is the start of a text that ends with a zero byte and lives for `'a`.
unsafe fn text<'a>(start: *const c_char) -> std::borrow::Cow<'a, str> {
    // SAFETY: by this function's contract.
    unsafe { CStr::from_ptr(start) }.to_string_lossy()
}

fn log_level(level: c_int) -> RDKafkaLogLevel {
    match level {
        0 => RDKafkaLogLevel::Emerg,
        1 => RDKafkaLogLevel::Alert,
        2 => RDKafkaLogLevel::Critical,
        3 => RDKafkaLogLevel::Error,
        4 => RDKafkaLogLevel::Warning,
        5 => RDKafkaLogLevel::Notice,
        6 => RDKafkaLogLevel::Info,
        _ => RDKafkaLogLevel::Debug,
    }
}
