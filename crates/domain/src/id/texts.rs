//! The texts of ids that do not fit into the twelve bytes of a [`ShortId`].
//!
//! Such an id is a *surrogate* in those bytes: a NUL, which no text has, and 88 bits of its text's
//! hash. So it is copied, compared, hashed and kept in tables as any other, and the same text has
//! the same surrogate in every process. The texts are here, in one table of the process, from which
//! outputs take them again.
//!
//! The hash is of SHA-1, as version 5 of UUIDs has it (RFC 9562 §5.5). Among a billion different
//! ids the probability that any two have one surrogate is 2 in a billion; someone who may choose
//! ids at will needs some 2^44 hashes to find two.
//!
//! # How long a text is here
//! As long as somebody [holds](Held) it, and while an id of it may be *in flight*: between the
//! bytes that it was read from and those that it is written to. A thread that works in rounds says
//! so by [`InFlight`]: ids that were made during a round are not used after it, but for those that
//! are held. A thread that never says so keeps what it reads, as a program does that ends after its
//! work. This is reclamation by epochs (K. Fraser, 2004): a text is dropped when nobody holds it,
//! and every round that was under way when it was last made has ended.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, RwLock};

use uuid::Uuid;

use super::ShortId;

/// The first byte of a surrogate.
pub(super) const MARK: u8 = 0;

/// Namespace of the hash (a version 4 UUID drawn once for this project).
const NAMESPACE: Uuid = Uuid::from_u128(0x0d2b_7f5e_91c4_4b3a_8f60_73a9_5e1c_d824);

/// Texts that are new before the table is looked through, at least; else as many as were left the
/// last time.
const NEW_BEFORE_COLLECTION: usize = 65_536;

/// The surrogate of a text, a function of it that is fixed for ever, as snapshots hold surrogates.
pub(super) fn surrogate(text: &str) -> [u8; 12] {
    // The bytes of the UUID that tell its version and variant are left out.
    let [a, b, c, d, e, f, _, g, _, h, i, j, k, ..] = Uuid::new_v5(&NAMESPACE, text.as_bytes()).into_bytes();
    // All zeros are nobody's id.
    let k = if [a, b, c, d, e, f, g, h, i, j, k] == [0; 11] {
        1
    } else {
        k
    };
    [MARK, a, b, c, d, e, f, g, h, i, j, k]
}

struct Entry {
    text: Arc<str>,
    /// The epoch in which an id of it was made last.
    made: AtomicU64,
}

const SHARDS: usize = 16;

#[derive(Default)]
struct Table {
    shards: [RwLock<HashMap<[u8; 12], Entry>>; SHARDS],
    epoch: AtomicU64,
    /// The epochs in which rounds under way began, and how many rounds.
    rounds: Mutex<BTreeMap<u64, usize>>,
    /// Texts that came since the last collection.
    new: AtomicUsize,
    /// What is left of the last collection.
    left: AtomicUsize,
    /// Bytes of all texts.
    bytes: AtomicUsize,
}

static TABLE: LazyLock<Table> = LazyLock::new(Table::default);

thread_local! {
    /// The epoch in which this thread's round began.
    static ROUND: Cell<Option<u64>> = const { Cell::new(None) };
}

impl Table {
    fn shard(&self, surrogate: [u8; 12]) -> &RwLock<HashMap<[u8; 12], Entry>> {
        &self.shards[usize::from(surrogate[1]) % SHARDS]
    }

    /// Begins a round in this thread, if none is under way.
    fn begin(&self) {
        if ROUND.get().is_none() {
            let mut rounds = self.rounds.lock().unwrap_or_else(PoisonError::into_inner);
            let epoch = self.epoch.load(Ordering::Acquire);
            *rounds.entry(epoch).or_default() += 1;
            ROUND.set(Some(epoch));
        }
    }

    fn end(&self, epoch: u64) {
        let mut rounds = self.rounds.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = rounds.get_mut(&epoch) {
            *count -= 1;
            if *count == 0 {
                rounds.remove(&epoch);
            }
        }
    }

    /// Notes that an id is in flight again; whether its text is known.
    fn touch(&self, surrogate: [u8; 12]) -> bool {
        let shard = self
            .shard(surrogate)
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let entry = shard.get(&surrogate);
        if let Some(entry) = entry {
            entry
                .made
                .fetch_max(self.epoch.load(Ordering::Acquire), Ordering::AcqRel);
        }
        entry.is_some()
    }

    fn insert(&self, surrogate: [u8; 12], text: &str) {
        let mut shard = self
            .shard(surrogate)
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let made = AtomicU64::new(self.epoch.load(Ordering::Acquire));
        shard.entry(surrogate).or_insert_with(|| {
            self.bytes.fetch_add(text.len(), Ordering::AcqRel);
            let text = Arc::from(text);
            Entry { text, made }
        });
        drop(shard);
        let new = self.new.fetch_add(1, Ordering::AcqRel) + 1;
        if new == self.left.load(Ordering::Acquire).max(NEW_BEFORE_COLLECTION) {
            self.collect();
        }
    }

    /// Drops the texts that nobody can ask for.
    fn collect(&self) {
        let rounds = self.rounds.lock().unwrap_or_else(PoisonError::into_inner);
        // A round that begins from here on is of a later epoch.
        let epoch = self.epoch.fetch_add(1, Ordering::AcqRel);
        let oldest = rounds
            .keys()
            .next()
            .copied()
            .map_or(epoch, |first| first.min(epoch));
        drop(rounds);
        let mut left = 0;
        for shard in &self.shards {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            shard.retain(|_, entry| {
                let stays =
                    Arc::strong_count(&entry.text) > 1 || entry.made.load(Ordering::Acquire) >= oldest;
                if !stays {
                    self.bytes.fetch_sub(entry.text.len(), Ordering::AcqRel);
                }
                stays
            });
            left += shard.len();
        }
        self.left.store(left, Ordering::Release);
        self.new.store(0, Ordering::Release);
    }
}

