//! Where a processor writes its outputs.

use millrace_kafka::OutputRecord;

use crate::Outbox;

/// Encodes outputs into one buffer, and sends them.
pub struct Emitter<'a> {
    partition: i32,
    outbox: &'a mut dyn Outbox,
    value: &'a mut Vec<u8>,
}

impl<'a> Emitter<'a> {
    pub(super) fn new(partition: i32, outbox: &'a mut dyn Outbox, value: &'a mut Vec<u8>) -> Self {
        Self {
            partition,
            outbox,
            value,
        }
    }

    /// The partition of the input that the outputs come of.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// As [`Outbox::is_replay`].
    #[must_use]
    pub fn is_replay(&self) -> bool {
        self.outbox.is_replay()
    }

    /// Encodes the value that is sent from now on; `write` appends it.
    pub fn encode(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.value.clear();
        write(self.value);
    }

    /// Sends the value to a topic, by its full name: to a partition, or to that of the key.
    pub fn send(&mut self, topic: &str, partition: Option<i32>, key: Option<&[u8]>) {
        self.outbox.send(OutputRecord {
            topic,
            partition,
            key,
            payload: self.value,
            headers: &[],
        });
    }
}
