//! A task whose state is a digest of every event it has had, in order: one that is left out, repeated or exchanged shows in
//! every later output.

use millrace_engine::snapshot::StateReader;
use millrace_engine::{FrozenState, RestoreError};

use super::random::mix;
use crate::{InputRecord, Outbox, OutputRecord, Task, TaskError};

pub(super) const OUTPUTS: &str = "outputs";
const CONFIGURED: u64 = 1 << 62;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Digest {
    partition: i32,
    digest: u64,
    /// The policy: a number that goes into all that the task makes of an event.
    policy: u64,
    watermark_ms: Option<i64>,
}

impl Digest {
    pub(super) fn new(partition: i32, policy: &str) -> Self {
        Self {
            partition,
            digest: 0,
            policy: policy.parse().expect("a number"),
            watermark_ms: None,
        }
    }

    fn take(&mut self, event: u64, outbox: &mut dyn Outbox) {
        self.digest = mix(self.digest ^ mix(event ^ mix(self.policy)));
        outbox.send(OutputRecord {
            topic: OUTPUTS,
            partition: Some(self.partition),
            key: None,
            payload: &self.digest.to_le_bytes(),
            headers: &[],
        });
    }
}

/// The number in a record of the simulated log.
pub(super) fn number(payload: Option<&[u8]>) -> u64 {
    let bytes = payload.unwrap_or_default().try_into().unwrap_or_default();
    u64::from_le_bytes(bytes)
}

impl Task for Digest {
    fn process(&mut self, record: &InputRecord<'_>, outbox: &mut dyn Outbox) -> Result<(), TaskError> {
        let value = number(record.payload);
        self.watermark_ms = self.watermark_ms.max(Some((value % 1_000) as i64));
        self.take(value, outbox);
        Ok(())
    }

    fn advance(&mut self, watermark_ms: i64, outbox: &mut dyn Outbox) -> Result<(), TaskError> {
        if self.watermark_ms < Some(watermark_ms) {
            self.watermark_ms = Some(watermark_ms);
            self.take(u64::MAX - watermark_ms as u64, outbox);
        }
        Ok(())
    }

    fn policy(&self) -> String {
        self.policy.to_string()
    }

    fn configure(&mut self, policy: &str, outbox: &mut dyn Outbox) -> Result<(), TaskError> {
        self.policy = policy.parse().map_err(|_| TaskError(policy.to_owned()))?;
        self.take(CONFIGURED, outbox);
        Ok(())
    }

    fn watermark_ms(&self) -> Option<i64> {
        self.watermark_ms
    }

    fn max_event_time_ms(&self) -> Option<i64> {
        self.watermark_ms
    }

    fn open_until_ms(&self) -> Option<i64> {
        None
    }

    fn freeze(&mut self) -> FrozenState {
        let Self {
            digest, watermark_ms, ..
        } = *self;
        FrozenState::new(move |writer| {
            writer.u64(digest);
            writer.option_i64(watermark_ms);
        })
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let mut reader = StateReader::new(bytes);
        self.digest = reader.u64()?;
        self.watermark_ms = reader.option_i64("watermark")?;
        reader.finish()
    }
}
