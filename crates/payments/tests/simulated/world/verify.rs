//! What must hold of a world's outputs at its end.

use std::collections::BTreeMap;

use millrace_domain::Totals;
use millrace_engine::Disposition;
use millrace_engine::windowed::{FINAL, Totals as _};
use millrace_payments::{MerchantOutput, PartialAggregate};

use super::{MERGES, TIMES, World};
use crate::simulated::partition::{Directive, Fate, Partition};
use crate::support::naive::{Key, Naive, united};
use crate::support::{Event, MerchantResult, Times, partition_of};

impl World {
    /// Committed output as undisturbed, every record accounted for once, sums as a plain
    /// computation gives them.
    pub(crate) fn verify(&self) {
        let mut sent = vec![Vec::new(); MERGES];
        for source in &self.sources {
            source.verify();
            let naive = Naive::run(TIMES, &self.events(source));
            let decoded = source.committed.dispositions.iter().copied().flatten();
            assert!(decoded.eq(naive.dispositions.iter().copied()));
            for (key, (totals, users)) in naive.contributions(|_| true) {
                sent[partition_of(key.2, MERGES)].push((key, totals, users.len() as u64));
            }
        }
        for merge in &self.merges {
            merge.verify();
            let is_accepted = |found: &Fate| *found == Some(Disposition::Accepted);
            assert!(merge.committed.dispositions.iter().all(is_accepted));
        }
        self.verify_early();
        for (merge, sent) in self.merges.iter().zip(sent) {
            let finals = merge.committed.outputs.iter().filter(|out| out.is_final());
            let found: Vec<_> = finals.map(final_of).collect();
            let by_key: BTreeMap<_, _> = found.iter().copied().collect();
            assert_eq!(by_key.len(), found.len(), "a final result twice");
            assert_eq!(by_key, united(sent));
        }
    }

    /// The final results, by window, merchant and currency.
    pub(crate) fn finals(&self) -> Vec<MerchantResult> {
        let committed = self.merges.iter().flat_map(|merge| &merge.committed.outputs);
        let mut finals: Vec<_> = committed.filter(|out| out.is_final()).copied().collect();
        finals.sort_by_key(|out| (out.window_start_ms, out.key));
        finals
    }

    /// How many early results were committed.
    pub(crate) fn early(&self) -> usize {
        let committed = self.merges.iter().flat_map(|merge| &merge.committed.outputs);
        committed.filter(|out| !out.is_final()).count()
    }

    /// Results of the same window, merchant and currency rise, up to one that is final.
    fn verify_early(&self) {
        for merge in &self.merges {
            let mut newest = BTreeMap::new();
            for out in &merge.committed.outputs {
                let key = final_of(out).0;
                let counts = (out.revision, out.totals.count(), out.totals.distinct_users);
                if let Some(before) = newest.insert(key, counts) {
                    assert!(before.0 < counts.0, "{before:?}, then {out:?}");
                    assert!(
                        before.1 <= counts.1 && before.2 <= counts.2,
                        "{before:?}, then {out:?}"
                    );
                }
            }
            // Where sources were at windows of several sizes, the final result may be of a larger
            // one.
            let is_final = |counts: &(i32, u64, u64)| counts.0 == FINAL;
            let finals: Vec<Key> = newest
                .iter()
                .filter(|(_, counts)| is_final(counts))
                .map(|(key, _)| *key)
                .collect();
            for (key, _) in newest.iter().filter(|(_, counts)| !is_final(counts)) {
                let covers = |other: &Key| {
                    other.0 <= key.0 && key.1 <= other.1 && (other.2, other.3) == (key.2, key.3)
                };
                assert!(finals.iter().any(covers), "{key:?} has no final result");
            }
        }
    }

    /// What the sources have committed: outputs, and what became of each record.
    pub(crate) fn of_sources(&self) -> Vec<(&[MerchantOutput], &[Fate])> {
        let committed = self.sources.iter().map(|source| &source.committed);
        committed
            .map(|committed| (&committed.outputs[..], &committed.dispositions[..]))
            .collect()
    }

    /// A source's records and advances, merged by offset.
    fn events(&self, source: &Partition<PartialAggregate>) -> Vec<Event> {
        let mut directives = source.committed.directives.iter().peekable();
        let mut events = Vec::new();
        for offset in 0..=source.log.len() {
            while let Some((_, directive)) = directives.next_if(|(at, _)| *at == offset) {
                events.push(match directive {
                    Directive::Advance(to_ms) => Event::Advance(*to_ms),
                    Directive::Configure(policy) => Event::Configure(Times {
                        window: policy.window_ms(),
                        lateness: policy.allowed_lateness_ms(),
                        disorder: policy.max_disorder_ms(),
                    }),
                });
            }
            let record = source.log.get(offset).copied().flatten();
            events.extend(record.map(Event::Record));
        }
        events
    }
}

/// A result by its window, merchant and currency.
fn final_of(out: &MerchantResult) -> (Key, (Totals, u64)) {
    let key = (
        out.window_start_ms,
        out.window_end_ms,
        out.key.merchant_id,
        out.key.currency,
    );
    (key, (out.totals.sums, out.totals.distinct_users))
}
