//! Stage 1: one partition of events is added up for each window and key.

use millrace_contract::Event as _;

use super::PartialPolicy;
use super::aggregation::{Aggregation, Key as _};
use super::open_window::{OpenWindow, member_words};
use super::records::PartialOutput;
use crate::dedup::RecentIds;
use crate::hash::HashSeed;
use crate::key_table::KeyTable;
use crate::near;
use crate::policy::PolicyRefused;
use crate::snapshot::StateReader;
use crate::timeline::{Begin, Timeline};
use crate::{Disposition, FrozenState, Operator, RestoreError, TumblingWindows, Watermark};

/// First byte of the state; see [`StateReader::version`]. Version 1 knew no early results, versions
/// up to 2 carried no policy.
const STATE_VERSION: u8 = 0x13;
/// The first version that carries a policy.
const WITH_POLICY: u8 = 3;

/// Where a record of an open window leads to: the hashes of its id and its group.
struct Sought<'a, A: Aggregation> {
    window: &'a OpenWindow<A>,
    id: u64,
    group: u64,
}

/// Where it leads to from there: the group, unless that is new, and the hash of the member in it.
struct Found<'a, A: Aggregation> {
    line: Option<&'a A::Line>,
    members: &'a KeyTable<()>,
    member: Option<u64>,
}

type Output<A> = PartialOutput<<A as Aggregation>::Key, <A as Aggregation>::Totals>;

/// The operator of stage 1 over one partition.
///
/// A record is looked up by its id first ([`Disposition::Duplicate`]), then compared
/// with the watermark ([`Disposition::Late`], its id remembered all the same), then added. Ids are
/// remembered for one window's length after their window closed, until the next ones close.
/// Whenever the watermark passes a point at which windows close (whether or not one was open), the
/// contributions of what closed come out, by window and key, then the watermark; so they do for the
/// first watermark of all. With early results, so it does whenever the watermark
/// passes a multiple of their interval; what each group has so far that has grown since it was told
/// last comes out between the two.
///
/// # A change of policy
/// Window and allowed lateness belong to spans of event time. A change of either holds from the
/// first boundary that windows of the old and the new size have in common, at or after the
/// watermark and the end of the last open window; one that has not begun yet is replaced. What is
/// before keeps its windows and its lateness, open or not: so windows never overlap, none is sent
/// twice or opened again, and nothing closes because of a change. After a smaller lateness, a
/// window may close before one that comes before it.
///
/// The allowed disorder holds from the next record that is ahead of all others, as
/// [`Watermark::allow_disorder`] says; early results, from the next multiple of their interval, and
/// where they were off, all is told anew.
#[derive(Debug, Clone)]
pub struct Partial<A: Aggregation> {
    aggregation: A,
    policy: PartialPolicy,
    timeline: Timeline,
    seed: HashSeed,
    watermark: Watermark,
    ids: RecentIds,
    /// By start, the latest last. Disorder and lateness bound how many there are.
    windows: Vec<OpenWindow<A>>,
    /// The watermark at which the next windows close or early results are due: a function of the
    /// watermark, kept to compare with. `None` before the first watermark.
    next_step_ms: Option<i64>,
}

