//! A window of stage 1 while it is open.

use super::aggregation::Aggregation;
use super::groups::Groups;
use crate::RestoreError;
use crate::hash::{HashSeed, Key, key_of_words};
use crate::key_table::KeyTable;
use crate::snapshot::{StateReader, StateWriter};
use crate::timeline::{Cell, Timeline};

/// An open window.
#[derive(Debug, Clone)]
pub(super) struct OpenWindow<A: Aggregation> {
    /// It closes once the watermark is here, whatever lateness is allowed since it was opened.
    pub(super) until_ms: i64,
    pub(super) groups: Groups<A>,
    /// The distinct members of each group, by [`member_words`].
    pub(super) members: KeyTable<()>,
    /// How many events of each group its last early contribution had; of groups after the
    /// end, none.
    pub(super) told: Vec<u64>,
}

impl<A: Aggregation> OpenWindow<A> {
    /// An empty window over a cell, with room for what the one before it has and an eighth more:
    /// windows are much alike, and a table that is full just before its window closes would be made
    /// anew at twice its size for the rest.
    pub(super) fn after(last: Option<&Self>, aggregation: A, cell: Cell, seed: HashSeed) -> Self {
        let room = |len: usize| len + len / 8;
        let (groups, members) =
            last.map_or((0, 0), |last| (room(last.groups.len()), room(last.members.len())));
        let bounds = (cell.start_ms, cell.end_ms);
        Self {
            until_ms: cell.until_ms,
            groups: Groups::with_capacity(aggregation, bounds, groups, seed),
            members: KeyTable::with_capacity(members, seed),
            told: Vec::new(),
        }
    }

    #[inline]
    pub(super) fn contains(&self, time_ms: i64) -> bool {
        self.groups.start_ms <= time_ms && time_ms < self.groups.end_ms
    }

    #[inline]
    pub(super) fn add(&mut self, event: &A::Event, seed: HashSeed) {
        let (group, takes_members) = self.groups.add(event);
        if takes_members && let Some(member) = self.groups.member(event) {
            let member = member_words(member, group);
            let key = key_of_words(member);
            let (_, is_new) = self.members.find_or_insert(seed.hash_words(member), key, || ());
            if is_new {
                self.groups.count_member(group);
            }
        }
    }

    /// The state of this moment: what is given appends it.
    pub(super) fn freeze(&mut self) -> impl FnOnce(&mut StateWriter<'_>) + Send + use<A> {
        // Of what was told there are a few bytes a group: nothing that a copy could be long for.
        let (groups, members) = (self.groups.freeze(), self.members.freeze().keys);
        let told = self.told.clone();
        move |writer| {
            groups(writer);
            writer.count(members.len());
            members.for_each_page(|members| writer.raw(members.as_flattened()));
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
        (aggregation, seed): (A, HashSeed),
    ) -> Result<Self, RestoreError> {
        let at = reader.position();
        let groups = Groups::restore(reader, aggregation, seed)?;
        let cell = timeline.cell(groups.start_ms);
        if (cell.start_ms, cell.end_ms) != (groups.start_ms, groups.end_ms) {
            return Err(RestoreError::Invalid { what: "window", at });
        }
        let count = reader.count("members", size_of::<Key>())?;
        let at = reader.position();
        let (keys, _) = reader.raw(count * size_of::<Key>())?.as_chunks::<16>();
        let mut members = KeyTable::with_capacity(count + count / 8, seed);
        for key in keys {
            let [_, _, _, _, _, _, _, _, _, _, _, _, group @ ..] = *key;
            let is_known = (u32::from_le_bytes(group) as usize) < groups.len();
            if !is_known || !members.find_or_insert(seed.hash(key), *key, || ()).1 {
                return Err(RestoreError::Invalid { what: "member", at });
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
            members,
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

/// The words of a member's key: its 96 bits, then the group's number.
#[inline]
pub(super) fn member_words((low, high): (u64, u32), group: usize) -> (u64, u64) {
    (low, (group as u64) << 32 | u64::from(high))
}
