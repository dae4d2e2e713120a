//! Where transactions come from: the generator or a file.

use millrace_domain::texts::InFlight;
use millrace_publisher::{Record, Source};

use crate::encode::Encoder;
use crate::ledger::{Facts, class_of};
use crate::stream::Item;

/// The source of one sending thread. Its records are bytes: no id of a round is used after it.
pub type TransactionSource = Box<dyn Source<Entry = Facts, Round = InFlight>>;

/// Writes an item into a record, and gives what the ledger has to know of it.
#[inline]
pub(crate) fn fill(record: &mut Record, item: &Item, encoder: &Encoder) -> Facts {
    encoder.item(item, &mut record.value);
    // The key is the user.
    record.set_key(item.transaction.user_id.text().as_bytes());
    Facts::of(&item.transaction, class_of(item.kind))
}
