use millrace_kafka::copies::KeptRecord;

use super::*;
use crate::bulk::{Origin, Work};
use crate::document::Document;
use crate::stream::{Month, Stream};

const BACKOFF: Backoff = Backoff {
    initial: Duration::from_millis(100),
    max: Duration::from_secs(30),
};

fn key(month: i64) -> IndexKey {
    IndexKey {
        stream: Stream::Transactions,
        month: Month::of(month * 31 * 86_400_000).unwrap(),
    }
}

fn partition(number: i32) -> PartitionKey {
    PartitionKey {
        stream: Stream::Transactions,
        partition: number,
    }
}

fn waiting(key: IndexKey, offset: i64) -> Waiting {
    Waiting {
        entry: Entry {
            origin: Origin {
                partition: partition(0),
                offset,
            },
            record: KeptRecord {
                payload: Some(vec![0; 100]),
                ..KeptRecord::default()
            },
            work: Work::Index(Document {
                stream: key.stream,
                month: key.month,
                id: offset.to_string(),
                version: 1,
                source: "x".repeat(200),
            }),
        },
        key,
        assignment: 1,
    }
}

fn reason(fault: IndexFault) -> Reason {
    Reason {
        fault,
        message: "why".to_owned(),
    }
}

fn offsets(taken: &[Waiting]) -> Vec<i64> {
    taken.iter().map(|waiting| waiting.entry.origin.offset).collect()
}

fn filled(count: i64, now: Instant) -> SetAside {
    let mut aside = SetAside::new(1_000_000, BACKOFF);
    for offset in 0..count {
        aside.add(waiting(key(0), offset), Some(&reason(IndexFault::ReadOnly)), now);
    }
    aside
}

#[test]
fn an_index_is_tried_by_a_few_and_then_by_all() {
    let start = Instant::now();
    let mut aside = filled(1_000, start);
    assert_eq!(aside.take_due(start, usize::MAX, 10_000).len(), 0, "not due yet");
    let later = start + Duration::from_secs(1);
    let probe = aside.take_due(later, usize::MAX, 10_000);
    assert_eq!(probe.len(), PROBE_DOCUMENTS);
    aside.tried(&probe, Vec::new(), &BTreeMap::new(), later);
    let rest = aside.take_due(later, usize::MAX, 10_000);
    assert_eq!(rest.len(), 900);
    aside.tried(&rest, Vec::new(), &BTreeMap::new(), later);
    assert!(aside.is_empty());
    assert_eq!(aside.bytes(), 0);
}

#[test]
fn an_index_that_stays_blocked_is_tried_ever_more_seldom_and_by_others() {
    let mut now = Instant::now();
    let mut aside = filled(150, now);
    let news = BTreeMap::from([(key(0), reason(IndexFault::Closed))]);
    let mut firsts = Vec::new();
    for attempt in 0..9 {
        // The longest pause at this attempt, and none before half of it.
        let pause = BACKOFF.pause(attempt, 1.0);
        if attempt > 0 {
            assert_eq!(aside.take_due(now + pause.mul_f64(0.49), usize::MAX, 10_000), []);
        }
        now += pause;
        let probe = aside.take_due(now, usize::MAX, 10_000);
        firsts.push(offsets(&probe)[0]);
        aside.tried(&[], probe, &news, now);
    }
    assert_eq!(firsts, [0, 100, 50, 0, 100, 50, 0, 100, 50]);
    let blocked: Vec<_> = aside.blocked(now).collect();
    assert_eq!(blocked.len(), 1);
    assert_eq!((blocked[0].1.fault, blocked[0].2), (IndexFault::Closed, 150));
}

#[test]
fn one_index_does_not_wait_for_another() {
    let start = Instant::now();
    let mut aside = filled(1, start);
    aside.add(waiting(key(5), 7), Some(&reason(IndexFault::NoRoom)), start);
    let later = start + Duration::from_secs(1);
    let mut both = aside.take_due(later, usize::MAX, 10_000);
    assert_eq!(offsets(&both), [0, 7]);
    let done = both.split_off(1);
    aside.tried(&done, both, &BTreeMap::new(), later);
    assert!(aside.is_blocked(key(0)) && !aside.is_blocked(key(5)));
}

#[test]
fn it_is_full_by_bytes_until_some_are_through() {
    let start = Instant::now();
    let mut aside = SetAside::new(1_000, BACKOFF);
    let mut count = 0;
    while !aside.is_full() {
        aside.add(waiting(key(0), count), None, start);
        count += 1;
    }
    assert!((2..4).contains(&count), "{count}");
    let taken = aside.take_due(start + Duration::from_secs(1), 1, 10_000);
    assert_eq!(taken.len(), 1);
    assert!(aside.is_full(), "what is tried still takes memory");
    aside.tried(&taken, Vec::new(), &BTreeMap::new(), start);
    assert!(!aside.is_full());
}

#[test]
fn a_partition_that_went_takes_its_documents_along() {
    let start = Instant::now();
    let mut aside = filled(3, start);
    let later = start + Duration::from_secs(1);
    let tried = aside.take_due(later, 1, 10_000);
    aside.forget(partition(1));
    assert_eq!(aside.blocked(later).next().unwrap().2, 3);
    aside.forget(partition(0));
    assert_eq!(aside.blocked(later).next().unwrap().2, 1, "one is being tried");
    aside.tried(&tried, Vec::new(), &BTreeMap::new(), later);
    assert!(aside.is_empty());
    assert_eq!(aside.bytes(), 0);
}
