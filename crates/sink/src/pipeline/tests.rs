//! The loop over a store in memory, without a broker: what a broker would be told is taken from
//! [`Pipeline::committable`].

use super::*;

mod harness;
mod schedules;

use harness::{Harness, PATIENCE, TWO, key, places};

#[test]
fn offsets_are_committed_in_turn_however_batches_end() {
    let mut harness = Harness::new(TWO);
    harness.close(|closed| closed.firsts.extend([(0, 0)]));
    harness.read_all(0, 0, &[b"a", b"a", b"b", b"-", b"b", b"a", b"b", b"b"]);
    let later = [(0, 2), (0, 4), (0, 5), (0, 6)];
    harness.until("the later batches are written", |harness| {
        harness.rows() == later && harness.pipeline.in_flight.len() == 1
    });
    assert_eq!(harness.commit(), [], "the first batch is not done");
    harness.close(|closed| closed.firsts.clear());
    harness.until("the first batch is written", |harness| {
        harness.pipeline.in_flight.is_empty()
    });
    assert_eq!(harness.commit(), [(0, 7)], "the last record is in no batch yet");
    assert_eq!(harness.commit(), [], "once");
    assert_eq!(harness.drain(PATIENCE), 0);
    assert_eq!(harness.commit(), [(0, 8)]);
    assert_eq!(harness.letters(), []);
}

#[test]
fn no_more_batches_are_written_at_once_than_may_be() {
    let mut harness = Harness::new(TWO);
    harness.close(|closed| closed.firsts.extend(places(0, 0..20)));
    harness.read_all(0, 0, &[b"a" as &[u8]; 8]);
    assert!(
        harness.pipeline.is_blocked_after_waiting().unwrap(),
        "a fourth waits"
    );
    assert_eq!(harness.pipeline.in_flight.len(), 3);
    harness.close(|closed| closed.firsts.clear());
    harness.until("all are written", |harness| harness.rows() == places(0, 0..8));
    assert!(!harness.pipeline.is_blocked_after_waiting().unwrap());
}

#[test]
fn what_is_given_up_is_written_and_committed_first() {
    let mut harness = Harness::new(TWO);
    harness.read_all(0, 10, &[b"a", b"b", b"a"]);
    harness.read((1, 5), b"a");
    harness.read((1, 9), b"?");
    assert_eq!(harness.drain(PATIENCE), 0);
    assert_eq!(harness.commit(), [(0, 13), (1, 10)]);
    assert_eq!(harness.rows(), [(0, 10), (0, 11), (0, 12), (1, 5)]);
    harness.pipeline.forget(key(0));
    harness.read((1, 10), b"b");
    assert_eq!(harness.drain(PATIENCE), 0);
    assert_eq!(harness.commit(), [(1, 11)], "the other partition goes on");
}

#[test]
fn what_is_not_written_in_time_is_another_members_and_commits_nothing_here() {
    let mut harness = Harness::new(TWO);
    harness.close(|closed| closed.firsts.extend([(0, 0)]));
    harness.read_all(0, 0, &[b"a", b"a"]);
    assert_eq!(harness.drain(Duration::ZERO), 2);
    assert_eq!(harness.commit(), []);
    harness.pipeline.forget(key(0));
    // It comes back, and is read again from what was committed, while the former write still runs.
    harness.read((0, 0), b"b");
    harness.close(|closed| closed.firsts.clear());
    harness.until("the former write ends", |harness| {
        harness.pipeline.in_flight.is_empty()
    });
    assert_eq!(harness.commit(), [], "it says nothing of what was read since");
    assert_eq!(harness.drain(PATIENCE), 0);
    assert_eq!(harness.commit(), [(0, 1)]);
}

#[test]
fn a_write_that_fails_as_a_partition_is_given_up_ends_the_sink_and_loses_nothing() {
    let mut harness = Harness::new(TWO);
    harness.read_all(1, 0, &[b"a", b"a"]);
    harness.until("it is written", |harness| harness.pipeline.open() == 0);
    harness.close(|closed| closed.letters = true);
    harness.read((0, 0), b"?");
    harness.read((0, 1), b"a");
    assert_eq!(harness.drain(PATIENCE), 2);
    assert_eq!(
        harness.commit(),
        [(1, 2)],
        "what is done is committed all the same"
    );
    // The partition of the failed write stays: without an end, nothing of it would ever be
    // committed again.
    harness.pipeline.forget(key(1));
    let failure = harness.pipeline.progress().unwrap_err();
    assert_eq!(failure.to_string(), "no letters any more");
    harness.crash();
    harness.close(|closed| closed.letters = false);
    harness.read_all(0, 0, &[b"?", b"a"]);
    assert_eq!(harness.drain(PATIENCE), 0);
    assert!(harness.pipeline.check().is_ok());
    assert_eq!(harness.commit(), [(0, 2)]);
    assert_eq!(harness.letters(), [((0, 0), "no_row".to_owned())]);
}

