//! Against a count of the same records with every id in memory.

use std::collections::HashSet;

use super::*;

const MINUTE: i64 = 60_000;

fn entry(id: u32, offset: i64, time_ms: i64) -> Entry {
    let mut bytes = [7; 16];
    // In the last bytes, which buckets go by, and in the first, which runs go by.
    bytes[12..].copy_from_slice(&id.to_be_bytes());
    bytes[0] = (id % 2) as u8;
    Entry {
        id: TransactionId::from_bytes(bytes),
        partition: (id % 5) as i32,
        offset,
        time_ms,
        units: i64::from(id) + 1,
        currency: Currency::parse(if id.is_multiple_of(3) { b"EUR" } else { b"VND" }).unwrap(),
        is_refund: id.is_multiple_of(7),
        is_replay: false,
        is_refusable: false,
    }
}

fn count(records: &mut Records, dead: &Places, late: &Places) -> Counted {
    let none = Places::default();
    let known = Known {
        dead,
        late,
        unsunk: &none,
        window_ms: MINUTE,
        is_vouched: &|id| id.as_bytes()[0] == 0,
    };
    records.count(&known).unwrap()
}

fn number(windows: &Windows) -> u64 {
    windows
        .values()
        .map(|it| it.purchase_count + it.refund_count)
        .sum()
}

#[test]
fn an_entry_comes_back_from_its_bytes() {
    for flags in 0..8 {
        let entry = Entry {
            is_refund: flags & 1 != 0,
            is_replay: flags & 2 != 0,
            is_refusable: flags & 4 != 0,
            ..entry(0xfeed, 1 << 40, -5)
        };
        let mut bytes = Vec::new();
        entry.write(&mut bytes);
        assert_eq!(Entry::read(&bytes.try_into().unwrap()).unwrap(), entry);
    }
}

#[test]
fn each_transaction_counts_once_on_disk_too() {
    // A file sent twice: copies are as far apart as can be. The ids of few buckets, so that these
    // are on disk.
    let ids: Vec<u32> = (0..40_000).map(|at| ((at / 2) << 8) | (at % 2)).collect();
    let mut records = Records::default();
    let (mut seen, mut once) = (HashSet::new(), Windows::new());
    for (offset, id) in ids.iter().chain(&ids).enumerate() {
        let entry = entry(*id, offset as i64, i64::from(*id));
        records.add(&entry).unwrap();
        if seen.insert(*id) {
            let start_ms = entry.time_ms - entry.time_ms.rem_euclid(MINUTE);
            add_to(&mut once, start_ms, entry.currency, &entry.totals());
        }
    }
    assert!(
        records
            .buckets
            .iter()
            .filter(|bucket| bucket.spilled.is_some())
            .count()
            == 2
    );
    let none = Places::default();
    let counted = count(&mut records, &none, &none);
    assert_eq!(counted.once, once);
    assert_eq!(
        (counted.copies, counted.reused_count, counted.late_found),
        (40_000, 0, 0)
    );
    assert_eq!(number(&counted.vouched) + number(&counted.others), 80_000);
    assert_eq!(number(&counted.vouched), 40_000);
    assert_eq!(
        count(&mut records, &none, &none),
        counted,
        "going through it changes nothing"
    );
}

#[test]
fn the_first_record_that_was_not_refused_is_the_one() {
    let mut records = Records::default();
    for (id, offset, time_ms) in [(5, 0, 0), (5, 1, 0), (10, 2, 0), (10, 3, MINUTE), (15, 4, 0)] {
        records.add(&entry(id, offset, time_ms)).unwrap();
    }
    let (mut dead, mut late) = (Places::default(), Places::default());
    dead.insert(0, 0);
    // The second record of 5 is the first that counts; of 10 the second is a copy; 99 is of nobody.
    for offset in [1, 3, 99] {
        late.insert(0, offset);
    }
    let counted = count(&mut records, &dead, &late);
    assert_eq!(number(&counted.once), 3);
    assert_eq!(number(&counted.late), 1);
    assert_eq!(
        (counted.copies, counted.late_copies, counted.late_found),
        (1, 1, 2)
    );
    assert_eq!((counted.reused_count, number(&counted.reused)), (1, 1));
    assert_eq!(counted.reused.keys().next().unwrap().0, MINUTE);
}

fn places(offsets: &[i64]) -> Places {
    let mut places = Places::default();
    for offset in offsets {
        places.insert(0, *offset);
    }
    places
}

/// Records of the partition 0 as (id, whether it was sent again), at the offsets 0, 1 and so on.
fn of_one_partition(ids: &[(u32, bool)]) -> Records {
    let mut records = Records::default();
    for (offset, (id, is_replay)) in ids.iter().enumerate() {
        let entry = Entry {
            is_replay: *is_replay,
            partition: 0,
            ..entry(*id, offset as i64, 0)
        };
        records.add(&entry).unwrap();
    }
    records
}

#[test]
fn a_refused_transaction_is_one_again_when_a_copy_was_taken() {
    // 5 is refused, and taken when it is sent again; 10 is refused both times; 15 is taken.
    let mut records = of_one_partition(&[(5, false), (10, false), (15, false), (5, true), (10, true)]);
    let counted = count(&mut records, &places(&[0, 1, 4]), &places(&[]));
    let transactions = (counted.wrongly_refused_taken, counted.wrongly_refused_lost);
    assert_eq!((counted.wrongly_refused, transactions), (3, (1, 1)));
    assert_eq!((number(&counted.once), counted.copies), (2, 0));
    assert_eq!(
        number(&counted.vouched) + number(&counted.others),
        3,
        "what producers have sent"
    );
    // Nobody has refused the first of 5: what was sent again is a copy.
    let counted = count(&mut records, &places(&[1, 4]), &places(&[]));
    assert_eq!((number(&counted.once), counted.copies), (2, 1));
}

#[test]
fn what_has_to_be_refused_is_not_wrongly_refused() {
    let mut records = Records::default();
    let refusable = Entry {
        is_refusable: true,
        ..entry(5, 0, 0)
    };
    records.add(&refusable).unwrap();
    let counted = count(&mut records, &places(&[0]), &places(&[]));
    assert_eq!((counted.wrongly_refused, number(&counted.once)), (0, 0));
}

#[test]
fn the_sink_has_what_it_has_taken_once() {
    // 5 is taken when it is sent again, 10 is not, 15 was not sent again.
    let mut records = of_one_partition(&[(5, false), (10, false), (15, false), (5, true), (10, true)]);
    let (none, unsunk) = (places(&[]), places(&[0, 1, 2, 4]));
    let known = Known {
        dead: &none,
        late: &none,
        unsunk: &unsunk,
        window_ms: MINUTE,
        is_vouched: &|_| false,
    };
    let counted = records.count(&known).unwrap();
    assert_eq!((counted.unsunk_mended, unsunk.len()), (1, 4));
    assert_eq!((number(&counted.once), counted.copies), (3, 2));
}
