use millrace_kafka::copies::KeptRecord;

use super::*;
use crate::batch::{Origin, Work};
use crate::spec::SourceId;

/// A document of a month, and its bytes.
#[derive(Debug, PartialEq, Eq)]
struct Document(i64, usize);

impl Item for Document {
    type Target = i64;

    fn target(&self) -> i64 {
        self.0
    }

    fn size_bytes(&self) -> usize {
        self.1
    }
}

const BACKOFF: Backoff = Backoff {
    initial: Duration::from_millis(100),
    max: Duration::from_secs(30),
};

fn partition(number: i32) -> PartitionKey {
    PartitionKey {
        source: SourceId(0),
        partition: number,
    }
}

fn waiting(month: i64, offset: i64) -> Waiting<Document> {
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
            work: Work::Write(Document(month, 320)),
        },
        target: month,
        assignment: 1,
    }
}

fn reason(code: &'static str) -> Reason {
    Reason {
        code,
        message: "why".to_owned(),
        remedy: "mend it",
    }
}

fn offsets(taken: &[Waiting<Document>]) -> Vec<i64> {
    taken.iter().map(|waiting| waiting.entry.origin.offset).collect()
}

fn filled(count: i64, now: Instant) -> SetAside<Document> {
    let mut aside = SetAside::new(1_000_000, BACKOFF);
    for offset in 0..count {
        aside.add(waiting(0, offset), Some(&reason("read_only")), now);
    }
    aside
}

#[test]
fn a_target_is_tried_by_a_few_and_then_by_all() {
    let start = Instant::now();
    let mut aside = filled(1_000, start);
    assert_eq!(aside.take_due(start, usize::MAX, 10_000).len(), 0, "not due yet");
    let later = start + Duration::from_secs(1);
    let probe = aside.take_due(later, usize::MAX, 10_000);
    assert_eq!(probe.len(), PROBE_ITEMS);
    aside.tried(&probe, Vec::new(), &BTreeMap::new(), later);
    let rest = aside.take_due(later, usize::MAX, 10_000);
    assert_eq!(rest.len(), 900);
    aside.tried(&rest, Vec::new(), &BTreeMap::new(), later);
    assert!(aside.is_empty());
    assert_eq!(aside.bytes(), 0);
}

#[test]
fn a_target_that_stays_blocked_is_tried_ever_more_seldom_and_by_others() {
    let mut now = Instant::now();
    let mut aside = filled(150, now);
    let news = BTreeMap::from([(0, reason("closed"))]);
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
    assert_eq!((blocked[0].1.code, blocked[0].2), ("closed", 150));
}

#[test]
fn one_target_does_not_wait_for_another() {
    let start = Instant::now();
    let mut aside = filled(1, start);
    aside.add(waiting(5, 7), Some(&reason("no_room")), start);
    let later = start + Duration::from_secs(1);
    let mut both = aside.take_due(later, usize::MAX, 10_000);
    assert_eq!(offsets(&both), [0, 7]);
    let done = both.split_off(1);
    aside.tried(&done, both, &BTreeMap::new(), later);
    assert!(aside.is_blocked(0) && !aside.is_blocked(5));
}

#[test]
fn it_is_full_by_bytes_until_some_are_through() {
    let start = Instant::now();
    let mut aside = SetAside::new(1_000, BACKOFF);
    let mut count = 0;
    while !aside.is_full() {
        aside.add(waiting(0, count), None, start);
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
fn a_partition_that_went_takes_its_items_along() {
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
