//! State by key, for as long as it is needed: a table of slots of fixed size, and runs of what came
//! last for some of the keys.
//!
//! A slot is what a job keeps of a key, a cache line or two whatever the key does ([`Table`]). What
//! has no fixed size, as the events of a short span, is a run: its last entry lies in the slot, the
//! earlier ones in a pool beside the table ([`Runs`]). Both are frozen for a snapshot page by page,
//! and places that were freed are used again.
//!
//! [`Sessions`] are made of both, and so is [`Ordered`]: a state machine by key, which is given the
//! key's events in the order of their time, and is woken where none comes.

mod due;
mod held;
mod operator;
pub mod ordered;
mod runs;
pub mod sessions;
mod table;

pub use operator::KeyedOperator;
pub use ordered::{Machine, Ordered, OrderedPolicy};
pub use runs::{Entries, Entry, FrozenRuns, Run, Runs};
pub use sessions::{Fold, SessionPolicy, Sessions};
pub use table::{FrozenSlots, Slot, Sweep, Table};