#[test]
fn a_blocked_table_holds_up_no_other_and_is_caught_up_on() {
    let mut harness = Harness::new(TWO);
    harness.close(|closed| closed.tables.extend(*b"a"));
    harness.read_all(0, 0, &[b"b", b"a", b"b", b"a", b"b", b"b"]);
    let of_b = [(0, 0), (0, 2), (0, 4), (0, 5)];
    harness.until("the other table is written", |harness| {
        harness.rows() == of_b && harness.pipeline.in_flight.is_empty()
    });
    assert_eq!(harness.commit(), [(0, 1)], "up to the first that waits");
    assert_eq!(harness.pipeline.open(), 2);
    let report = format!("{:?}", harness.health.report());
    let said = "table a takes no rows (full): no room; make room";
    assert!(report.contains(said), "{report}");
    harness.close(|closed| closed.tables.clear());
    harness.until("all is written", |harness| harness.pipeline.open() == 0);
    assert_eq!(harness.rows(), places(0, 0..6), "each once");
    assert_eq!(harness.commit(), [(0, 6)]);
    assert!(harness.health.report().ready);
}

#[test]
fn a_record_that_waits_goes_with_its_partition() {
    let mut harness = Harness::new(TWO);
    harness.close(|closed| closed.tables.extend(*b"a"));
    harness.read_all(0, 0, &[b"a", b"b"]);
    harness.until("one waits", |harness| harness.pipeline.open() == 1);
    assert_eq!(harness.drain(PATIENCE), 1, "a stop does not wait for it");
    harness.pipeline.forget(key(0));
    harness.close(|closed| closed.tables.clear());
    harness.until("none waits", |harness| harness.health.report().ready);
    assert_eq!((harness.pipeline.open(), harness.commit()), (0, Vec::new()));
}

#[test]
fn nothing_more_is_read_when_too_much_waits() {
    let mut harness = Harness::new(TWO);
    harness.spec.set_aside_bytes = 1;
    harness.crash();
    harness.close(|closed| closed.tables.extend(*b"a"));
    harness.read_all(0, 0, &[b"a", b"b"]);
    harness.until("it is full", |harness| harness.pipeline.is_full());
    let report = format!("{:?}", harness.health.report());
    let said = "nothing is read, as rows of memory_sink.set_aside_bytes = 1 wait";
    assert!(report.contains(said), "{report}");
    harness.close(|closed| closed.tables.clear());
    harness.until("it is not", |harness| !harness.pipeline.is_full());
    assert_eq!(harness.rows(), places(0, 0..2));
}

#[test]
fn a_bad_record_is_one_dead_letter() {
    let mut harness = Harness::new(TWO);
    // What is written again with others, and what waits for its table, is no second letter.
    harness.close(|closed| closed.tables.extend(*b"b"));
    harness.read_all(0, 0, &[b"a!", b"a~", b"?", b"b!", b"s", b"-", b"b"]);
    assert_eq!(harness.drain(PATIENCE), 2, "two wait");
    let letter = |offset, code: &str| ((0, offset), code.to_owned());
    assert_eq!(harness.letters(), [letter(0, "bad"), letter(2, "no_row")]);
    harness.close(|closed| closed.tables.clear());
    harness.until("all is done", |harness| harness.pipeline.open() == 0);
    assert_eq!(
        harness.letters(),
        [letter(0, "bad"), letter(2, "no_row"), letter(3, "bad")]
    );
    assert_eq!(harness.rows(), [(0, 1), (0, 6)]);
    assert_eq!(harness.commit(), [(0, 7)]);
}

#[test]
fn only_what_is_to_be_written_again_is() {
    let mut harness = Harness::new(TWO);
    harness.read_all(0, 0, &[b"a", b"a~"]);
    harness.until("it is written", |harness| harness.pipeline.open() == 0);
    let writes = harness.seen.writes.lock().unwrap().clone();
    assert_eq!(writes, [places(0, 0..2), places(0, 1..2), places(0, 1..2)]);
    assert_eq!(harness.rows(), places(0, 0..2));
}

#[test]
fn a_store_that_is_away_is_told_of_until_it_is_back() {
    let mut harness = Harness::new(TWO);
    harness.close(|closed| closed.down = true);
    harness.read_all(0, 0, &[b"a", b"a"]);
    harness.until("it is told of", |harness| {
        format!("{:?}", harness.health.report()).contains("Memory takes no rows: down")
    });
    assert_eq!(harness.commit(), []);
    harness.close(|closed| closed.down = false);
    harness.until("it is back", |harness| {
        harness.pipeline.open() == 0 && harness.health.report().ready
    });
    assert_eq!(harness.commit(), [(0, 2)]);
}
