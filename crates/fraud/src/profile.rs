//! What is kept of a user.

use std::mem::offset_of;

use millrace_domain::city::CityNumber;
use millrace_domain::{ShortId, TransactionId};
use millrace_engine::keyed::{FrozenSlots, Slot, Table};
use millrace_engine::snapshot::StateWriter;
use millrace_engine::{HashSeed, near};

use crate::event_time::EventTime;
use crate::habit::Habits;
use crate::recent::Run;

/// The profiles of a partition's users.
pub(crate) type ProfileTable = Table<Profile>;
/// Every place of a table when it was frozen, free ones too.
pub(crate) type FrozenProfiles = FrozenSlots<Profile>;

/// A user's behaviour: two cache lines, whatever the user does. Recent purchases but the last are
/// in a pool beside it, for as long as the velocity rule needs them.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Profile {
    /// The user; [`UserKey::NOBODY`] in a free place of the table.
    pub(crate) user: UserKey,
    /// The purchases in the velocity rule's span.
    pub(crate) run: Run,
    /// Usual amounts.
    pub(crate) habits: Habits,
    /// The highest event time of the user's transactions.
    pub(crate) newest: EventTime,
    /// The user's highest event time when the velocity rule fired last; never while the rule is
    /// armed.
    pub(crate) velocity_fired: EventTime,
    /// State of the impossible-travel rule.
    pub(crate) place: Place,
}

const _: () = assert!(size_of::<Profile>() == 128 && offset_of!(Profile, place) >= 64);

/// State of the impossible-travel rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Where the user was last; `None` before the first place.
    pub(crate) city: Option<CityNumber>,
    /// Event time of the purchase there.
    pub(crate) time: EventTime,
    /// Its id.
    pub(crate) id: TransactionId,
    /// The rule is silent before this event time.
    pub(crate) quiet_until: EventTime,
}

impl Place {
    pub(crate) const NONE: Self = Self {
        city: None,
        time: EventTime::NEVER,
        id: TransactionId::from_bytes([0; 16]),
        quiet_until: EventTime::NEVER,
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

    /// Appends the padded id.
    #[inline]
    pub(crate) fn write(self, writer: &mut StateWriter<'_>) {
        writer.u64(self.low);
        writer.u32(self.high);
    }
}

impl Profile {
    /// Nothing is known of the user yet.
    pub(crate) const fn new(user: UserKey, newest: EventTime) -> Self {
        Self {
            user,
            run: Run::EMPTY,
            habits: Habits::NONE,
            newest,
            velocity_fired: EventTime::NEVER,
            place: Place::NONE,
        }
    }

    /// Asks for both of its cache lines.
    #[inline]
    pub(crate) fn ask(&self) {
        near::ask(&self.user);
        near::ask(&self.place);
    }
}

impl Slot for Profile {
    type Key = UserKey;

    const FREE: Self = Self::new(UserKey::NOBODY, EventTime::NEVER);

    #[inline]
    fn key(&self) -> UserKey {
        self.user
    }

    #[inline]
    fn hash(user: &UserKey, seed: HashSeed) -> u64 {
        seed.hash_words((user.low, u64::from(user.high)))
    }
}
