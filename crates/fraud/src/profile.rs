//! What is kept of a user.

use millrace_domain::{ShortId, TransactionId};
use millrace_engine::HashSeed;
use millrace_engine::snapshot::StateWriter;

use crate::cities::CityIndex;
use crate::habit::Habits;
use crate::recent::Run;

/// A user's behaviour: two cache lines, whatever the user does. Recent purchases are in a pool beside it, for as long
/// as the velocity rule needs them. The first line has what every transaction needs, the second the place.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Profile {
    /// The user; [`UserKey::NOBODY`] in a free place of the table.
    pub(crate) user: UserKey,
    /// The highest event time of the user's transactions, in milliseconds since 1970.
    pub(crate) newest_ms: i64,
    /// State of the velocity rule.
    pub(crate) burst: Burst,
    /// Usual amounts.
    pub(crate) habits: Habits,
    /// State of the impossible-travel rule.
    pub(crate) place: Place,
}

const _: () = assert!(size_of::<Profile>() == 128);

/// State of the velocity rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Burst {
    /// The user's highest event time when the rule fired last; [`NEVER_MS`] while the rule is armed.
    pub(crate) fired_ms: i64,
    /// The purchases in the span.
    pub(crate) run: Run,
}

/// State of the impossible-travel rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Where the user was last; `None` before the first place.
    pub(crate) city: Option<CityIndex>,
    /// Event time of the purchase there.
    pub(crate) time_ms: i64,
    /// Its id.
    pub(crate) id: TransactionId,
    /// The rule is silent before this event time.
    pub(crate) quiet_until_ms: i64,
}

impl Place {
    pub(crate) const NONE: Self = Self {
        city: None,
        time_ms: NEVER_MS,
        id: TransactionId::from_bytes([0; 16]),
        quiet_until_ms: NEVER_MS,
    };
}

/// A user's id in words, as it is hashed and compared ([`ShortId::to_words`]): twelve bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C, packed(4))]
pub(crate) struct UserKey {
    low: u64,
    high: u32,
}

impl UserKey {
    /// Nobody's: no id is empty.
    pub(crate) const NOBODY: Self = Self { low: 0, high: 0 };

    #[inline]
    pub(crate) const fn of(user: &ShortId) -> Self {
        let (low, high) = user.to_words();
        Self { low, high }
    }

    #[inline]
    pub(crate) fn hash(self, seed: HashSeed) -> u64 {
        seed.hash_words((self.low, u64::from(self.high)))
    }

    /// Appends the padded id.
    #[inline]
    pub(crate) fn write(self, writer: &mut StateWriter<'_>) {
        writer.u64(self.low);
        writer.u32(self.high);
    }
}

/// Before every event time.
pub(crate) const NEVER_MS: i64 = i64::MIN;

impl Profile {
    /// Nothing is known of the user yet.
    pub(crate) const fn new(user: UserKey, newest_ms: i64) -> Self {
        Self {
            user,
            newest_ms,
            habits: Habits::NONE,
            burst: Burst {
                fired_ms: NEVER_MS,
                run: Run::EMPTY,
            },
            place: Place::NONE,
        }
    }

    /// Places in each of its cache lines: see [`millrace_engine::near`].
    #[inline]
    pub(crate) fn lines(&self) -> [&i64; 2] {
        [&self.newest_ms, &self.place.time_ms]
    }

    /// Whether the place in the table is free.
    pub(crate) fn is_free(&self) -> bool {
        self.user == UserKey::NOBODY
    }
}
