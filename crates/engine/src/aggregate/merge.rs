//! Stage 2: what every source partition adds to a merchant's window is merged into the final aggregate.

use millrace_domain::{Contribution, MerchantAggregate, Partial, PartialContent};

use super::early::Early;
use super::groups::Groups;
use super::{MergePolicy, late};
use crate::hash::HashSeed;
use crate::policy::PolicyRefused;
use crate::snapshot::StateReader;
use crate::{Disposition, FrozenState, Operator, RestoreError};

/// First byte of the state; see [`StateReader::version`]. Version 1 knew no early results, versions up to 2 carried no
/// policy.
const STATE_VERSION: u8 = 0x23;
/// The first version that carries a policy.
const WITH_POLICY: u8 = 3;

/// The operator of stage 2 over one partition of the partials topic.
///
/// Its watermark is the lowest of the sources' last ones, once every source has sent one. A window closes when that
/// reaches its end plus the allowed lateness, and one aggregate for each merchant and currency comes out, by window,
/// merchant and currency. Windows take their bounds from the contributions. As every source sends a window's
/// contributions before the watermark that closes it, none can come later; one that does all the same is
/// [`Disposition::Late`], for the caller to keep.
///
/// With early results, what has changed in the windows still open comes out whenever the watermark passes a multiple of
/// their interval, by window, merchant and currency, after what closed. A final result is the sum of the contributions
/// alone: whatever becomes of early records, it is the same.
#[derive(Debug, Clone)]
pub struct MergeAggregate {
    policy: MergePolicy,
    seed: HashSeed,
    /// Each source partition's last watermark.
    sources: Vec<Option<i64>>,
    watermark_ms: Option<i64>,
    /// By start and end. How far the sources are apart bounds how many there are.
    windows: Vec<Window>,
}

/// An open window.
#[derive(Debug, Clone)]
struct Window {
    /// The contributions of the sources that have closed it.
    groups: Groups,
    /// What the sources have told so far; empty where early results are off.
    early: Early,
}

impl Window {
    fn bounds(&self) -> (i64, i64) {
        (self.groups.start_ms, self.groups.end_ms)
    }
}

impl MergeAggregate {
    /// An operator before its first record. No output and no snapshot depends on the seed.
    #[must_use]
    pub fn new(policy: MergePolicy, seed: HashSeed) -> Self {
        Self {
            policy,
            seed,
            sources: vec![None; policy.source_partitions],
            watermark_ms: None,
            windows: Vec::new(),
        }
    }

    /// Whether a source partition is one of those that this operator waits for. A record of any other must not be
    /// processed: windows would not wait for it.
    #[must_use]
    pub fn knows_source(&self, source_partition: i32) -> bool {
        usize::try_from(source_partition).is_ok_and(|source| source < self.sources.len())
    }

    /// Number of open windows.
    #[must_use]
    pub fn open_windows(&self) -> usize {
        self.windows.len()
    }

    fn window(&mut self, contribution: &Contribution) -> &mut Window {
        let (start_ms, end_ms) = (contribution.window_start_ms, contribution.window_end_ms);
        let bounds = (start_ms, end_ms);
        let at = self.windows.partition_point(|window| window.bounds() < bounds);
        let is_open = self
            .windows
            .get(at)
            .is_some_and(|window| window.bounds() == bounds);
        if !is_open {
            let groups = self.windows.last().map_or(0, |window| window.groups.len());
            let window = Window {
                groups: Groups::with_capacity(start_ms, end_ms, groups, self.seed),
                early: Early::new(self.sources.len(), self.seed),
            };
            self.windows.insert(at, window);
        }
        &mut self.windows[at]
    }

