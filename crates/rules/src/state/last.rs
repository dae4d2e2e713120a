//! The last transaction of an entity: the one with the highest event time, of several the last to
//! come.

use super::{Reader, StateError, Writer};

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Last {
    /// Event time; the least there is before the first.
    pub(crate) time_ms: i64,
    /// The bits of a number, or a text's code.
    pub(crate) value: u128,
}

impl Default for Last {
    fn default() -> Self {
        Self {
            time_ms: i64::MIN,
            value: 0,
        }
    }
}

impl Last {
    pub(crate) fn is_known(&self) -> bool {
        self.time_ms != i64::MIN
    }

    pub(crate) fn learn(&mut self, time_ms: i64, value: u128) {
        if time_ms >= self.time_ms {
            *self = Self { time_ms, value };
        }
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) {
        writer.i64(self.time_ms);
        writer.u128(self.value);
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, StateError> {
        Ok(Self {
            time_ms: reader.time_ms()?,
            value: reader.u128()?,
        })
    }
}
