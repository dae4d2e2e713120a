//! Records that a task has refused by the word of somebody outside of the log, who may say
//! something else another time.
//!
//! Whether a record is refused is a part of what was done with it. Where the record alone decides,
//! a replay decides the same once more. The schema registry does not: it learns of a schema that it
//! did not know, or refuses one that it gave before. A replay that asked it again would count what
//! is among the dead letters by now, or leave out what was counted. So what was refused by its word
//! is written to the control topic, in the transaction that commits it, and a replay goes by that.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::control::ControlRecord;
use crate::{InputRecord, TaskError};

/// Most runs in one control record: about 250 kB.
const MAX_RUNS: usize = 4_000;

/// Records next to each other that were refused for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedRun {
    /// The first one's offset.
    pub first: i64,
    /// The last one's offset. Every record between them was refused too.
    pub last: i64,
    /// The reason's bounded name.
    pub code: String,
}

/// What was refused since the last commit, by partition.
#[derive(Debug, Default)]
pub(crate) struct NewRefusals(BTreeMap<i32, Vec<RefusedRun>>);

impl NewRefusals {
    /// Adds a record; those of a partition in order.
    pub(crate) fn add(&mut self, partition: i32, offset: i64, code: &str) {
        let runs = self.0.entry(partition).or_default();
        match runs.last_mut() {
            Some(run) if run.last + 1 == offset && run.code == code => run.last = offset,
            _ => runs.push(RefusedRun {
                first: offset,
                last: offset,
                code: code.to_owned(),
            }),
        }
    }

    /// Takes what a partition has, as the control records of a commit of `offset`.
    pub(crate) fn take(&mut self, partition: i32, offset: i64) -> Vec<ControlRecord> {
        let runs = self.0.remove(&partition).unwrap_or_default();
        let records = runs.chunks(MAX_RUNS).map(|runs| ControlRecord::Refused {
            offset,
            runs: runs.to_vec(),
        });
        records.collect()
    }

    /// Forgets all, as the transaction was aborted.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

/// What a replay knows of the refusals of before.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct KnownRefusals {
    runs: VecDeque<RefusedRun>,
    /// From here on all of them are known; `None` where those are of a release that did not write
    /// them.
    pub(crate) whole_from: Option<i64>,
}

impl KnownRefusals {
    /// Those that control records tell of, in their order.
    pub(crate) fn of(records: &[ControlRecord], whole_from: Option<i64>) -> Self {
        let runs = records.iter().filter_map(|record| match record {
            ControlRecord::Refused { runs, .. } => Some(runs),
            _ => None,
        });
        Self {
            runs: runs.flatten().cloned().collect(),
            whole_from,
        }
    }

    /// Whether the record at an offset was refused; asked for in the order of the log.
    pub(crate) fn contains(&mut self, offset: i64) -> bool {
        self.code(offset).is_some()
    }

    /// Why the record at an offset was refused; asked for in the order of the log.
    pub fn code(&mut self, offset: i64) -> Option<&str> {
        while self.runs.pop_front_if(|run| run.last < offset).is_some() {}
        let run = self.runs.front().filter(|run| run.first <= offset)?;
        Some(&run.code)
    }
}

/// Lets a replay leave out a record that it does not know to have been refused only where it cannot
/// know.
///
/// # Errors
/// It was taken the first time: without it, the state would be another than the one that outputs
/// were made of.
pub(crate) fn check_replayed(
    record: &InputRecord<'_>,
    whole_from: Option<i64>,
    why: &str,
) -> Result<(), TaskError> {
    if whole_from.is_none_or(|from| record.offset < from) {
        return Ok(());
    }
    Err(TaskError::new(format!(
        "the record at offset {} was processed before, and cannot be read now that the state is made anew: {why}. Nothing \
         was written; a start goes on from here once the schema registry gives what it gave then",
        record.offset
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(first: i64, last: i64, code: &str) -> RefusedRun {
        RefusedRun {
            first,
            last,
            code: code.to_owned(),
        }
    }

    #[test]
    fn neighbours_of_one_reason_are_one_run() {
        let mut new = NewRefusals::default();
        for (offset, code) in [(5, "a"), (6, "a"), (7, "b"), (9, "b"), (10, "b")] {
            new.add(0, offset, code);
        }
        new.add(1, 6, "a");
        let runs = vec![run(5, 6, "a"), run(7, 7, "b"), run(9, 10, "b")];
        assert_eq!(new.take(0, 12), [ControlRecord::Refused { offset: 12, runs }]);
        assert_eq!(new.take(0, 12), []);
        assert_eq!(new.take(1, 9).len(), 1);
        new.add(2, 1, "a");
        new.clear();
        assert_eq!(new.take(2, 2), []);
    }

    #[test]
    fn many_runs_are_several_records_of_one_commit() {
        let mut new = NewRefusals::default();
        for offset in 0..10_000 {
            new.add(0, 2 * offset, "unknown_schema");
        }
        let records = new.take(0, 20_000);
        assert_eq!(records.len(), 3);
        assert!(records.iter().all(|record| record.to_json().len() < 1_000_000));
        let mut known = KnownRefusals::of(&records, Some(0));
        assert!((0..20_000).all(|offset| known.contains(offset) == (offset % 2 == 0)));
    }

    #[test]
    fn a_replay_knows_what_was_refused_and_from_where_on_it_knows_all() {
        let refused = |offset, runs| ControlRecord::Refused { offset, runs };
        let watermark = ControlRecord::Watermark {
            offset: 9,
            watermark_ms: 1,
        };
        let records = [
            refused(8, vec![run(2, 4, "a"), run(6, 6, "a")]),
            watermark,
            refused(20, vec![run(12, 12, "b")]),
        ];
        let mut known = KnownRefusals::of(&records, Some(5));
        let found: Vec<i64> = (3..25).filter(|offset| known.contains(*offset)).collect();
        assert_eq!(found, [3, 4, 6, 12], "a replay that begins within a run");
        let record = |offset| InputRecord {
            topic: "t",
            partition: 0,
            offset,
            timestamp_ms: 0,
            is_append_time: true,
            key: None,
            payload: None,
            headers: millrace_kafka::RecordHeaders::NONE,
        };
        let check = |offset, from| check_replayed(&record(offset), from, "403: denied");
        assert!(check(4, Some(5)).is_ok() && check(5, None).is_ok());
        let error = check(5, Some(5)).unwrap_err().to_string();
        assert!(
            error.contains("offset 5") && error.contains("403: denied"),
            "{error}"
        );
    }
}