    /// The early results of what has changed. Those of a window that is more than 24 days from closing have to wait: a
    /// revision has 32 bits.
    fn emit_early(&mut self, watermark_ms: i64, outputs: &mut Vec<MerchantAggregate>) {
        for window in &mut self.windows {
            let (window_start_ms, window_end_ms) = window.bounds();
            let closes_ms = window_end_ms.saturating_add(self.policy.allowed_lateness_ms);
            let Ok(revision) = i32::try_from(watermark_ms.saturating_sub(closes_ms)) else {
                continue;
            };
            let changed = window.early.take_changed().into_iter();
            outputs.extend(changed.map(|(merchant_id, currency, figures)| MerchantAggregate {
                merchant_id,
                currency,
                window_start_ms,
                window_end_ms,
                totals: figures.totals,
                distinct_users: figures.distinct_users,
                revision,
            }));
        }
    }

    fn mark(&mut self, source_partition: i32, watermark_ms: i64, outputs: &mut Vec<MerchantAggregate>) {
        let source = usize::try_from(source_partition)
            .ok()
            .and_then(|source| self.sources.get_mut(source));
        if let Some(source) = source {
            *source = (*source).max(Some(watermark_ms));
            if let Some(Some(lowest_ms)) = self.sources.iter().min().copied() {
                self.advance(lowest_ms, outputs);
            }
        }
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
        let refused = |setting, present, wanted| PolicyRefused {
            setting,
            present,
            wanted,
            reason: "windows are open",
        };
        let sources = |policy: &MergePolicy| policy.source_partitions as i64;
        if policy.source_partitions != self.policy.source_partitions {
            return Err(refused(
                "source_partitions",
                sources(&self.policy),
                sources(policy),
            ));
        }
        let lateness_ms = self.policy.allowed_lateness_ms;
        if policy.allowed_lateness_ms != lateness_ms {
            return Err(refused(
                "allowed_lateness_ms",
                lateness_ms,
                policy.allowed_lateness_ms,
            ));
        }
        Ok(())
    }

    /// Early results are due from the next multiple of the new interval on.
    fn configure(&mut self, policy: &MergePolicy, _outputs: &mut Vec<MerchantAggregate>) {
        if self.check_policy(policy).is_ok() {
            self.policy = *policy;
        }
    }

    fn process(&mut self, record: &Partial, outputs: &mut Vec<MerchantAggregate>) -> Disposition {
        let contributions = record.content.contributions();
        let Some(first) = contributions.first() else {
            self.mark(record.source_partition, record.watermark_ms, outputs);
            return Disposition::Accepted;
        };
        // All are of one window.
        if let Some(late) = late(
            self.watermark_ms,
            first.window_end_ms,
            self.policy.allowed_lateness_ms,
        ) {
            return late;
        }
        let (is_final, has_early) = (
            matches!(record.content, PartialContent::Final(_)),
            self.policy.early.is_some(),
        );
        if is_final || has_early {
            let window = self.window(first);
            for contribution in contributions {
                if is_final {
                    window.groups.merge(contribution);
                }
                if has_early {
                    window.early.tell(record.source_partition, contribution);
                }
            }
        }
        Disposition::Accepted
    }

    fn advance(&mut self, watermark_ms: i64, outputs: &mut Vec<MerchantAggregate>) {
        let before_ms = self.watermark_ms;
        if before_ms >= Some(watermark_ms) {
            return;
        }
        self.watermark_ms = Some(watermark_ms);
        let lateness_ms = self.policy.allowed_lateness_ms;
        self.windows.retain(|window| {
            let closes = late(Some(watermark_ms), window.groups.end_ms, lateness_ms).is_some();
            if closes {
                outputs.extend(window.groups.sorted().map(|group| MerchantAggregate {
                    merchant_id: group.merchant_id,
                    currency: group.currency,
                    window_start_ms: group.window_start_ms,
                    window_end_ms: group.window_end_ms,
                    totals: group.totals,
                    distinct_users: group.distinct_users,
                    revision: MerchantAggregate::FINAL,
                }));
            }
            !closes
        });
        if self
            .policy
            .early
            .is_some_and(|early| early.are_due(before_ms, watermark_ms))
        {
            self.emit_early(watermark_ms, outputs);
        }
    }

    fn watermark_ms(&self) -> Option<i64> {
        self.watermark_ms
    }

    fn open_until_ms(&self) -> Option<i64> {
        let end_ms = self.windows.iter().map(|window| window.groups.end_ms).max()?;
        Some(end_ms.saturating_add(self.policy.allowed_lateness_ms))
    }

