//! Stage 1: one partition of transactions, keyed by user, is added up for each window, merchant and currency.

use millrace_domain::{Contribution, Partial, Transaction};

use super::groups::Groups;
use super::{AggregateConfig, late};
use crate::dedup::RecentIds;
use crate::hash::{HashSeed, Key};
use crate::key_table::KeyTable;
use crate::near::Places;
use crate::snapshot::StateReader;
use crate::{Disposition, FrozenState, Operator, RestoreError, TumblingWindows, Watermark};

/// First byte of the state; see [`StateReader::version`]. Version 1 knew no early results.
const STATE_VERSION: u8 = 0x12;

/// What stage 1 sends to the partials topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartialOutput {
    /// For the merchant's partition.
    Contribution {
        /// The watermark before the step that closed the window: the new one is not true yet of what follows.
        watermark_ms: i64,
        /// What the source partition adds to the window.
        contribution: Contribution,
    },
    /// For the merchant's partition.
    Early {
        /// The watermark at which it is due: what it closes was sent before.
        watermark_ms: i64,
        /// What the source partition has of an open window so far, in full.
        contribution: Contribution,
    },
    /// For every partition of the topic: each contribution of a window that closes at or before this watermark was
    /// sent earlier.
    Watermark {
        /// The new watermark.
        watermark_ms: i64,
    },
}

impl PartialOutput {
    /// The record of the partials topic.
    #[must_use]
    pub fn to_partial(&self, source_partition: i32) -> Partial {
        let (watermark_ms, contribution, early) = match *self {
            Self::Contribution {
                watermark_ms,
                contribution,
            } => (watermark_ms, Some(contribution), None),
            Self::Early {
                watermark_ms,
                contribution,
            } => (watermark_ms, None, Some(contribution)),
            Self::Watermark { watermark_ms } => (watermark_ms, None, None),
        };
        Partial {
            source_partition,
            watermark_ms,
            contribution,
            early,
        }
    }
}

/// An open window.
#[derive(Debug, Clone)]
struct Window {
    groups: Groups,
    /// The distinct users of each group, by [`user_key`].
    users: KeyTable<()>,
    /// How many transactions of each group its last early contribution had; of groups after the end, none.
    told: Vec<u64>,
}

impl Window {
    #[inline]
    fn contains(&self, time_ms: i64) -> bool {
        self.groups.start_ms <= time_ms && time_ms < self.groups.end_ms
    }

    #[inline]
    fn add(&mut self, transaction: &Transaction, seed: HashSeed) {
        let group = self.groups.add(transaction);
        let key = user_key(transaction, group);
        let (_, is_new) = self.users.find_or_insert(seed.hash(&key), key, || ());
        if is_new {
            self.groups.count_user(group);
        }
    }
}

/// The user's 12 bytes, then the group's number.
#[inline]
fn user_key(transaction: &Transaction, group: usize) -> Key {
    let mut key = [0; 16];
    key[..12].copy_from_slice(&transaction.user_id.to_padded());
    key[12..].copy_from_slice(&(group as u32).to_le_bytes());
    key
}

/// The operator of stage 1 over one partition.
///
/// A record is looked up by its transaction id first ([`Disposition::Duplicate`]), then compared with the watermark
/// ([`Disposition::Late`], its id remembered all the same), then added. Ids are remembered for one window's length
/// after their window closed. Whenever the watermark passes a point at which windows close (whether or not one was
/// open), the contributions of what closed come out, by window, merchant and currency, then the watermark; so they do
/// for the first watermark of all. With early results, so it does whenever the watermark passes a multiple of their
/// interval; what each group has so far that has grown since it was told last comes out between the two.
#[derive(Debug, Clone)]
pub struct PartialAggregate {
    config: AggregateConfig,
    span: TumblingWindows,
    seed: HashSeed,
    watermark: Watermark,
    ids: RecentIds,
    /// By start, the latest last. Disorder and lateness bound how many there are.
    windows: Vec<Window>,
    /// The watermark at which the next windows close or early results are due: a function of the watermark, kept to
    /// compare with. `None` before the first watermark.
    next_step_ms: Option<i64>,
}

impl PartialAggregate {
    /// An operator before its first record. No output and no snapshot depends on the seed.
    #[must_use]
    pub fn new(config: AggregateConfig, seed: HashSeed) -> Self {
        let span = TumblingWindows::at_least_1_ms(config.window_ms);
        let keep_ms = config.allowed_lateness_ms.saturating_add(config.window_ms);
        Self {
            config,
            span,
            seed,
            watermark: Watermark::new(config.max_disorder_ms),
            ids: RecentIds::new(span, keep_ms, seed),
            windows: Vec::new(),
            next_step_ms: None,
        }
    }

