//! Stage 2: what every source partition adds to a group is merged into the final aggregate.

use super::MergePolicy;
use super::aggregation::{Aggregation, Key as _};
use super::merge_window::{AggregateOf, Of, Window, Windows};
use super::policy::SOURCES;
use super::records::{Content, Record};
use crate::hash::HashSeed;
use crate::policy::PolicyRefused;
use crate::snapshot::{StateReader, StateWriter};
use crate::{Disposition, FrozenState, Operator, RestoreError};

/// First byte of the state; see [`StateReader::version`]. Version 1 knew no early results, versions
/// up to 2 carried no policy.
const STATE_VERSION: u8 = 0x23;
/// The first version that carries a policy.
const WITH_POLICY: u8 = 3;

type RecordOf<A> = Record<<A as Aggregation>::Key, <A as Aggregation>::Totals>;

/// How far a source has come, or all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Progress {
    watermark_ms: i64,
    /// All before this event time has been sent.
    complete_ms: i64,
}

impl Progress {
    fn merge(self, other: Self, pick: fn(i64, i64) -> i64) -> Self {
        Self {
            watermark_ms: pick(self.watermark_ms, other.watermark_ms),
            complete_ms: pick(self.complete_ms, other.complete_ms),
        }
    }

    fn write(this: Option<Self>, writer: &mut StateWriter<'_>) {
        writer.option_i64(this.map(|progress| progress.watermark_ms));
        if let Some(progress) = this {
            writer.i64(progress.complete_ms);
        }
    }

    /// Reads what [`Progress::write`] wrote; of a state of a version below 3, which had one allowed
    /// lateness, the watermark alone.
    fn read(
        reader: &mut StateReader<'_>,
        what: &'static str,
        earlier_lateness_ms: Option<i64>,
    ) -> Result<Option<Self>, RestoreError> {
        let Some(watermark_ms) = reader.option_i64(what)? else {
            return Ok(None);
        };
        let complete_ms = match earlier_lateness_ms {
            Some(lateness_ms) => watermark_ms.saturating_sub(lateness_ms),
            None => reader.i64()?,
        };
        Ok(Some(Self {
            watermark_ms,
            complete_ms,
        }))
    }
}

/// The operator of stage 2 over one partition of the partials topic.
///
/// A source says with its watermark up to where all that it has was sent. A window closes when
/// every source has said so of its end, and one aggregate for each key comes out, by window and
/// key. As a source sends a window's contributions before it says so, none can come later; one that
/// does all the same is [`Disposition::Late`], for the caller to keep. The watermark is the lowest
/// of the sources' last ones, once every source has sent one.
///
/// With early results, what has changed in the windows still open comes out whenever the watermark
/// passes a multiple of their interval, by window and key, after what closed. A
/// final result is the sum of the contributions alone: whatever becomes of early records, it is the
/// same.
///
/// # A change of policy
/// *Windows* take their bounds from the contributions, and close where these end: a change of stage
/// 1's window or lateness needs no word here. Where two sources begin with a new size at different
/// boundaries, their windows overlap in between: such windows become one, from the first one's
/// start to the last one's end. Its sums are exact; a member may count once in a group's distinct
/// ones for each of the windows that a source had sent.
///
/// *Sources.* The policy's number of them is waited for: a source that is added by it holds windows
/// back from then on until it has spoken, so that none closes short, and it speaks with its first
/// record or idle advance. A source beyond the number counts from its first word on, and holds
/// nothing back before. What one of either kind has for a window that was sent before is late. A
/// smaller number is refused, unless those left out have never spoken.
///
/// *Allowed lateness* says when a source of a release before, which told its watermark alone, has
/// closed a window; the highest that the policy ever had counts.
#[derive(Debug, Clone)]
pub struct Merge<A: Aggregation> {
    policy: MergePolicy,
    /// The highest allowed lateness that there was.
    max_lateness_ms: i64,
    of: Of<A>,
    /// What each source partition said last; as many as the policy says, or as have spoken.
    sources: Vec<Option<Progress>>,
    /// How far all have come.
    progress: Option<Progress>,
    /// Where the last window that was sent ends.
    sent_until_ms: i64,
    /// How far the sources are apart bounds how many there are.
    windows: Windows<A>,
}

impl<A: Aggregation> Merge<A> {
    /// An operator before its first record. No output and no snapshot depends on the seed.
    #[must_use]
    pub fn new(aggregation: A, policy: MergePolicy, seed: HashSeed) -> Self {
        Self {
            policy,
            max_lateness_ms: policy.allowed_lateness_ms,
            of: (aggregation, seed),
            sources: vec![None; policy.source_partitions],
            progress: None,
            sent_until_ms: i64::MIN,
            windows: Windows::new(),
        }
    }

