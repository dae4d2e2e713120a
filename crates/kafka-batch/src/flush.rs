//! Waiting for acknowledgements without turning in circles.
//!
//! rust-rdkafka's `poll` gives librdkafka whole milliseconds of what is left of its time, so that
//! the last one is spent asking again and again with none: a poll of 1 ms is a busy wait. Its
//! `flush` polls in steps of 100 ms. librdkafka's own flush sleeps until the last message is
//! acknowledged.

use std::time::Duration;

use rdkafka::bindings;
use rdkafka::client::{Client, ClientContext};
use rdkafka::types::RDKafkaRespErr;

use crate::native::timeout_ms;

/// Has a producer send what it has queued at once, whatever its linger, and waits until all is
/// acknowledged, `timeout` at most. Returns whether all is; a message that failed is not until its
/// report has been served, by polling.
pub fn flush<C: ClientContext>(producer: &Client<C>, timeout: Duration) -> bool {
    // SAFETY: the client is live. A consumer is refused, and a producer of rust-rdkafka's takes its
    // reports as events, so that no callback is called.
    let answer = unsafe { bindings::rd_kafka_flush(producer.native_ptr(), timeout_ms(timeout)) };
    answer == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR
}