    /// The highest event time accepted, in milliseconds since 1970.
    #[must_use]
    pub fn max_event_time_ms(&self) -> Option<i64> {
        self.watermark.max_event_time_ms()
    }

    /// Number of open windows with records.
    #[must_use]
    pub fn open_windows(&self) -> usize {
        self.windows.len()
    }

    /// Number of transaction ids remembered.
    #[must_use]
    pub fn remembered_ids(&self) -> usize {
        self.ids.len()
    }

    #[inline]
    fn window(&mut self, time_ms: i64) -> &mut Window {
        let at = self.windows.iter().rposition(|window| window.contains(time_ms));
        match at {
            Some(at) => &mut self.windows[at],
            None => self.open(time_ms),
        }
    }

    #[cold]
    fn open(&mut self, time_ms: i64) -> &mut Window {
        let start_ms = self.span.start_of(time_ms);
        // The next window will hold about as much as the last one did.
        let (groups, users) = self
            .windows
            .last()
            .map_or((0, 0), |last| (last.groups.len(), last.users.len()));
        let at = self
            .windows
            .partition_point(|window| window.groups.start_ms < start_ms);
        let window = Window {
            groups: Groups::with_capacity(start_ms, self.span.end_of(start_ms), groups, self.seed),
            users: KeyTable::with_capacity(users, self.seed),
            told: Vec::new(),
        };
        self.windows.insert(at, window);
        &mut self.windows[at]
    }

    /// Closes what the watermark has reached, if it moved past a point where windows close, and tells what is early.
    #[inline]
    fn moved(&mut self, before_ms: Option<i64>, outputs: &mut Vec<PartialOutput>) {
        if self.watermark.current_ms() >= self.next_step_ms {
            self.step(before_ms, outputs);
        }
    }

    #[cold]
    fn step(&mut self, before_ms: Option<i64>, outputs: &mut Vec<PartialOutput>) {
        let Some(watermark_ms) = self.watermark.current_ms() else {
            return;
        };
        let lateness_ms = self.config.allowed_lateness_ms;
        let open_at = self
            .windows
            .partition_point(|window| late(Some(watermark_ms), window.groups.end_ms, lateness_ms).is_some());
        for window in self.windows.drain(..open_at) {
            outputs.extend(window.groups.sorted().into_iter().map(|&contribution| {
                PartialOutput::Contribution {
                    watermark_ms: before_ms.unwrap_or(watermark_ms),
                    contribution,
                }
            }));
        }
        if self
            .config
            .early
            .is_some_and(|early| early.are_due(before_ms, watermark_ms))
        {
            for window in &mut self.windows {
                let grown = window.groups.take_grown(&mut window.told);
                outputs.extend(grown.into_iter().map(|&contribution| PartialOutput::Early {
                    watermark_ms,
                    contribution,
                }));
            }
        }
        outputs.push(PartialOutput::Watermark { watermark_ms });
        self.ids.forget(watermark_ms);
        self.next_step_ms = Some(self.next_step_after(watermark_ms));
    }

    /// The next watermark above this one at which windows close or early results are due.
    fn next_step_after(&self, watermark_ms: i64) -> i64 {
        let lateness_ms = self.config.allowed_lateness_ms;
        let passed_ms = self.span.start_of(watermark_ms.saturating_sub(lateness_ms));
        let close_ms = self.span.end_of(passed_ms).saturating_add(lateness_ms);
        let early = self.config.early;
        early.map_or(close_ms, |early| close_ms.min(early.next_after(watermark_ms)))
    }
}

impl Operator for PartialAggregate {
    type Record = Transaction;
    type Output = PartialOutput;

    fn prepare(&self, records: &[Transaction]) {
        let window = |record: &Transaction| {
            let time_ms = record.transaction_time_ms;
            self.windows.iter().rfind(|window| window.contains(time_ms))
        };
        let first = Places::of(records.iter(), |record| {
            let id = self.ids.index().first_line(self.ids.hash(record.transaction_id));
            Some([id, window(record).map_or(id, |window| window.groups.line(record))])
        });
        first.bring();
        let second = Places::of(records.iter(), |record| {
            let id = self.ids.index().next_line(self.ids.hash(record.transaction_id));
            let (group, in_group) = window(record)?.groups.guess(record)?;
            let user = self.seed.hash(&user_key(record, group));
            Some([id, in_group, window(record)?.users.index().first_line(user)])
        });
        second.bring();
    }

