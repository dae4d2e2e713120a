//! Stage 2: what every source partition adds to a merchant's window is merged into the final
//! aggregate.

use millrace_domain::texts::InFlight;
use millrace_domain::{MerchantAggregate, Partial, PartialContent};

use super::MergePolicy;
use super::merge_window::{Window, Windows};
use super::policy::SOURCES;
use crate::hash::HashSeed;
use crate::policy::PolicyRefused;
use crate::snapshot::{StateReader, StateWriter};
use crate::{Disposition, FrozenState, Operator, RestoreError};

/// First byte of the state; see [`StateReader::version`]. Version 1 knew no early results, versions
/// up to 2 carried no policy.
const STATE_VERSION: u8 = 0x23;
/// The first version that carries a policy.
const WITH_POLICY: u8 = 3;

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
/// every source has said so of its end, and one aggregate for each merchant and currency comes out,
/// by window, merchant and currency. As a source sends a window's contributions before it says so,
/// none can come later; one that does all the same is [`Disposition::Late`], for the caller to
/// keep. The watermark is the lowest of the sources' last ones, once every source has sent one.
///
/// With early results, what has changed in the windows still open comes out whenever the watermark
/// passes a multiple of their interval, by window, merchant and currency, after what closed. A
/// final result is the sum of the contributions alone: whatever becomes of early records, it is the
/// same.
///
/// # A change of policy
/// *Windows* take their bounds from the contributions, and close where these end: a change of stage
/// 1's window or lateness needs no word here. Where two sources begin with a new size at different
/// boundaries, their windows overlap in between: such windows become one, from the first one's
/// start to the last one's end. Its sums are exact; a user may count once in its distinct users for
/// each of the windows that a source had sent.
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
pub struct MergeAggregate {
    policy: MergePolicy,
    /// The highest allowed lateness that there was.
    max_lateness_ms: i64,
    seed: HashSeed,
    /// What each source partition said last; as many as the policy says, or as have spoken.
    sources: Vec<Option<Progress>>,
    /// How far all have come.
    progress: Option<Progress>,
    /// Where the last window that was sent ends.
    sent_until_ms: i64,
    /// How far the sources are apart bounds how many there are.
    windows: Windows,
}

