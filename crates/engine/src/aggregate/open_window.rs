//! A window of stage 1 while it is open.

use millrace_domain::Transaction;

use super::groups::Groups;
use crate::RestoreError;
use crate::hash::{HashSeed, Key, key_of_words};
use crate::key_table::KeyTable;
use crate::snapshot::{StateReader, StateWriter};
use crate::timeline::{Cell, Timeline};

/// An open window.
#[derive(Debug, Clone)]
pub(super) struct OpenWindow {
    /// It closes once the watermark is here, whatever lateness is allowed since it was opened.
    pub(super) until_ms: i64,
    pub(super) groups: Groups,
    /// The distinct users of each group, by [`user_words`].
    pub(super) users: KeyTable<()>,
    /// How many transactions of each group its last early contribution had; of groups after the
    /// end, none.
    pub(super) told: Vec<u64>,
}

impl OpenWindow {
    /// An empty window over a cell, with room for what the one before it has and an eighth more:
    /// windows are much alike, and a table that is full just before its window closes would be made
    /// anew at twice its size for the rest.
    pub(super) fn after(last: Option<&Self>, cell: Cell, seed: HashSeed) -> Self {
        let room = |len: usize| len + len / 8;
        let (groups, users) = last.map_or((0, 0), |last| (room(last.groups.len()), room(last.users.len())));
        Self {
            until_ms: cell.until_ms,
            groups: Groups::with_capacity(cell.start_ms, cell.end_ms, groups, seed),
            users: KeyTable::with_capacity(users, seed),
            told: Vec::new(),
        }
    }

    #[inline]
    pub(super) fn contains(&self, time_ms: i64) -> bool {
        self.groups.start_ms <= time_ms && time_ms < self.groups.end_ms
    }

    #[inline]
    pub(super) fn add(&mut self, transaction: &Transaction, seed: HashSeed) {
        let group = self.groups.add(transaction);
        let user = user_words(transaction, group);
        let key = key_of_words(user);
        let (_, is_new) = self.users.find_or_insert(seed.hash_words(user), key, || ());
        if is_new {
            self.groups.count_user(group);
        }
    }

    /// The state of this moment: what is given appends it.
    pub(super) fn freeze(&mut self) -> impl FnOnce(&mut StateWriter<'_>) + Send + use<> {
        // Of what was told there are a few bytes a group: nothing that a copy could be long for.
        let (groups, users, told) = (self.groups.freeze(), self.users.freeze().keys, self.told.clone());
        move |writer| {
            groups(writer);
            writer.count(users.len());
            users.for_each_page(|users| writer.raw(users.as_flattened()));
            writer.count(told.len());
            told.iter().for_each(|count| writer.u64(*count));
        }
    }

    /// Reads what [`OpenWindow::freeze`] gave, of a cell of `timeline`. Version 1 of the state knew
    /// no early results.
    pub(super) fn restore(
        reader: &mut StateReader<'_>,
        version: u8,
        timeline: &Timeline,
        seed: HashSeed,
    ) -> Result<Self, RestoreError> {
        let at = reader.position();
        let groups = Groups::restore(reader, seed)?;
        let cell = timeline.cell(groups.start_ms);
        if (cell.start_ms, cell.end_ms) != (groups.start_ms, groups.end_ms) {
            return Err(RestoreError::Invalid { what: "window", at });
        }
        let count = reader.count("users", size_of::<Key>())?;
        let at = reader.position();
        let (keys, _) = reader.raw(count * size_of::<Key>())?.as_chunks::<16>();
        let mut users = KeyTable::with_capacity(count + count / 8, seed);
        for key in keys {
            let [_, _, _, _, _, _, _, _, _, _, _, _, group @ ..] = *key;
            let is_known = (u32::from_le_bytes(group) as usize) < groups.len();
            if !is_known || !users.find_or_insert(seed.hash(key), *key, || ()).1 {
                return Err(RestoreError::Invalid { what: "user", at });
            }
        }
        let told = if version == 1 {
            Vec::new()
        } else {
            restore_told(reader, groups.len())?
        };
        Ok(Self {
            until_ms: cell.until_ms,
            groups,
            users,
            told,
        })
    }
}

/// What was told of that many groups.
fn restore_told(reader: &mut StateReader<'_>, groups: usize) -> Result<Vec<u64>, RestoreError> {
    let at = reader.position();
    let what = "early contributions";
    let count = reader.count(what, size_of::<u64>())?;
    if count > groups {
        return Err(RestoreError::Invalid { what, at });
    }
    let mut told = Vec::new();
    for _ in 0..count {
        told.push(reader.u64()?);
    }
    Ok(told)
}

/// The words of a user's key: the 12 bytes of the id, then the group's number.
#[inline]
pub(super) fn user_words(transaction: &Transaction, group: usize) -> (u64, u64) {
    let (low, high) = transaction.user_id.to_words();
    (low, (group as u64) << 32 | u64::from(high))
}