    /// Whether this may be a source partition. A record of any other must not be processed.
    #[must_use]
    pub fn knows_source(&self, source_partition: i32) -> bool {
        (0..SOURCES.1).contains(&i64::from(source_partition))
    }

    /// Up to where windows were sent, in milliseconds since 1970: what ends at or before it, or
    /// overlaps what does, is late. `None` before every source has spoken.
    #[must_use]
    pub fn closed_until_ms(&self) -> Option<i64> {
        self.progress.map(|progress| progress.complete_ms)
    }

    /// Number of open windows.
    #[must_use]
    pub fn open_windows(&self) -> usize {
        self.windows.len()
    }

    fn mark(&mut self, source: usize, record: &RecordOf<A>, outputs: &mut Vec<AggregateOf<A>>) {
        let told = Progress {
            watermark_ms: record.watermark_ms,
            complete_ms: record
                .complete_ms
                .unwrap_or_else(|| record.watermark_ms.saturating_sub(self.max_lateness_ms)),
        };
        if source >= self.sources.len() {
            self.sources.resize(source + 1, None);
        }
        let last = &mut self.sources[source];
        *last = Some(last.map_or(told, |last| last.merge(told, i64::max)));
        self.go_on(outputs);
    }

    /// Goes as far as all sources have come.
    fn go_on(&mut self, outputs: &mut Vec<AggregateOf<A>>) {
        let (awaited, others) = self.sources.split_at(self.policy.source_partitions);
        if awaited.contains(&None) {
            return;
        }
        let spoken = awaited.iter().chain(others).flatten().copied();
        if let Some(lowest) = spoken.reduce(|lowest, source| lowest.merge(source, i64::min)) {
            self.reach(lowest, outputs);
        }
    }

    /// Closes windows, and sends what is early.
    fn reach(&mut self, to: Progress, outputs: &mut Vec<AggregateOf<A>>) {
        let before = self.progress;
        let now = before.map_or(to, |before| before.merge(to, i64::max));
        if before == Some(now) {
            return;
        }
        self.progress = Some(now);
        for window in self.windows.take_until(now.complete_ms) {
            if !window.is_empty() {
                self.sent_until_ms = window.end_ms();
                outputs.extend(window.results());
                window.release();
            }
        }
        let before_ms = before.map(|before| before.watermark_ms);
        let early = self.policy.early;
        if early.is_some_and(|early| early.are_due(before_ms, now.watermark_ms)) {
            for window in self.windows.iter_mut() {
                outputs.extend(window.early_results(now.watermark_ms));
            }
        }
    }

    /// An operator with the state that the bytes are.
    fn restored(&self, bytes: &[u8]) -> Result<Self, RestoreError> {
        let mut reader = StateReader::new(bytes);
        let version = reader.version(A::MERGE, STATE_VERSION)?;
        let is_earlier = version < WITH_POLICY;
        let policy = if is_earlier { self.policy } else { reader.policy()? };
        let mut restored = Self::new(self.of.0.clone(), policy, self.of.1);
        let earlier_lateness_ms = is_earlier.then_some(policy.allowed_lateness_ms);
        if !is_earlier {
            restored.max_lateness_ms = reader.i64()?;
        }
        let (at, what) = (reader.position(), "number of source partitions");
        let sources = reader.count(what, 1)?;
        let is_known = match is_earlier {
            true => sources == policy.source_partitions,
            false => sources >= policy.source_partitions && sources as u64 <= SOURCES.1.unsigned_abs(),
        };
        if !is_known {
            return Err(RestoreError::Invalid { what, at });
        }
        restored.sources.clear();
        for _ in 0..sources {
            let source = Progress::read(&mut reader, "watermark of a source", earlier_lateness_ms)?;
            restored.sources.push(source);
        }
        restored.progress = Progress::read(&mut reader, "watermark", earlier_lateness_ms)?;
        if !is_earlier {
            restored.sent_until_ms = reader.i64()?;
        }
        for _ in 0..reader.count("windows", 24)? {
            let at = reader.position();
            let window = if is_earlier {
                let of = (sources, policy.allowed_lateness_ms);
                Window::restore_earlier(&mut reader, version, of, &self.of)?
            } else {
                Window::restore(&mut reader, &self.of)?
            };
            let complete_ms = restored.progress.map(|progress| progress.complete_ms);
            let is_open = complete_ms < Some(window.end_ms());
            if !is_open || !restored.windows.push(window) {
                return Err(RestoreError::Invalid { what: "window", at });
            }
        }
        reader.finish()?;
        Ok(restored)
    }