/// Makes the surrogate of a text, and keeps the text.
#[cold]
pub(super) fn make(text: &str) -> [u8; 12] {
    let surrogate = surrogate(text);
    TABLE.begin();
    if !TABLE.touch(surrogate) {
        TABLE.insert(surrogate, text);
    }
    surrogate
}

/// The text of a surrogate that is held or in flight.
#[cold]
pub(super) fn of(surrogate: [u8; 12]) -> Arc<str> {
    let shard = TABLE
        .shard(surrogate)
        .read()
        .unwrap_or_else(PoisonError::into_inner);
    let entry = shard.get(&surrogate);
    Arc::clone(
        &entry
            .expect("the text of an id is kept while the id is held or in flight")
            .text,
    )
}

/// Whether this thread may have made a long id in its round.
#[must_use]
#[inline]
pub fn are_in_flight() -> bool {
    ROUND.get().is_some()
}

/// How many texts the process keeps.
#[must_use]
pub fn count() -> usize {
    let shards = TABLE.shards.iter();
    shards
        .map(|shard| shard.read().unwrap_or_else(PoisonError::into_inner).len())
        .sum()
}

/// How many bytes these texts have.
#[must_use]
pub fn bytes() -> usize {
    TABLE.bytes.load(Ordering::Acquire)
}

/// A round of this thread: see the module. Ids that are made in it are not used after it, but for
/// those that are [held](Held). A round within another one ends with that.
#[derive(Debug)]
pub struct InFlight {
    before: Option<u64>,
    /// It ends in the thread in which it began.
    _thread: std::marker::PhantomData<*const ()>,
}

impl InFlight {
    /// Begins a round. It costs nothing as long as no long id is made.
    #[must_use]
    #[inline]
    pub fn begin() -> Self {
        Self {
            before: ROUND.get(),
            _thread: std::marker::PhantomData,
        }
    }
}

impl Drop for InFlight {
    #[inline]
    fn drop(&mut self) {
        if self.before.is_none()
            && let Some(epoch) = ROUND.take()
        {
            TABLE.end(epoch);
        }
    }
}

/// Keeps the text of a long id, for as long as it is there itself.
#[derive(Debug, Clone)]
pub struct Held {
    /// Counted, by the table too.
    _text: Arc<str>,
}

impl Held {
    /// Holds an id's text; `None` for an id that is its own text.
    #[must_use]
    #[inline]
    pub fn of(id: &ShortId) -> Option<Self> {
        id.is_long().then(|| Self {
            _text: of(id.to_padded()),
        })
    }
}

/// Notes that ids of which nobody holds the text any longer are in flight in this thread: what
/// holds them is about to go.
#[cold]
pub fn release<'a>(ids: impl Iterator<Item = &'a ShortId>) {
    for id in ids.filter(|id| id.is_long()) {
        TABLE.begin();
        TABLE.touch(id.to_padded());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> ShortId {
        ShortId::new(text, "id").unwrap()
    }

    /// In threads of their own, as the tests' own keep what they make.
    fn in_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| scope.spawn(work).join().unwrap())
    }

    #[test]
    fn a_text_is_kept_while_it_is_held_or_in_flight() {
        let text = "a user that is in flight";
        let held = in_thread(|| {
            let round = InFlight::begin();
            let id = id(text);
            TABLE.collect();
            assert_eq!(id.text().as_str(), text);
            let held = Held::of(&id).unwrap();
            drop(round);
            held
        });
        TABLE.collect();
        assert_eq!(&*held._text, text);
        assert_eq!(&*of(surrogate(text)), text);
    }

    #[test]
    fn what_is_released_is_in_flight_until_the_round_ends() {
        let text = "a merchant of a window that closes";
        in_thread(|| {
            let first = InFlight::begin();
            let id = id(text);
            let held = Held::of(&id).unwrap();
            drop(first);
            let second = InFlight::begin();
            release([&id].into_iter());
            drop(held);
            TABLE.collect();
            TABLE.collect();
            assert_eq!(id.text().as_str(), text);
            drop(second);
        });
    }

    #[test]
    fn a_round_within_another_one_keeps_what_was_made_before_it() {
        let text = "made before the inner round";
        in_thread(|| {
            let outer = InFlight::begin();
            let id = id(text);
            drop(InFlight::begin());
            TABLE.collect();
            assert_eq!(id.text().as_str(), text);
            drop(outer);
        });
    }

    #[test]
    fn a_thread_without_rounds_keeps_what_it_makes_after_it_has_ended_too() {
        let text = "made by a thread without rounds";
        let id = in_thread(|| id(text));
        TABLE.collect();
        assert_eq!(id.text().as_str(), text);
    }

    /// Snapshots hold surrogates: other values here mean that nothing in them is found again.
    #[test]
    fn surrogates_are_fixed_for_ever_and_tell_a_common_prefix_apart() {
        let uuid = "6f1c2b1e-0d5a-4c55-9a52-0c6f6d2f7a1";
        assert_ne!(surrogate(&format!("{uuid}1")), surrogate(&format!("{uuid}2")));
        assert_eq!(surrogate(&format!("{uuid}1")), FIXED);
    }

    const FIXED: [u8; 12] = [0, 81, 190, 249, 172, 123, 166, 63, 104, 117, 51, 13];
}
