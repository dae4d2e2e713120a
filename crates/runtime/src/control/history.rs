//! Where a partition's control records begin anew.
//!
//! Within one history their offsets never fall. They do where a person lets the job go on from a
//! position that it had passed (`worker.lost_position: continue`): from an offset that was set
//! back, or from the start of a topic that was made anew. What was told of the records from there
//! on is of a history that is no more, and a replay of the new one must not repeat it.

use std::collections::BTreeMap;

use super::{ControlLog, ControlRecord};

/// Whether a partition that had done nothing yet has its first policy: its very first record.
fn is_first(record: &ControlRecord) -> bool {
    matches!(record, ControlRecord::Configure { before: None, .. })
}

/// Leaves out of `log` what does not hold any more once `next` comes.
pub(super) fn cut(log: &mut ControlLog, next: &ControlRecord) {
    if is_first(next) {
        *log = ControlLog::default();
        return;
    }
    let offset = next.offset();
    if log.records.last().is_none_or(|last| last.offset() <= offset) {
        return;
    }
    let records = std::mem::take(&mut log.records).into_iter();
    log.records = records.filter_map(|record| until(record, offset)).collect();
    log.refusals_from = log.refusals_from.map(|from| from.min(offset));
}

/// What of a record is about what was before an offset, or at it when that was committed.
fn until(record: ControlRecord, offset: i64) -> Option<ControlRecord> {
    if record.offset() <= offset {
        return Some(record);
    }
    let ControlRecord::Refused { mut runs, .. } = record else {
        return None;
    };
    runs.retain(|run| run.first < offset);
    runs.iter_mut()
        .for_each(|run| run.last = run.last.min(offset - 1));
    (!runs.is_empty()).then_some(ControlRecord::Refused { offset, runs })
}

/// The watermarks of all partitions of a job, as its control topic tells them.
#[derive(Debug, Default)]
pub(crate) struct Watermarks(BTreeMap<i32, (i64, Option<i64>)>);

impl Watermarks {
    /// Takes a partition's next record; the highest watermark, in milliseconds since 1970, that a
    /// partition has in its present history.
    pub(crate) fn take(&mut self, partition: i32, record: &ControlRecord) -> Option<i64> {
        let (offset, watermark_ms) = self.0.entry(partition).or_insert((record.offset(), None));
        if is_first(record) || record.offset() < *offset {
            *watermark_ms = None;
        }
        *offset = record.offset();
        *watermark_ms = record.watermark_ms().or(*watermark_ms);
        self.0
            .values()
            .filter_map(|(_, watermark_ms)| *watermark_ms)
            .max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::directives::policy_at;
    use crate::control::tests::{advance, configure, stated};
    use crate::control::{Directive, Directives};
    use crate::refusals::{KnownRefusals, RefusedRun};

    fn refused(offset: i64, runs: &[(i64, i64)]) -> ControlRecord {
        let run = |(first, last): &(i64, i64)| RefusedRun {
            first: *first,
            last: *last,
            code: "unknown_schema".to_owned(),
        };
        ControlRecord::Refused {
            offset,
            runs: runs.iter().map(run).collect(),
        }
    }

    fn log_of(records: &[ControlRecord]) -> ControlLog {
        let mut log = ControlLog::default();
        for record in records {
            log.add(record.to_marked_json(true).as_bytes()).unwrap();
        }
        log
    }

    fn advances(log: &ControlLog, from: i64, to: i64) -> Vec<(i64, i64)> {
        let mut directives = Directives::between(&log.records, from, 0, to);
        let mut found = Vec::new();
        for offset in from..=to {
            while let Some(directive) = directives.take_before(offset) {
                let Directive::Advance(watermark_ms) = directive else {
                    continue;
                };
                found.push((offset, watermark_ms));
            }
        }
        found
    }

    #[test]
    fn a_replay_repeats_nothing_of_a_topic_that_was_made_anew_since() {
        let log = log_of(&[
            configure(0, 0, None, "old"),
            advance(5, 0, 9_000),
            refused(8, &[(6, 7)]),
            advance(900, 0, 9_900),
            configure(0, 0, None, "new"),
            advance(6, 0, 40),
            advance(20, 0, 70),
        ]);
        assert_eq!(advances(&log, 3, 30), [(6, 40), (20, 70)]);
        assert_eq!(policy_at(&log.records, 0), Some("new"));
        assert_eq!(log.refusals_from, Some(0));
        assert!(!KnownRefusals::of(&log.records, log.refusals_from).contains(6));
    }

    #[test]
    fn a_replay_repeats_nothing_of_what_an_offset_was_set_back_over() {
        let log = log_of(&[
            configure(0, 0, None, "a"),
            advance(5, 0, 10),
            advance(8, 0, 20),
            refused(9, &[(4, 4), (6, 8)]),
            configure(9, 0, Some("a"), "b"),
            advance(12, 0, 90),
            stated(8, "a"),
            advance(9, 0, 30),
            advance(15, 0, 50),
        ]);
        assert_eq!(advances(&log, 0, 20), [(5, 10), (8, 20), (9, 30), (15, 50)]);
        assert_eq!(policy_at(&log.records, 8), Some("a"));
        let mut known = KnownRefusals::of(&log.records, log.refusals_from);
        let found: Vec<i64> = (0..20).filter(|offset| known.contains(*offset)).collect();
        assert_eq!(found, [4, 6, 7], "8 was read once more");
    }

    #[test]
    fn a_history_that_is_no_more_holds_no_watermark_up() {
        let mut all = Watermarks::default();
        assert_eq!(all.take(0, &configure(0, 0, None, "a")), None);
        assert_eq!(all.take(0, &advance(7, 0, 900)), Some(900));
        assert_eq!(all.take(1, &advance(3, 0, 500)), Some(900));
        assert_eq!(all.take(0, &stated(9, "a")), Some(900), "it tells none");
        assert_eq!(all.take(0, &configure(0, 0, None, "a")), Some(500));
        assert_eq!(all.take(1, &stated(2, "a")), None);
        assert_eq!(all.take(1, &advance(2, 0, 40)), Some(40));
    }
}