    /// By how much a window has been closed for.
    fn late_by_ms(&self, start_ms: i64, end_ms: i64) -> Option<i64> {
        let complete_ms = self.progress?.complete_ms;
        let is_late = end_ms <= complete_ms || start_ms < self.sent_until_ms;
        is_late.then(|| complete_ms.saturating_sub(end_ms).saturating_add(1).max(1))
    }
}

impl<A: Aggregation> Operator for Merge<A> {
    type Record = RecordOf<A>;
    type Output = AggregateOf<A>;
    type Policy = MergePolicy;

    fn policy(&self) -> &MergePolicy {
        &self.policy
    }

    fn check_policy(&self, policy: &MergePolicy) -> Result<(), PolicyRefused> {
        let (present, wanted) = (self.policy.source_partitions, policy.source_partitions);
        let left_out = self.sources.get(wanted..).unwrap_or_default();
        if wanted < present && left_out.iter().any(Option::is_some) {
            return Err(PolicyRefused {
                setting: "source_partitions",
                present: present as i64,
                wanted: wanted as i64,
                reason: "windows that are open may still lack what the others have; a topic with fewer partitions is \
                         another topic, for which this job has to begin anew",
            });
        }
        Ok(())
    }

    /// Early results are due from the next multiple of the new interval on; what was told before
    /// they were switched off is known when they are on again. Windows may close where sources are
    /// left out that had never spoken.
    fn configure(&mut self, policy: &MergePolicy, outputs: &mut Vec<AggregateOf<A>>) {
        if self.check_policy(policy).is_err() {
            return;
        }
        let sources = policy.source_partitions;
        if sources < self.policy.source_partitions {
            self.sources.truncate(sources);
        } else if sources > self.sources.len() {
            self.sources.resize(sources, None);
        }
        self.policy = *policy;
        self.max_lateness_ms = self.max_lateness_ms.max(policy.allowed_lateness_ms);
        self.go_on(outputs);
    }

    fn process(&mut self, record: &RecordOf<A>, outputs: &mut Vec<AggregateOf<A>>) -> Disposition {
        let Ok(source) = usize::try_from(record.source_partition) else {
            return Disposition::Accepted;
        };
        let contributions = record.content.contributions();
        let Some(first) = contributions.first() else {
            self.mark(source, record, outputs);
            return Disposition::Accepted;
        };
        // All are of one window.
        let bounds = (first.window_start_ms, first.window_end_ms);
        let late_by_ms = self.late_by_ms(bounds.0, bounds.1);
        let (lateness_ms, has_early) = (self.policy.allowed_lateness_ms, self.policy.early.is_some());
        match (&record.content, late_by_ms) {
            (Content::Final(_), Some(late_by_ms)) => return Disposition::Late { late_by_ms },
            (Content::Final(_), None) => {
                let window = self.windows.of_final(bounds, lateness_ms, &self.of);
                for contribution in contributions {
                    window.merge(contribution);
                    if has_early {
                        window.tell(source, contribution);
                    }
                }
            }
            (Content::Early(_), None) if has_early => {
                if let Some(window) = self.windows.of_early(bounds, lateness_ms, &self.of) {
                    contributions
                        .iter()
                        .for_each(|contribution| window.tell(source, contribution));
                }
            }
            // A preview of what was sent, or one that nobody wants.
            (Content::Early(_) | Content::Watermark, _) => {}
        }
        Disposition::Accepted
    }

    fn advance(&mut self, watermark_ms: i64, outputs: &mut Vec<AggregateOf<A>>) {
        let complete_ms = watermark_ms.saturating_sub(self.max_lateness_ms);
        let to = Progress {
            watermark_ms,
            complete_ms,
        };
        self.reach(to, outputs);
    }

    fn watermark_ms(&self) -> Option<i64> {
        self.progress.map(|progress| progress.watermark_ms)
    }

    fn open_until_ms(&self) -> Option<i64> {
        let end_ms = self.windows.last_end_ms()?;
        Some(end_ms.saturating_add(self.max_lateness_ms))
    }

    fn freeze(&mut self) -> FrozenState {
        let (policy, max_lateness_ms) = (self.policy, self.max_lateness_ms);
        let (sources, progress) = (self.sources.clone(), self.progress);
        let sent_until_ms = self.sent_until_ms;
        let windows: Vec<_> = self.windows.iter_mut().map(Window::freeze).collect();
        FrozenState::new(move |writer| {
            writer.u8(STATE_VERSION);
            writer.policy(&policy);
            writer.i64(max_lateness_ms);
            writer.count(sources.len());
            sources.iter().for_each(|source| Progress::write(*source, writer));
            Progress::write(progress, writer);
            writer.i64(sent_until_ms);
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
