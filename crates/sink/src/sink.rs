//! What a store's crate gives.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;

use millrace_contract::RegistryError;

use crate::acknowledgement::{PartitionKey, Span};
use crate::batch::{Origin, Work};
use crate::spec::Names;

/// A store that records are carried to.
///
/// A write is repeated after a crash, after a partition has moved, and where its answer was lost:
/// a store has to make nothing of it. Batches are written side by side and may overtake one
/// another; a store that needs them in turn has one in flight ([`crate::Spec::in_flight`]).
pub trait Sink: Send + Sync + 'static {
    /// How its metrics, and what it says, name things.
    const NAMES: Names;

    /// Whether items are kept with a copy of their records, of which a dead letter is made where
    /// the store refuses one. A sink that refuses none in [`Sink::write`] does without.
    const KEEPS_RECORDS: bool = true;

    /// What is written of a record: a document, a row.
    type Item: Item;

    /// A partition is this process's: `first` is its first record since, which will be decided on
    /// next. Called on the consumer's thread, which may wait here.
    ///
    /// # Errors
    /// What a new start of the process may mend.
    fn begin(&self, first: Origin) -> anyhow::Result<()> {
        let _ = first;
        Ok(())
    }

    /// A partition is another's from now on. Batches of it may still be being written: what becomes
    /// of them matters to nobody here.
    fn end(&self, partition: PartitionKey) {
        let _ = partition;
    }

    /// Says what becomes of a record. Called on the consumer's thread, in the order of each
    /// partition.
    ///
    /// # Errors
    /// Nothing is known of the record, as the registry cannot be asked for its schema: it is asked
    /// for again until it is known, and nothing more is read before.
    fn decide(&self, record: &Record<'_>) -> Result<Decision<Self::Item>, RegistryError>;

    /// Writes a batch, and says what became of the items that are not in the store for good then.
    /// Dropped, it may have written any part of the batch.
    fn write(&self, batch: &WriteBatch<'_, Self::Item>) -> impl Future<Output = WrittenBy<Self>> + Send;

    /// The full name of a target, for people.
    fn name(&self, target: TargetOf<Self>) -> String;

    /// The name of a target as a metric's label, which is one of [`Names::target_labels`].
    fn label(target: TargetOf<Self>) -> &'static str;
}

/// What a sink writes its items to.
pub type TargetOf<S> = <<S as Sink>::Item as Item>::Target;

/// What became of a batch of a sink's.
pub type WrittenBy<S> = Written<TargetOf<S>>;

/// What is written of one record.
pub trait Item: Send + Sync + 'static {
    /// Of a store what may take nothing while the rest of it does: an index, a table.
    type Target: Copy + Ord + Debug + Send + Sync + 'static;

    /// Where it is written to.
    fn target(&self) -> Self::Target;

    /// About how many bytes it takes of a write.
    fn size_bytes(&self) -> usize;
}

/// A record's parts that matter for what becomes of it.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Where it was read.
    pub origin: Origin,
    /// When the broker appended it to the log, in milliseconds since 1970; `None` if only a
    /// producer says when.
    pub append_time_ms: Option<i64>,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value; `None` for a tombstone.
    pub payload: Option<&'a [u8]>,
}

/// What is to be done with a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision<I> {
    /// Work on it.
    Work(Work<I>),
    /// A good record that the store is not to have, as one outside a sample.
    NotChosen,
    /// A bad record of a topic whose dead letters another service sends: done here too, it would be
    /// there twice.
    Skip {
        /// The bounded name of the reason.
        code: &'static str,
    },
}

/// Items that are to be written as one.
#[derive(Debug)]
pub struct WriteBatch<'a, I> {
    /// Each with the place of its record, in the order read.
    pub items: Vec<(Origin, &'a I)>,
    /// The offsets that are done when all of them are, and those of their records that are no
    /// items. Empty where items are tried again that were set aside.
    pub spans: &'a [Span],
}

/// What is left of a batch; all its other items are in the store. Places are those in
/// [`WriteBatch::items`], in no order; none may be there twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written<T> {
    /// Items that can never be written: each becomes a dead letter.
    pub refused: Vec<Refusal>,
    /// The places of items whose target takes none for now: they wait, and those of other targets
    /// go on.
    pub blocked: Vec<usize>,
    /// Why, for each such target.
    pub reasons: BTreeMap<T, Reason>,
    /// The places of items that are to be written again, after a pause.
    pub again: Vec<usize>,
    /// Why, in the store's words.
    pub again_message: String,
}

impl<T> Default for Written<T> {
    /// Everything is in the store.
    fn default() -> Self {
        Self {
            refused: Vec::new(),
            blocked: Vec::new(),
            reasons: BTreeMap::new(),
            again: Vec::new(),
            again_message: String::new(),
        }
    }
}

/// An item that can never be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its place.
    pub at: usize,
    /// A name from a fixed set, fit for a metric label.
    pub code: &'static str,
    /// The store's words.
    pub message: String,
}

/// Why a target takes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// What is the matter, as a label: one of [`Names::reasons`].
    pub code: &'static str,
    /// The store's words.
    pub message: String,
    /// What a person can do about it, as the end of a sentence.
    pub remedy: &'static str,
}
