//! What is done with the events of a key.

use std::fmt::Debug;

use millrace_contract::Event;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::RestoreError;
use crate::snapshot::{StateReader, StateWriter};
use crate::windowed::Key;

/// A state machine that follows a key: it is given the key's events in the order of their time, and
/// woken where none comes in time.
///
/// What it says depends on the key's events and their times alone, not on the order in which they
/// came, nor on other keys.
pub trait Machine: Clone + Debug + Send + Sync + 'static {
    /// The job's name, for errors.
    const NAME: &'static str;

    /// A record of the input.
    type Event: Event;
    /// Who is followed. The input is keyed by it, or by a part of it.
    type Key: Key;
    /// What of an event is kept until its turn comes.
    type Input: Stored;
    /// What is known of a key.
    type State: Stored;
    /// What may be changed over an existing state.
    type Settings: Copy + PartialEq + Debug + Serialize + DeserializeOwned + Send + Sync + 'static;
    /// What it says.
    type Output: Copy + PartialEq + Debug + Send + Sync + 'static;

    /// The key of an event.
    fn key(&self, event: &Self::Event) -> Self::Key;

    /// What of an event is kept until its turn comes.
    fn input(&self, event: &Self::Event) -> Self::Input;

    /// Takes the next event of a key. No earlier one comes afterwards, but where more waited than
    /// [`super::MOST_WAITING`].
    fn step(
        &self,
        settings: &Self::Settings,
        state: &mut Self::State,
        at_ms: i64,
        input: &Self::Input,
        said: &mut Vec<Self::Output>,
    );

    /// The event time at which the key is to be woken, if no event comes before; `None` for never.
    fn wakes_at_ms(&self, settings: &Self::Settings, state: &Self::State) -> Option<i64>;

    /// What is so as no event has come before `at_ms`; whether the key is kept. Where it is, the
    /// next time to wake it has to be after this one.
    fn wake(
        &self,
        settings: &Self::Settings,
        state: &mut Self::State,
        at_ms: i64,
        said: &mut Vec<Self::Output>,
    ) -> bool;

    /// How long after a key's last event something may be said that is not to wait for other
    /// events: a partition without any is advanced so far.
    fn settles_after_ms(&self, settings: &Self::Settings) -> i64;
}

/// A value in a state.
pub trait Stored: Copy + PartialEq + Debug + Send + Sync + 'static {
    /// The fewest bytes that it has there.
    const LEAST_LEN: usize;
    /// Of nothing: a state before the first event.
    const EMPTY: Self;

    /// Appends it to a state.
    fn write(&self, writer: &mut StateWriter<'_>);

    /// Reads what [`Stored::write`] wrote.
    ///
    /// # Errors
    /// The state ends before, or the bytes are nothing that it writes.
    fn read(reader: &mut StateReader<'_>) -> Result<Self, RestoreError>;
}

/// What a machine has said of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said<K, O> {
    /// Of whom.
    pub key: K,
    /// Event time at which it is so, in milliseconds since 1970.
    pub at_ms: i64,
    /// What.
    pub output: O,
}