impl MergeAggregate {
    /// An operator before its first record. No output and no snapshot depends on the seed.
    #[must_use]
    pub fn new(policy: MergePolicy, seed: HashSeed) -> Self {
        Self {
            policy,
            max_lateness_ms: policy.allowed_lateness_ms,
            seed,
            sources: vec![None; policy.source_partitions],
            progress: None,
            sent_until_ms: i64::MIN,
            windows: Windows::default(),
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

    fn mark(&mut self, source: usize, record: &Partial, outputs: &mut Vec<MerchantAggregate>) {
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
    fn go_on(&mut self, outputs: &mut Vec<MerchantAggregate>) {
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
    fn reach(&mut self, to: Progress, outputs: &mut Vec<MerchantAggregate>) {
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

    /// By how much a window has been closed for.
    fn late_by_ms(&self, start_ms: i64, end_ms: i64) -> Option<i64> {
        let complete_ms = self.progress?.complete_ms;
        let is_late = end_ms <= complete_ms || start_ms < self.sent_until_ms;
        is_late.then(|| complete_ms.saturating_sub(end_ms).saturating_add(1).max(1))
    }
}

impl Operator for MergeAggregate {
    type Record = Partial;
    type Output = MerchantAggregate;
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
    fn configure(&mut self, policy: &MergePolicy, outputs: &mut Vec<MerchantAggregate>) {
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

    fn process(&mut self, record: &Partial, outputs: &mut Vec<MerchantAggregate>) -> Disposition {
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
            (PartialContent::Final(_), Some(late_by_ms)) => return Disposition::Late { late_by_ms },
            (PartialContent::Final(_), None) => {
                let window = self.windows.of_final(bounds, lateness_ms, self.seed);
                for contribution in contributions {
                    window.merge(contribution);
                    if has_early {
                        window.tell(source, contribution);
                    }
                }
            }
            (PartialContent::Early(_), None) if has_early => {
                if let Some(window) = self.windows.of_early(bounds, lateness_ms, self.seed) {
                    contributions
                        .iter()
                        .for_each(|contribution| window.tell(source, contribution));
                }
            }
            // A preview of what was sent, or one that nobody wants.
            (PartialContent::Early(_) | PartialContent::Watermark, _) => {}
        }
        Disposition::Accepted
    }

    fn advance(&mut self, watermark_ms: i64, outputs: &mut Vec<MerchantAggregate>) {
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
        let _round = InFlight::begin();
        let mut reader = StateReader::new(bytes);
        let version = reader.version("aggregate-merge", STATE_VERSION)?;
        let is_earlier = version < WITH_POLICY;
        let policy = if is_earlier { self.policy } else { reader.policy()? };
        let mut restored = Self::new(policy, self.seed);
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
                Window::restore_earlier(&mut reader, version, of, self.seed)?
            } else {
                Window::restore(&mut reader, self.seed)?
            };
            let complete_ms = restored.progress.map(|progress| progress.complete_ms);
            let is_open = complete_ms < Some(window.end_ms());
            if !is_open || !restored.windows.push(window) {
                return Err(RestoreError::Invalid { what: "window", at });
            }
        }
        reader.finish()?;
        *self = restored;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_domain::{Amount, Contribution, Currency, ShortId, Totals, TransactionType};

    fn contribution(source_partition: i32, merchant: &str, window_start_ms: i64, cents: i64) -> Partial {
        let amount = Amount::from_units(cents * 100).unwrap();
        Partial {
            source_partition,
            watermark_ms: 0,
            complete_ms: None,
            content: PartialContent::Final(vec![Contribution {
                merchant_id: ShortId::new(merchant, "merchantId").unwrap(),
                currency: Currency::parse(b"EUR").unwrap(),
                window_start_ms,
                window_end_ms: window_start_ms + 1_000,
                totals: Totals::of(TransactionType::Purchase, amount),
                distinct_users: 1,
            }]),
        }
    }

    fn merge_of(source_partitions: usize, allowed_lateness_ms: i64) -> MergeAggregate {
        let policy = MergePolicy::new(source_partitions, allowed_lateness_ms).unwrap();
        MergeAggregate::new(policy, HashSeed::FIXED)
    }

    fn marker(source_partition: i32, watermark_ms: i64) -> Partial {
        Partial {
            source_partition,
            watermark_ms,
            complete_ms: Some(watermark_ms),
            content: PartialContent::Watermark,
        }
    }

    #[test]
    fn a_window_waits_for_every_source() {
        let mut merge = merge_of(2, 0);
        let mut outputs = Vec::new();
        for record in [
            contribution(0, "m-2", 0, 5),
            contribution(0, "m-1", 0, 7),
            marker(0, 9_000),
        ] {
            assert_eq!(merge.process(&record, &mut outputs), Disposition::Accepted);
        }
        assert_eq!((merge.watermark_ms(), outputs.len()), (None, 0));
        merge.process(&contribution(1, "m-2", 0, 11), &mut outputs);
        merge.process(&marker(1, 999), &mut outputs);
        assert_eq!((merge.watermark_ms(), outputs.len()), (Some(999), 0));
        merge.process(&marker(1, 1_000), &mut outputs);
        let found: Vec<_> = outputs
            .iter()
            .map(|out| {
                (
                    out.merchant_id.to_string(),
                    out.totals.purchase_sum.to_string(),
                    out.distinct_users,
                )
            })
            .collect();
        assert_eq!(
            found,
            [("m-1", "0.07", 1), ("m-2", "0.16", 2)].map(|(id, sum, users)| (
                id.to_owned(),
                sum.to_owned(),
                users
            ))
        );

        let late = merge.process(&contribution(1, "m-2", 0, 1), &mut outputs);
        assert_eq!(late, Disposition::Late { late_by_ms: 1 });
        assert_eq!(merge.open_windows(), 0);
    }

    #[test]
    fn windows_of_several_sizes_become_one_and_early_words_make_no_window_larger() {
        let of = |source_partition, (start_ms, end_ms), is_early| {
            let PartialContent::Final(mut groups) = contribution(0, "m-1", start_ms, 1).content else {
                panic!("a contribution");
            };
            groups[0].window_end_ms = end_ms;
            Partial {
                source_partition,
                watermark_ms: 0,
                complete_ms: None,
                content: match is_early {
                    true => PartialContent::Early(groups),
                    false => PartialContent::Final(groups),
                },
            }
        };
        let early = crate::aggregate::EarlyResults::every_ms(1).unwrap();
        let policy = MergePolicy::new(2, 0).unwrap().with_early(Some(early));
        let mut merge = MergeAggregate::new(policy, HashSeed::FIXED);
        let mut outputs = Vec::new();
        for record in [
            of(0, (0, 10), false),
            of(0, (20, 30), false),
            of(1, (20, 60), true),
            of(0, (60, 70), false),
            marker(0, 70),
            of(1, (0, 30), false),
            marker(1, 30),
        ] {
            assert_eq!(merge.process(&record, &mut outputs), Disposition::Accepted);
        }
        let found: Vec<_> = outputs
            .iter()
            .map(|out| (out.window_start_ms, out.window_end_ms, out.totals.purchase_count))
            .collect();
        assert_eq!(found, [(0, 30, 3)]);
        assert_eq!(merge.open_windows(), 1);
        let late = merge.process(&of(1, (20, 90), false), &mut outputs);
        assert_eq!(
            late,
            Disposition::Late { late_by_ms: 1 },
            "it overlaps what was sent"
        );
    }

    #[test]
    fn a_source_of_a_release_before_closes_after_the_highest_lateness_that_there_was() {
        let mut merge = merge_of(1, 500);
        let old = |watermark_ms| Partial {
            complete_ms: None,
            ..marker(0, watermark_ms)
        };
        let mut outputs = Vec::new();
        merge.process(&contribution(0, "m-1", 0, 5), &mut outputs);
        merge.configure(&MergePolicy::new(1, 0).unwrap(), &mut outputs);
        merge.process(&old(1_499), &mut outputs);
        assert_eq!(outputs.len(), 0);
        merge.process(&old(1_500), &mut outputs);
        assert_eq!(outputs.len(), 1);
    }

    #[test]
    fn a_source_is_any_partition_and_a_state_brings_their_number() {
        let mut merge = merge_of(2, 0);
        assert!(merge.knows_source(0) && merge.knows_source(2));
        assert!(!merge.knows_source(10_000) && !merge.knows_source(-1));
        let mut bytes = Vec::new();
        merge.snapshot(&mut bytes);
        let mut wider = merge_of(3, 0);
        wider.restore(&bytes).unwrap();
        assert_eq!(wider.policy(), merge.policy());
    }
}
