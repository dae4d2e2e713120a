//! What is kept of an entity for each measure.

mod bytes;
mod habit;
mod hop;
mod last;
mod ring;
mod values;

pub use bytes::StateError;
pub(crate) use bytes::{Reader, Writer};
pub(crate) use habit::Habits;
pub(crate) use hop::{HOP_BYTES, HOPS};
pub(crate) use last::Last;
pub(crate) use ring::{Current, EXACT_RECORDS, MAX_HOPS, RECORD_BYTES, Ring, SPILLED};
pub(crate) use values::{MAX_VALUES, Prior, Values};

use crate::plan::Keeps;

/// The state of one entity for one measure.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum State {
    Ring(Ring),
    Values(Values),
    Last(Last),
    Streak(u32),
    Habits(Box<Habits>),
    /// The event time before which a rule is silent.
    Quiet(i64),
}

impl State {
    pub(crate) fn new(keeps: Keeps) -> Self {
        match keeps {
            Keeps::Ring => Self::Ring(Ring::default()),
            Keeps::Values => Self::Values(Values::default()),
            Keeps::Last => Self::Last(Last::default()),
            Keeps::Streak => Self::Streak(0),
            Keeps::Habits => Self::Habits(Box::default()),
            Keeps::Quiet => Self::Quiet(i64::MIN),
        }
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) {
        match self {
            Self::Ring(ring) => ring.write(writer),
            Self::Values(values) => values.write(writer),
            Self::Last(last) => last.write(writer),
            Self::Streak(length) => writer.u32(*length),
            Self::Habits(habits) => habits.write(writer),
            Self::Quiet(until_ms) => writer.i64(*until_ms),
        }
    }

    pub(crate) fn read(keeps: Keeps, reader: &mut Reader<'_>) -> Result<Self, StateError> {
        Ok(match keeps {
            Keeps::Ring => Self::Ring(Ring::read(reader)?),
            Keeps::Values => Self::Values(Values::read(reader)?),
            Keeps::Last => Self::Last(Last::read(reader)?),
            Keeps::Streak => Self::Streak(reader.u32()?),
            Keeps::Habits => Self::Habits(Box::new(Habits::read(reader)?)),
            Keeps::Quiet => Self::Quiet(reader.time_ms()?),
        })
    }
}
