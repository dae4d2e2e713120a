//! The interface of every operator: a deterministic state machine over one partition.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::policy::PolicyRefused;
use crate::snapshot::StateWriter;

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// It changed the state.
    Accepted,
    /// Its id was seen before; it changed nothing.
    Duplicate,
    /// It came after its window had closed; it changed nothing and belongs on the late topic.
    Late {
        /// How far the watermark was past the window's end (plus allowed lateness), in
        /// milliseconds; above 0.
        late_by_ms: i64,
    },
}

/// A deterministic state machine over one partition of its input.
///
/// `process`, `advance` and `configure` are the only ways in; the outputs they push and the state
/// they leave depend on nothing but the calls so far. What `freeze` gives, written and given to
/// `restore` of any new operator of the same kind, makes that one behave the same from there on.
pub trait Operator {
    /// A decoded record of the input.
    type Record;
    /// What the operator emits.
    type Output;
    /// What may be changed over an existing state: see [`crate::policy`]. Every value there is can
    /// be worked with.
    type Policy: Clone + PartialEq + fmt::Debug + Serialize + DeserializeOwned;

    /// The policy of this moment.
    fn policy(&self) -> &Self::Policy;

    /// Whether [`Operator::configure`] can take this policy over the present state.
    ///
    /// # Errors
    /// What stands in its way, and what would be right.
    fn check_policy(&self, _policy: &Self::Policy) -> Result<(), PolicyRefused> {
        Ok(())
    }

    /// Takes another policy. The call is an event in the partition's order, as `advance` is, and is
    /// repeated in a replay. What was sent stays as it was sent, the watermark does not go back,
    /// and a record after it is judged by the new policy from where the operator says that it
    /// begins. The present policy changes nothing; one that [`Operator::check_policy`] refuses
    /// changes nothing either.
    fn configure(&mut self, policy: &Self::Policy, outputs: &mut Vec<Self::Output>);

    /// Asks for the memory that these records will need, so that it is near when their turn comes:
    /// it takes the time of one access instead of one for each record. Of a group of at most
    /// [`crate::near::GROUP`], right before they are processed; of more, the first ones are asked
    /// for. A hint:
    /// it changes neither state nor outputs, and may be left out.
    fn prepare(&self, _records: &[Self::Record]) {}

    /// Takes the next record. Outputs caused by it are pushed in order.
    fn process(&mut self, record: &Self::Record, outputs: &mut Vec<Self::Output>) -> Disposition;

    /// Moves the watermark to `watermark_ms` if that is ahead of it, and does what follows (closes
    /// windows, forgets). Called for an idle partition; the call is an event in the partition's
    /// order and is repeated in a replay.
    fn advance(&mut self, watermark_ms: i64, outputs: &mut Vec<Self::Output>);

    /// The watermark in milliseconds since 1970: no window that ends at or before it is open.
    /// `None` before the first record and the first advance.
    fn watermark_ms(&self) -> Option<i64>;

    /// The end of the last window that is open, with the allowed lateness, in milliseconds since
    /// 1970: how far an idle partition's watermark has to come before nothing is left to close.
    /// `None` where nothing is open.
    fn open_until_ms(&self) -> Option<i64>;

    /// The state of this moment, to be written by another thread while the operator goes on. It
    /// copies nothing that is in proportion to the state: see [`crate::pages`].
    fn freeze(&mut self) -> FrozenState;

    /// Appends the whole state to `bytes`.
    fn snapshot(&mut self, bytes: &mut Vec<u8>) {
        self.freeze().write(bytes);
    }

    /// Replaces the state, policy included, by one that [`FrozenState::write`] wrote. A state of a
    /// version that carried no policy leaves this operator's: it has to be the one that the state
    /// was written with.
    ///
    /// # Errors
    /// The bytes are no state of this operator; the state is then unchanged.
    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError>;
}

/// An operator's state as it was at one moment, whatever is processed afterwards.
///
/// While it exists, the operator copies each page of its state before it writes to it; writing lets
/// go of the pages one after the other.
pub struct FrozenState(Box<dyn FnOnce(&mut StateWriter<'_>) + Send>);

impl FrozenState {
    /// A state that `write` appends.
    pub fn new(write: impl FnOnce(&mut StateWriter<'_>) + Send + 'static) -> Self {
        Self(Box::new(write))
    }

    /// Appends the state to `bytes`.
    pub fn write(self, bytes: &mut Vec<u8>) {
        self.write_to(&mut StateWriter::new(bytes));
    }

    pub(crate) fn write_to(self, writer: &mut StateWriter<'_>) {
        (self.0)(writer);
    }
}

impl fmt::Debug for FrozenState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrozenState").finish_non_exhaustive()
    }
}

/// Why a state could not be restored.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RestoreError {
    /// The bytes end within a value.
    #[error("the state ends early, at byte {at}")]
    Truncated {
        /// Where a value was cut.
        at: usize,
    },
    /// A value that the operator never writes.
    #[error("the state has an impossible {what} at byte {at}")]
    Invalid {
        /// Which value.
        what: &'static str,
        /// Where it is.
        at: usize,
    },
    /// Another release wrote the state, in a layout that this one does not know.
    #[error("the state of {operator} has version {found}, and this release reads versions up to {known}")]
    UnknownVersion {
        /// The operator's name.
        operator: &'static str,
        /// The version it has.
        found: u8,
        /// The highest that this release reads.
        known: u8,
    },
    /// The state is another operator's.
    #[error("it is no state of {operator}: its first byte is {found:#04x}")]
    OtherOperator {
        /// The operator that was to be restored.
        operator: &'static str,
        /// What the state starts with.
        found: u8,
    },
    /// The policy in the state is none of this release's.
    #[error("the state's policy cannot be read: {reason}")]
    Policy {
        /// What is wrong with it.
        reason: String,
    },
    /// Bytes are left after the last value.
    #[error("the state has {extra} bytes too many")]
    TooLong {
        /// How many.
        extra: usize,
    },
}
