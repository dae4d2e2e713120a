//! A repeated partition goes by the same history as a worker that restores it.

use millrace_engine::{FrozenState, RestoreError};
use millrace_runtime::TaskError;
use millrace_runtime::control::ControlRecord;
use millrace_runtime::refusals::RefusedRun;

use super::*;

/// What a task was called with, in order.
struct Calls(Vec<String>);

impl Task for Calls {
    fn process(&mut self, record: &InputRecord<'_>, _: &mut dyn Outbox) -> Result<(), TaskError> {
        self.0.push(record.offset.to_string());
        Ok(())
    }
    fn advance(&mut self, watermark_ms: i64, _: &mut dyn Outbox) -> Result<(), TaskError> {
        self.0.push(format!("to {watermark_ms}"));
        Ok(())
    }
    fn configure(&mut self, policy: &str, _: &mut dyn Outbox) -> Result<(), TaskError> {
        self.0.push(policy.to_owned());
        Ok(())
    }
    fn watermark_ms(&self) -> Option<i64> {
        None
    }
    fn max_event_time_ms(&self) -> Option<i64> {
        None
    }
    fn open_until_ms(&self) -> Option<i64> {
        None
    }
    fn freeze(&mut self) -> FrozenState {
        FrozenState::new(|_| {})
    }
    fn restore(&mut self, _: &[u8]) -> Result<(), RestoreError> {
        Ok(())
    }
}

struct CallsJob;

impl Job for CallsJob {
    type Task = Calls;
    fn name(&self) -> &'static str {
        "calls"
    }
    fn input_topic(&self) -> &'static str {
        "in"
    }
    fn control_topic(&self) -> Option<&str> {
        None
    }
    fn layout(&self) -> String {
        String::new()
    }
    fn task(&self, _: i32) -> Calls {
        Calls(vec!["begins with what the settings say".to_owned()])
    }
    fn task_under(&self, _: i32, policy: &str) -> Result<Calls, String> {
        Ok(Calls(vec![format!("begins with {policy}")]))
    }
}

/// The offsets of dead letters, with their reasons.
#[derive(Default)]
struct Letters(Vec<(i64, String)>);

impl Collect for Letters {
    fn sent(&mut self, _: i32, _: &OutputRecord<'_>) -> Result<()> {
        Ok(())
    }
    fn dead_letter(&mut self, record: &InputRecord<'_>, code: &str) {
        self.0.push((record.offset, code.to_owned()));
    }
}

fn configure(offset: i64, before: Option<&str>, policy: &str) -> ControlRecord {
    ControlRecord::Configure {
        offset,
        nth: 0,
        before: before.map(str::to_owned),
        policy: policy.to_owned(),
        closed_until_ms: None,
    }
}

const fn advance(offset: i64, watermark_ms: i64) -> ControlRecord {
    ControlRecord::Advance {
        offset,
        watermark_ms,
        nth: 0,
    }
}

fn stated(offset: i64, policy: &str) -> ControlRecord {
    ControlRecord::Policy {
        offset,
        policy: policy.to_owned(),
        closed_until_ms: None,
    }
}

fn refused(offset: i64, first: i64, last: i64) -> ControlRecord {
    let runs = vec![RefusedRun {
        first,
        last,
        code: "unknown_schema".to_owned(),
    }];
    ControlRecord::Refused { offset, runs }
}

/// Repeats a partition of so many records; the calls of its task, and its dead letters.
fn repeated(controls: &[ControlRecord], records: i64) -> (Vec<String>, Vec<(i64, String)>) {
    let mut log = ControlLog::default();
    for record in controls {
        log.add(record.to_json().as_bytes()).unwrap();
    }
    let mut letters = Letters::default();
    let mut partition = Undisturbed::new(&CallsJob, 0, Some(&log)).unwrap();
    let mut outbox = Collecting::new(0, &mut letters);
    for offset in 0..records {
        let record = InputRecord {
            topic: "in",
            partition: 0,
            offset,
            timestamp_ms: 0,
            is_append_time: true,
            key: None,
            payload: None,
            headers: RecordHeaders::NONE,
        };
        partition.take(&record, &mut outbox).unwrap();
    }
    partition.repeat_before(i64::MAX, &mut outbox).unwrap();
    (partition.task.0, letters.0)
}

#[test]
fn an_offset_that_was_set_back_leaves_out_what_was_told_of_what_is_behind_it() {
    let (calls, letters) = repeated(
        &[
            configure(0, None, "a"),
            advance(2, 20),
            refused(4, 1, 3),
            configure(4, Some("a"), "b"),
            advance(5, 90),
            // Set back to 2, and the job was told to go on.
            configure(2, Some("a"), "b"),
            advance(3, 30),
            configure(4, Some("b"), "c"),
        ],
        6,
    );
    assert_eq!(
        calls,
        [
            "begins with a",
            "a",
            "0",
            "to 20",
            "b",
            "2",
            "to 30",
            "3",
            "c",
            "4",
            "5"
        ],
        "a worker that restores from the log's start does the same"
    );
    assert_eq!(letters, [(1, "unknown_schema".to_owned())]);
}

#[test]
fn a_topic_that_was_made_anew_has_its_own_events_alone() {
    let (calls, letters) = repeated(
        &[
            configure(0, None, "old"),
            refused(1, 0, 0),
            advance(900, 9_000),
            configure(0, None, "new"),
            advance(1, 10),
        ],
        2,
    );
    assert_eq!(calls, ["begins with new", "new", "0", "to 10", "1"]);
    assert_eq!(letters, []);
}

#[test]
fn what_only_states_a_policy_says_with_which_one_the_log_begins() {
    // Retention of the control topic has deleted the change that it was given with.
    let (calls, _) = repeated(&[stated(1, "a"), configure(2, Some("a"), "b")], 3);
    assert_eq!(calls, ["begins with a", "0", "1", "b", "2"]);
    assert_eq!(repeated(&[stated(1, "a")], 1).0, ["begins with a", "0"]);
}