impl<A: Aggregation> Partial<A> {
    /// An operator before its first record. No output and no snapshot depends on the seed.
    #[must_use]
    pub fn new(aggregation: A, policy: PartialPolicy, seed: HashSeed) -> Self {
        let (windows, keep_ms) = remembered(policy);
        Self {
            aggregation,
            policy,
            timeline: Timeline::new(windows, policy.allowed_lateness_ms),
            seed,
            watermark: Watermark::new(policy.max_disorder_ms),
            ids: RecentIds::new(windows, keep_ms, seed),
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

    /// Number of ids remembered.
    #[must_use]
    pub fn remembered_ids(&self) -> usize {
        self.ids.len()
    }

    #[inline]
    fn window(&mut self, time_ms: i64) -> &mut OpenWindow<A> {
        let at = self.windows.iter().rposition(|window| window.contains(time_ms));
        match at {
            Some(at) => &mut self.windows[at],
            None => self.open(time_ms),
        }
    }

    #[cold]
    fn open(&mut self, time_ms: i64) -> &mut OpenWindow<A> {
        let cell = self.timeline.cell(time_ms);
        let at = self
            .windows
            .partition_point(|window| window.groups.start_ms < cell.start_ms);
        let window = OpenWindow::after(self.windows.last(), self.aggregation.clone(), cell, self.seed);
        self.windows.insert(at, window);
        &mut self.windows[at]
    }

    /// Closes what the watermark has reached, if it moved past a point where windows close, and
    /// tells what is early.
    #[inline]
    fn moved(&mut self, before_ms: Option<i64>, outputs: &mut Vec<Output<A>>) {
        if self.watermark.current_ms() >= self.next_step_ms {
            self.step(before_ms, outputs);
        }
    }

    #[cold]
    fn step(&mut self, before_ms: Option<i64>, outputs: &mut Vec<Output<A>>) {
        let Some(watermark_ms) = self.watermark.current_ms() else {
            return;
        };
        let closes = |before_ms| self.timeline.next_close_ms(before_ms) <= watermark_ms;
        if before_ms.is_none_or(closes) {
            self.close(before_ms, watermark_ms, outputs);
        }
        if self
            .policy
            .early
            .is_some_and(|early| early.are_due(before_ms, watermark_ms))
        {
            for window in &mut self.windows {
                let grown = window.groups.take_grown(&mut window.told);
                outputs.extend(grown.map(|contribution| PartialOutput::Early {
                    watermark_ms,
                    contribution,
                }));
            }
        }
        outputs.push(PartialOutput::Watermark {
            watermark_ms,
            complete_ms: self.timeline.closed_until_ms(watermark_ms),
        });
        self.next_step_ms = Some(self.next_step_after(watermark_ms));
    }

    fn close(&mut self, before_ms: Option<i64>, watermark_ms: i64, outputs: &mut Vec<Output<A>>) {
        let closed = self
            .windows
            .extract_if(.., |window| window.until_ms <= watermark_ms);
        for window in closed {
            outputs.extend(
                window
                    .groups
                    .sorted()
                    .map(|contribution| PartialOutput::Contribution {
                        watermark_ms: before_ms.unwrap_or(watermark_ms),
                        contribution,
                    }),
            );
            window.groups.release();
        }
        self.ids.forget(watermark_ms);
        self.timeline.forget(watermark_ms);
    }

    /// An operator with the state that the bytes are.
    fn restored(&self, bytes: &[u8]) -> Result<Self, RestoreError> {
        let mut reader = StateReader::new(bytes);
        let version = reader.version(A::PARTIAL, STATE_VERSION)?;
        let policy = if version < WITH_POLICY {
            self.policy
        } else {
            reader.policy()?
        };
        let mut restored = Self::new(self.aggregation.clone(), policy, self.seed);
        restored.watermark = Watermark::restore(policy.max_disorder_ms, &mut reader)?;
        if version < WITH_POLICY {
            restored.ids.restore_earlier(&mut reader, remembered(policy))?;
        } else {
            restored.timeline = Timeline::restore(&mut reader)?;
            restored.ids.restore(&mut reader)?;
        }
        let current_ms = restored.watermark.current_ms();
        for _ in 0..reader.count("windows", 32)? {
            let at = reader.position();
            let of = (self.aggregation.clone(), self.seed);
            let mut window = OpenWindow::restore(&mut reader, version, &restored.timeline, of)?;
            let last = restored.windows.last();
            let is_after = last.is_none_or(|last| last.groups.end_ms <= window.groups.start_ms);
            let is_open = current_ms.is_none_or(|now_ms| now_ms < window.until_ms);
            if !is_after || !is_open {
                return Err(RestoreError::Invalid { what: "window", at });
            }
            if policy.early.is_none() {
                window.told.clear();
            }
            restored.windows.push(window);
        }
        reader.finish()?;
        restored.next_step_ms = current_ms.map(|watermark_ms| restored.next_step_after(watermark_ms));
        Ok(restored)
    }

    /// The next watermark above this one at which windows close or early results are due.
    fn next_step_after(&self, watermark_ms: i64) -> i64 {
        let close_ms = self.timeline.next_close_ms(watermark_ms);
        let early = self.policy.early;
        early.map_or(close_ms, |early| close_ms.min(early.next_after(watermark_ms)))
    }
}

impl<A: Aggregation> Operator for Partial<A> {
    type Record = A::Event;
    type Output = Output<A>;
    type Policy = PartialPolicy;

    fn policy(&self) -> &PartialPolicy {
        &self.policy
    }

    fn check_policy(&self, policy: &PartialPolicy) -> Result<(), PolicyRefused> {
        self.policy.bounds().check_change(&policy.bounds())
    }

    fn configure(&mut self, policy: &PartialPolicy, _outputs: &mut Vec<Output<A>>) {
        let watermark_ms = self.watermark.current_ms();
        let reach_ms = self.windows.last().map(|window| window.groups.end_ms);
        let (windows, keep_ms) = remembered(*policy);
        let cut = (windows, policy.allowed_lateness_ms);
        let is_new = self
            .timeline
            .change(watermark_ms, reach_ms, cut, Begin::AtCommonBoundary);
        self.ids.follow(&self.timeline, is_new, keep_ms);
        self.watermark.allow_disorder(policy.max_disorder_ms);
        if policy.early.is_none() {
            self.windows.iter_mut().for_each(|window| window.told.clear());
        }
        self.policy = *policy;
        self.next_step_ms = watermark_ms.map(|watermark_ms| self.next_step_after(watermark_ms));
    }

    /// In steps, each for what the one before has led to: the indexes of ids and groups, the groups
    /// and the index of their members, the members.
    fn prepare(&self, records: &[A::Event]) {
        let ids = self.ids.index();
        let mut sought: [Option<Sought<'_, A>>; near::GROUP] = [const { None }; near::GROUP];
        for (sought, record) in sought.iter_mut().zip(records) {
            let time_ms = record.time_ms();
            let window = self.windows.iter().rfind(|window| window.contains(time_ms));
            *sought = window.map(|window| Sought {
                window,
                id: self.ids.hash(&record.id()),
                group: window.groups.hash(record),
            });
        }
        for sought in sought.iter().flatten() {
            near::ask(ids.first_line(sought.id));
            near::ask(sought.window.groups.line(sought.group));
        }
        let mut found: [Option<Found<'_, A>>; near::GROUP] = [const { None }; near::GROUP];
        let mut new_groups = 0;
        for ((sought, record), found) in sought.iter().zip(records).zip(&mut found) {
            let Some(Sought { window, id, group }) = sought else {
                continue;
            };
            near::ask(ids.next_line(*id));
            let known = window.groups.guess(*group);
            // A new group gets the next number.
            let group = known.map_or(window.groups.len() + new_groups, |(group, _)| group);
            new_groups += usize::from(known.is_none());
            *found = Some(Found {
                line: known.map(|(_, line)| line),
                members: &window.members,
                member: self
                    .aggregation
                    .member(record)
                    .map(|member| self.seed.hash_words(member_words(member, group))),
            });
        }
        for found in found.iter().flatten() {
            found.line.into_iter().for_each(near::ask);
            if let Some(member) = found.member {
                near::ask(found.members.index().first_line(member));
            }
        }
        let mut keys = [const { None }; near::GROUP];
        for (key, found) in keys.iter_mut().zip(&found) {
            let Some(Found {
                members,
                member: Some(member),
                ..
            }) = found
            else {
                continue;
            };
            near::ask(members.index().next_line(*member));
            *key = members.guess(*member);
        }
        keys.into_iter().flatten().for_each(near::ask);
    }

    #[inline]
    fn process(&mut self, record: &A::Event, outputs: &mut Vec<Output<A>>) -> Disposition {
        let time_ms = record.time_ms();
        if !self.ids.insert(record.id(), time_ms) {
            return Disposition::Duplicate;
        }
        let before_ms = self.watermark.current_ms();
        // Above its watermark nothing is late: the common case needs no window's end.
        if let Some(now_ms) = before_ms
            && time_ms < now_ms
            && let Some(late_by_ms) = self.timeline.late_by_ms(time_ms, now_ms)
        {
            return Disposition::Late { late_by_ms };
        }
        let seed = self.seed;
        self.window(time_ms).add(record, seed);
        if self.watermark.observe(time_ms) {
            self.moved(before_ms, outputs);
        }
        Disposition::Accepted
    }

    fn advance(&mut self, watermark_ms: i64, outputs: &mut Vec<Output<A>>) {
        let before_ms = self.watermark.current_ms();
        if self.watermark.advance(watermark_ms) {
            self.moved(before_ms, outputs);
        }
    }

    fn watermark_ms(&self) -> Option<i64> {
        self.watermark.current_ms()
    }

    fn open_until_ms(&self) -> Option<i64> {
        self.windows.iter().map(|window| window.until_ms).max()
    }

    fn freeze(&mut self) -> FrozenState {
        let (policy, timeline) = (self.policy, self.timeline.clone());
        let (watermark, ids) = (self.watermark.clone(), self.ids.freeze());
        let windows: Vec<_> = self.windows.iter_mut().map(OpenWindow::freeze).collect();
        FrozenState::new(move |writer| {
            writer.u8(STATE_VERSION);
            writer.policy(&policy);
            watermark.snapshot(writer);
            timeline.snapshot(writer);
            ids(writer);
            writer.count(windows.len());
            for window in windows {
                window(writer);
            }
        })
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        *self = A::Key::reading(|| self.restored(bytes))?;
        Ok(())
    }
}

/// How ids are remembered: by window, for one window's length after it closed.
fn remembered(policy: PartialPolicy) -> (TumblingWindows, i64) {
    let windows = TumblingWindows::at_least_1_ms(policy.window_ms);
    (
        windows,
        policy.allowed_lateness_ms.saturating_add(policy.window_ms),
    )
}
