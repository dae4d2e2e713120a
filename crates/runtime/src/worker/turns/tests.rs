use std::cell::RefCell;
use std::rc::Rc;

use super::*;
use crate::worker::simulation::LoggedRecord;
use crate::worker::simulation::fetched::{Client, Memory};

type Shared = Rc<RefCell<Client>>;

/// Partitions with a client each.
fn turns<const N: usize>() -> (Turns<Memory>, [Shared; N]) {
    let clients = std::array::from_fn(|_| Shared::default());
    let mut turns = Turns::default();
    for (number, client) in (0..).zip(&clients) {
        turns.add(number, Memory::of(client));
    }
    (turns, clients)
}

fn fetch(client: &Shared, partition: i32, offsets: std::ops::Range<i64>) {
    let record = LoggedRecord {
        key: None,
        payload: None,
        timestamp_ms: 0,
        is_append_time: true,
    };
    for offset in offsets {
        client.borrow_mut().fetch(partition, offset, &record);
    }
}

/// The offsets that are offered, of a report with a minus.
fn offered(turns: &Turns<Memory>) -> Vec<i64> {
    let offset = |item: Result<InputRecord<'_>, Report>| match item {
        Ok(record) => record.offset,
        Err(report) => -report.offset,
    };
    turns.items("in").map(offset).collect()
}

#[test]
fn what_may_not_come_yet_stays_and_comes_again_in_order() {
    let (mut turns, [client]) = turns();
    fetch(&client, 0, 0..20);
    assert_eq!(turns.offer(1_000, |_| true), 20);
    turns.settle(|_| Some(3));
    assert!(turns.holds_any());
    assert_eq!(turns.offer(1_000, |_| false), 0, "it waits");
    assert!(offered(&turns).is_empty());
    turns.settle(|_| Some(3));
    fetch(&client, 0, 20..22);
    let mut next = 3;
    while turns.offer(1_000, |_| true) > 0 {
        let now = offered(&turns);
        assert_eq!(now.first(), Some(&next));
        assert!(now.is_sorted());
        next = now[now.len() - 1] + 1;
        turns.settle(|_| Some(next));
    }
    assert_eq!(next, 22);
    assert!(!turns.holds_any());
}

#[test]
fn a_partition_that_waits_has_few_records_here_however_many_are_fetched() {
    let (mut turns, [client]) = turns();
    fetch(&client, 0, 0..100_000);
    for _ in 0..1_000 {
        let offered = turns.offer(usize::MAX, |_| true);
        assert!(offered <= MOST && turns.0[0].queue.len() <= MOST, "{offered}");
        turns.settle(|_| Some(0));
    }
    assert_eq!(turns.offer(usize::MAX, |_| true), FEWEST, "each is decoded");
}

#[test]
fn a_small_room_is_each_ones_in_its_turn() {
    let (mut turns, clients) = turns::<3>();
    for (number, client) in (0..).zip(&clients) {
        fetch(client, number, 0..10);
    }
    let mut next = [0; 3];
    for _ in 0..9 {
        assert_eq!(turns.offer(1, |_| true), 1);
        let number = turns.items("in").flatten().next().unwrap().partition;
        next[number as usize] += 1;
        turns.settle(|number| Some(next[number as usize]));
    }
    assert_eq!(next, [3, 3, 3]);
}

#[test]
fn a_report_comes_in_its_place_and_voids_what_is_behind_it() {
    let (mut turns, [client]) = turns();
    fetch(&client, 0, 5..8);
    client.borrow_mut().report(0, 8);
    fetch(&client, 0, 9..12);
    turns.offer(1_000, |_| true);
    assert_eq!(offered(&turns), [5, 6, 7]);
    turns.settle(|_| Some(7));
    turns.offer(1_000, |_| true);
    assert_eq!(offered(&turns), [7], "the report waits with its partition");
    turns.settle(|_| Some(8));
    turns.offer(1_000, |_| true);
    assert_eq!(offered(&turns), [-8]);
    turns.settle(|_| Some(8));
    assert!(!turns.holds_any(), "it is sought to");
}

#[test]
fn a_seek_a_roll_back_and_another_assignment_void_what_is_here() {
    let (mut turns, [client]) = turns();
    let refill = |turns: &mut Turns<Memory>| {
        fetch(&client, 0, 0..9);
        turns.offer(9, |_| true);
    };
    refill(&mut turns);
    turns.settle(|_| None);
    assert!(!turns.holds_any(), "its state was thrown away");
    refill(&mut turns);
    turns.settle(|_| Some(1));
    turns.clear(0);
    assert!(!turns.holds_any());
    refill(&mut turns);
    turns.settle(|_| Some(1));
    turns.add(0, Memory::default());
    assert!(!turns.holds_any());
    assert_eq!(turns.0.len(), 1);
    turns.remove(&[0]);
    assert_eq!(turns.offer(9, |_| true), 0);
}