    fn freeze(&mut self) -> FrozenState {
        let (policy, sources, watermark_ms) = (self.policy, self.sources.clone(), self.watermark_ms);
        let frozen = |window: &mut Window| (window.groups.freeze(), window.early.freeze());
        let windows: Vec<_> = self.windows.iter_mut().map(frozen).collect();
        FrozenState::new(move |writer| {
            writer.u8(STATE_VERSION);
            writer.policy(&policy);
            writer.count(sources.len());
            for source in sources {
                writer.option_i64(source);
            }
            writer.option_i64(watermark_ms);
            writer.count(windows.len());
            for (groups, early) in windows {
                groups(writer);
                early(writer);
            }
        })
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let mut reader = StateReader::new(bytes);
        let version = reader.version("aggregate-merge", STATE_VERSION)?;
        let policy = if version < WITH_POLICY {
            self.policy
        } else {
            reader.policy()?
        };
        let mut restored = Self::new(policy, self.seed);
        let at = reader.position();
        let what = "number of source partitions";
        if reader.count(what, 1)? != restored.sources.len() {
            return Err(RestoreError::Invalid { what, at });
        }
        let mut sources = Vec::with_capacity(restored.sources.len());
        for _ in 0..restored.sources.len() {
            sources.push(reader.option_i64("watermark of a source")?);
        }
        let watermark_ms = reader.option_i64("watermark")?;
        let mut windows: Vec<Window> = Vec::new();
        for _ in 0..reader.count("windows", 24)? {
            let at = reader.position();
            let window = restored.restore_window(&mut reader, version)?;
            let is_after = windows.last().is_none_or(|last| last.bounds() < window.bounds());
            let is_open = late(watermark_ms, window.groups.end_ms, policy.allowed_lateness_ms).is_none();
            if !is_after || !is_open {
                return Err(RestoreError::Invalid { what: "window", at });
            }
            windows.push(window);
        }
        reader.finish()?;
        restored.sources = sources;
        restored.watermark_ms = watermark_ms;
        restored.windows = windows;
        *self = restored;
        Ok(())
    }
}

impl MergeAggregate {
    fn restore_window(&self, reader: &mut StateReader<'_>, version: u8) -> Result<Window, RestoreError> {
        let (sources, seed) = (self.sources.len(), self.seed);
        let groups = Groups::restore(reader, seed)?;
        let mut early = Early::new(sources, seed);
        if version > 1 {
            let told = Early::restore(reader, sources, seed)?;
            // What was told is of no use where early results are off.
            early = self.policy.early.map_or(early, |_| told);
        }
        Ok(Window { groups, early })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_domain::{Amount, Currency, ShortId, Totals, TransactionType};

    fn contribution(source_partition: i32, merchant: &str, window_start_ms: i64, cents: i64) -> Partial {
        let amount = Amount::from_units(cents * 100).unwrap();
        Partial {
            source_partition,
            watermark_ms: 0,
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
                    out.merchant_id.as_str(),
                    out.totals.purchase_sum.to_string(),
                    out.distinct_users,
                )
            })
            .collect();
        assert_eq!(
            found,
            [("m-1", "0.07".to_owned(), 1), ("m-2", "0.16".to_owned(), 2)]
        );

        let late = merge.process(&contribution(1, "m-2", 0, 1), &mut outputs);
        assert_eq!(late, Disposition::Late { late_by_ms: 1 });
        assert_eq!(merge.open_windows(), 0);
    }

    #[test]
    fn knows_its_sources_and_refuses_a_state_with_others() {
        let mut merge = merge_of(2, 0);
        assert!(merge.knows_source(0) && merge.knows_source(1));
        assert!(!merge.knows_source(2) && !merge.knows_source(-1));
        let mut bytes = Vec::new();
        merge.snapshot(&mut bytes);
        let mut wider = merge_of(3, 0);
        wider.restore(&bytes).unwrap();
        assert_eq!(wider.policy(), merge.policy());
    }
}
