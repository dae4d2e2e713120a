//! Stage 2, step by step.

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

mod support;

use millrace_domain::{Amount, Currency, ShortId, Totals, TransactionType};
use millrace_engine::windowed::{Content, EarlyResults, MergePolicy};
use millrace_engine::{Disposition, HashSeed, Operator};
use millrace_payments::{MerchantKey, MerchantTotals, MergeAggregate};
use support::{Contribution, Record, stage_2};

fn contribution(source_partition: i32, merchant: &str, window_start_ms: i64, cents: i64) -> Record {
    let amount = Amount::from_units(cents * 100).unwrap();
    Record {
        source_partition,
        watermark_ms: 0,
        complete_ms: None,
        content: Content::Final(vec![Contribution {
            key: MerchantKey {
                merchant_id: ShortId::new(merchant, "merchantId").unwrap(),
                currency: Currency::parse(b"EUR").unwrap(),
            },
            window_start_ms,
            window_end_ms: window_start_ms + 1_000,
            totals: MerchantTotals {
                sums: Totals::of(TransactionType::Purchase, amount),
                distinct_users: 1,
            },
        }]),
    }
}

fn merge_of(source_partitions: usize, allowed_lateness_ms: i64) -> MergeAggregate {
    let policy = MergePolicy::new(source_partitions, allowed_lateness_ms).unwrap();
    stage_2(policy, HashSeed::FIXED)
}

fn marker(source_partition: i32, watermark_ms: i64) -> Record {
    Record {
        source_partition,
        watermark_ms,
        complete_ms: Some(watermark_ms),
        content: Content::Watermark,
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
                out.key.merchant_id.to_string(),
                out.totals.sums.purchase_sum.to_string(),
                out.totals.distinct_users,
            )
        })
        .collect();
    assert_eq!(
        found,
        [("m-1", "0.07", 1), ("m-2", "0.16", 2)].map(|(id, sum, users)| (
            id.to_owned(),
            sum.to_owned(),
            users
        ))
    );

    let late = merge.process(&contribution(1, "m-2", 0, 1), &mut outputs);
    assert_eq!(late, Disposition::Late { late_by_ms: 1 });
    assert_eq!(merge.open_windows(), 0);
}

#[test]
fn windows_of_several_sizes_become_one_and_early_words_make_no_window_larger() {
    let of = |source_partition, (start_ms, end_ms), is_early| {
        let Content::Final(mut groups) = contribution(0, "m-1", start_ms, 1).content else {
            panic!("a contribution");
        };
        groups[0].window_end_ms = end_ms;
        Record {
            source_partition,
            watermark_ms: 0,
            complete_ms: None,
            content: match is_early {
                true => Content::Early(groups),
                false => Content::Final(groups),
            },
        }
    };
    let early = EarlyResults::every_ms(1).unwrap();
    let policy = MergePolicy::new(2, 0).unwrap().with_early(Some(early));
    let mut merge = stage_2(policy, HashSeed::FIXED);
    let mut outputs = Vec::new();
    for record in [
        of(0, (0, 10), false),
        of(0, (20, 30), false),
        of(1, (20, 60), true),
        of(0, (60, 70), false),
        marker(0, 70),
        of(1, (0, 30), false),
        marker(1, 30),
    ] {
        assert_eq!(merge.process(&record, &mut outputs), Disposition::Accepted);
    }
    let found: Vec<_> = outputs
        .iter()
        .map(|out| {
            (
                out.window_start_ms,
                out.window_end_ms,
                out.totals.sums.purchase_count,
            )
        })
        .collect();
    assert_eq!(found, [(0, 30, 3)]);
    assert_eq!(merge.open_windows(), 1);
    let late = merge.process(&of(1, (20, 90), false), &mut outputs);
    assert_eq!(
        late,
        Disposition::Late { late_by_ms: 1 },
        "it overlaps what was sent"
    );
}

#[test]
fn a_source_of_a_release_before_closes_after_the_highest_lateness_that_there_was() {
    let mut merge = merge_of(1, 500);
    let old = |watermark_ms| Record {
        complete_ms: None,
        ..marker(0, watermark_ms)
    };
    let mut outputs = Vec::new();
    merge.process(&contribution(0, "m-1", 0, 5), &mut outputs);
    merge.configure(&MergePolicy::new(1, 0).unwrap(), &mut outputs);
    merge.process(&old(1_499), &mut outputs);
    assert_eq!(outputs.len(), 0);
    merge.process(&old(1_500), &mut outputs);
    assert_eq!(outputs.len(), 1);
}

#[test]
fn a_source_is_any_partition_and_a_state_brings_their_number() {
    let mut merge = merge_of(2, 0);
    assert!(merge.knows_source(0) && merge.knows_source(2));
    assert!(!merge.knows_source(10_000) && !merge.knows_source(-1));
    let mut bytes = Vec::new();
    merge.snapshot(&mut bytes);
    let mut wider = merge_of(3, 0);
    wider.restore(&bytes).unwrap();
    assert_eq!(wider.policy(), merge.policy());
}
