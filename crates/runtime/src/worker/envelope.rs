//! What the worker writes before a task's state: the policy that the state has, and how many events
//! at its offset it has had.

use millrace_engine::RestoreError;
use millrace_engine::snapshot::{StateReader, StateWriter};

/// First byte: see [`StateReader::version`]. No operator has this number.
const VERSION: u8 = 0xf1;

/// The worker's part of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Envelope<'a> {
    /// Events beside the records, at the snapshot's offset, that the state has had: a replay does
    /// not repeat them.
    pub(super) directives: u32,
    /// The task's policy.
    pub(super) policy: &'a str,
}

impl<'a> Envelope<'a> {
    /// Appends it; the state follows.
    pub(super) fn write(&self, bytes: &mut Vec<u8>) {
        let mut writer = StateWriter::new(bytes);
        writer.u8(VERSION);
        writer.u32(self.directives);
        writer.text(self.policy);
    }

    /// Reads it; the state follows.
    pub(super) fn read(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), RestoreError> {
        let mut reader = StateReader::new(bytes);
        reader.version("worker", VERSION)?;
        let envelope = Self {
            directives: reader.u32()?,
            policy: reader.text("policy")?,
        };
        Ok((envelope, &bytes[reader.position()..]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_with_the_state_behind_it() {
        let envelope = Envelope {
            directives: 3,
            policy: r#"{"window_ms":60000}"#,
        };
        let mut bytes = Vec::new();
        envelope.write(&mut bytes);
        bytes.extend_from_slice(b"state");
        assert_eq!(Envelope::read(&bytes), Ok((envelope, b"state".as_slice())));
        bytes[0] = 0xf2;
        assert!(matches!(
            Envelope::read(&bytes),
            Err(RestoreError::UnknownVersion { .. })
        ));
        assert!(Envelope::read(&[0x11, 0, 0]).is_err(), "a state without one");
    }
}