    #[inline]
    fn process(&mut self, record: &Transaction, outputs: &mut Vec<PartialOutput>) -> Disposition {
        let time_ms = record.transaction_time_ms;
        if !self.ids.insert(record.transaction_id, time_ms) {
            return Disposition::Duplicate;
        }
        let before_ms = self.watermark.current_ms();
        // Above its watermark nothing is late: the common case needs no window's end.
        if before_ms.is_some_and(|watermark| time_ms < watermark) {
            let end_ms = self.span.end_of(self.span.start_of(time_ms));
            if let Some(late) = late(before_ms, end_ms, self.config.allowed_lateness_ms) {
                return late;
            }
        }
        let seed = self.seed;
        self.window(time_ms).add(record, seed);
        if self.watermark.observe(time_ms) {
            self.moved(before_ms, outputs);
        }
        Disposition::Accepted
    }

    fn advance(&mut self, watermark_ms: i64, outputs: &mut Vec<PartialOutput>) {
        let before_ms = self.watermark.current_ms();
        if self.watermark.advance(watermark_ms) {
            self.moved(before_ms, outputs);
        }
    }

    fn watermark_ms(&self) -> Option<i64> {
        self.watermark.current_ms()
    }

    fn open_until_ms(&self) -> Option<i64> {
        let end_ms = self.windows.last()?.groups.end_ms;
        Some(end_ms.saturating_add(self.config.allowed_lateness_ms))
    }

    fn freeze(&mut self) -> FrozenState {
        let (watermark, ids) = (self.watermark.clone(), self.ids.freeze());
        let frozen = |window: &mut Window| {
            let users = window.users.freeze().keys;
            // A few bytes a group: of all that is here, nothing that a copy could be long for.
            (window.groups.freeze(), users, window.told.clone())
        };
        let windows: Vec<_> = self.windows.iter_mut().map(frozen).collect();
        FrozenState::new(move |writer| {
            writer.u8(STATE_VERSION);
            watermark.snapshot(writer);
            ids(writer);
            writer.count(windows.len());
            for (groups, users, told) in windows {
                groups(writer);
                writer.count(users.len());
                users.for_each_page(|users| writer.raw(users.as_flattened()));
                writer.count(told.len());
                told.iter().for_each(|count| writer.u64(*count));
            }
        })
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let mut reader = StateReader::new(bytes);
        let version = reader.version("aggregate-partial", STATE_VERSION)?;
        let mut restored = Self::new(self.config, self.seed);
        restored.watermark = Watermark::restore(self.config.max_disorder_ms, &mut reader)?;
        restored.ids.restore(&mut reader)?;
        let current_ms = restored.watermark.current_ms();
        for _ in 0..reader.count("windows", 32)? {
            let at = reader.position();
            let window = self.restore_window(&mut reader, version)?;
            let end_ms = window.groups.end_ms;
            let is_after = restored
                .windows
                .last()
                .is_none_or(|last| last.groups.end_ms < end_ms);
            let is_open = late(current_ms, end_ms, self.config.allowed_lateness_ms).is_none();
            if !is_after || !is_open {
                return Err(RestoreError::Invalid { what: "window", at });
            }
            restored.windows.push(window);
        }
        reader.finish()?;
        restored.next_step_ms = current_ms.map(|watermark_ms| restored.next_step_after(watermark_ms));
        *self = restored;
        Ok(())
    }
}

impl PartialAggregate {
    fn restore_window(&self, reader: &mut StateReader<'_>, version: u8) -> Result<Window, RestoreError> {
        let at = reader.position();
        let groups = Groups::restore(reader, self.seed)?;
        let is_aligned = self.span.start_of(groups.start_ms) == groups.start_ms;
        if !is_aligned || self.span.end_of(groups.start_ms) != groups.end_ms {
            return Err(RestoreError::Invalid { what: "window", at });
        }
        let count = reader.count("users", size_of::<Key>())?;
        let at = reader.position();
        let (keys, _) = reader.raw(count * size_of::<Key>())?.as_chunks::<16>();
        let mut users = KeyTable::with_capacity(count, self.seed);
        for key in keys {
            let [_, _, _, _, _, _, _, _, _, _, _, _, group @ ..] = *key;
            let is_known = (u32::from_le_bytes(group) as usize) < groups.len();
            if !is_known || !users.find_or_insert(self.seed.hash(key), *key, || ()).1 {
                return Err(RestoreError::Invalid { what: "user", at });
            }
        }
        let told = if version == 1 {
            Vec::new()
        } else {
            self.restore_told(reader, groups.len())?
        };
        Ok(Window { groups, users, told })
    }

    /// What was told of that many groups; of no use where early results are off.
    fn restore_told(&self, reader: &mut StateReader<'_>, groups: usize) -> Result<Vec<u64>, RestoreError> {
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
        if self.config.early.is_none() {
            told.clear();
        }
        Ok(told)
    }
}
