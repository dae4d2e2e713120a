//! Both stages of aggregation against the naive oracle, for any order, lateness, duplication and
//! disorder.

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

mod support;

use millrace_engine::windowed::{MergePolicy, PartialOutput, records};
use millrace_engine::{FrozenState, HashSeed, Operator};
use millrace_payments::MerchantOutput;
use proptest::prelude::*;
use support::naive::Naive;
use support::stream::{events, partial, times};
use support::{Event, Times, feed, naive_aggregates, partition_of, stage_2, window_start};

const MERGE_PARTITIONS: usize = 2;

fn written(frozen: FrozenState) -> Vec<u8> {
    let mut bytes = Vec::new();
    frozen.write(&mut bytes);
    bytes
}

/// Outputs must come as the stages agree on: contributions by window, merchant and currency, then
/// their watermark.
fn check_order(times: Times, before_ms: Option<i64>, after_ms: Option<i64>, outputs: &[MerchantOutput]) {
    let boundary = |watermark: i64| window_start(times, watermark - times.lateness);
    let crossed = before_ms.map(boundary) != after_ms.map(boundary);
    let Some((last, contributions)) = outputs.split_last() else {
        assert!(!crossed, "no watermark sent from {before_ms:?} to {after_ms:?}");
        return;
    };
    assert!(crossed);
    let watermark_ms = after_ms.unwrap();
    let marker = PartialOutput::Watermark {
        watermark_ms,
        complete_ms: boundary(watermark_ms),
    };
    assert_eq!(*last, marker);
    let keys: Vec<_> = contributions
        .iter()
        .map(|output| {
            let PartialOutput::Contribution {
                watermark_ms: carried_ms,
                contribution,
            } = *output
            else {
                panic!("{output:?} before the watermark");
            };
            let closes_ms = contribution.window_end_ms + times.lateness;
            assert!(closes_ms <= watermark_ms && carried_ms < closes_ms);
            (contribution.window_start_ms, contribution.key)
        })
        .collect();
    assert!(keys.is_sorted_by(|a, b| a < b), "{keys:?}");
}

proptest! {
    #[test]
    fn one_partition_decides_as_the_definitions_do(times in times(), events in events(0)) {
        let naive = Naive::run(times, &events);
        let mut operator = partial(times, 1);
        let mut dispositions = Vec::new();
        for event in &events {
            let before_ms = operator.watermark_ms();
            let mut outputs = Vec::new();
            dispositions.extend(feed(&mut operator, event, &mut outputs));
            check_order(times, before_ms, operator.watermark_ms(), &outputs);
        }
        prop_assert_eq!(dispositions, naive.dispositions);
        prop_assert_eq!(operator.watermark_ms(), naive.watermark_ms);
        let open_until_ms = naive
            .accepted
            .iter()
            .map(|record| window_start(times, record.transaction_time_ms) + times.window + times.lateness)
            .max()
            .filter(|closes_ms| *closes_ms > naive.watermark_ms.unwrap());
        prop_assert_eq!(operator.open_until_ms(), open_until_ms);
    }

    /// A hint is a hint: whatever is prepared, and whatever of it then comes, outputs and state are
    /// the same.
    #[test]
    fn preparing_changes_nothing(times in times(), events in events(0), ahead in 1_usize..90) {
        let (mut plain, mut prepared) = (partial(times, 1), partial(times, 1));
        let record = |event: &Event| match event {
            Event::Record(record) => Some(*record),
            Event::Advance(_) | Event::Configure(_) => None,
        };
        for (at, event) in events.iter().enumerate() {
            if at % ahead == 0 {
                let records: Vec<_> = events[at..].iter().take(ahead).filter_map(record).collect();
                prepared.prepare(&records);
            }
            let (mut expected, mut found) = (Vec::new(), Vec::new());
            prop_assert_eq!(
                feed(&mut prepared, event, &mut found),
                feed(&mut plain, event, &mut expected)
            );
            prop_assert_eq!(found, expected);
        }
        let (mut expected, mut found) = (Vec::new(), Vec::new());
        plain.snapshot(&mut expected);
        prepared.snapshot(&mut found);
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn a_restored_operator_goes_on_the_same_from_every_point(
        times in times(),
        events in events(0),
        seeds in prop::array::uniform2(any::<u64>()),
    ) {
        let mut whole = partial(times, seeds[0]);
        let mut moved = partial(times, seeds[1]);
        for (at, event) in events.iter().enumerate() {
            let (mut outputs, mut outputs_moved) = (Vec::new(), Vec::new());
            let disposition = feed(&mut moved, event, &mut outputs_moved);
            prop_assert_eq!(feed(&mut whole, event, &mut outputs), disposition);
            prop_assert_eq!(&outputs, &outputs_moved);
            let (mut state, mut state_moved) = (Vec::new(), Vec::new());
            whole.snapshot(&mut state);
            moved.snapshot(&mut state_moved);
            prop_assert_eq!(&state, &state_moved);
            moved = partial(times, seeds[1].wrapping_add(at as u64));
            moved.restore(&state).unwrap();
        }
    }

    #[test]
    fn a_frozen_state_is_that_of_its_moment_whatever_is_processed_before_it_is_written(
        times in times(),
        events in events(0),
        freezes in prop::collection::vec((0_usize..80, 0_usize..80), 1..6),
    ) {
        let mut operator = partial(times, 1);
        let mut frozen = Vec::new();
        for at in 0..=events.len() {
            for (_, writes_at) in freezes.iter().filter(|(freezes_at, _)| *freezes_at == at) {
                let mut expected = Vec::new();
                operator.clone().snapshot(&mut expected);
                frozen.push((*writes_at, operator.freeze(), expected));
            }
            let (due, rest) = frozen.into_iter().partition(|(writes_at, ..)| *writes_at <= at);
            frozen = rest;
            let due: Vec<_> = due;
            for (_, frozen, expected) in due {
                prop_assert_eq!(written(frozen), expected);
            }
            if let Some(event) = events.get(at) {
                feed(&mut operator, event, &mut Vec::new());
            }
        }
        for (_, frozen, expected) in frozen {
            prop_assert_eq!(written(frozen), expected);
        }
    }

    #[test]
    fn a_cut_or_longer_state_is_refused_and_changes_nothing(times in times(), events in events(0)) {
        let mut operator = partial(times, 1);
        for event in &events {
            feed(&mut operator, event, &mut Vec::new());
        }
        let mut state = Vec::new();
        operator.snapshot(&mut state);
        let mut other = partial(times, 1);
        let mut empty = Vec::new();
        other.snapshot(&mut empty);
        for length in (0..state.len()).step_by(7) {
            prop_assert!(other.restore(&state[..length]).is_err());
        }
        state.push(0);
        prop_assert!(other.restore(&state).is_err());
        let mut unchanged = Vec::new();
        other.snapshot(&mut unchanged);
        prop_assert_eq!(unchanged, empty);
        let mut merge = stage_2(MergePolicy::new(1, 0).unwrap(), HashSeed::FIXED);
        prop_assert!(merge.restore(&state).is_err());
    }

    #[test]
    fn merged_output_equals_a_plain_computation_over_what_was_accepted(
        times in times(),
        partitions in (events(0), events(1), events(2)),
        order in prop::collection::vec(0_usize..3, 0..200),
    ) {
        let mut partitions = [partitions.0, partitions.1, partitions.2];
        let end_ms = 10_000;
        for events in &mut partitions {
            events.push(Event::Advance(end_ms));
        }
        let runs = partitions.each_ref().map(|events| Naive::run(times, events));
        let mut sources = [(); 3].map(|()| partial(times, 7));
        let mut merges = [(); MERGE_PARTITIONS]
            .map(|()| stage_2(MergePolicy::new(3, times.lateness).unwrap(), HashSeed::FIXED));
        let mut aggregates = Vec::new();
        let mut heads = [0; 3];
        let rest = (0..3).flat_map(|source| std::iter::repeat_n(source, 81));
        for source in order.into_iter().chain(rest) {
            let Some(event) = partitions[source].get(heads[source]) else { continue };
            heads[source] += 1;
            let mut outputs = Vec::new();
            feed(&mut sources[source], event, &mut outputs);
            for record in records(source as i32, &outputs) {
                for (at, merge) in merges.iter_mut().enumerate() {
                    let is_for = record
                        .key()
                        .is_none_or(|key| partition_of(key.merchant_id, MERGE_PARTITIONS) == at);
                    if is_for {
                        let disposition = merge.process(&record, &mut aggregates);
                        prop_assert_eq!(disposition, millrace_engine::Disposition::Accepted);
                    }
                }
            }
        }
        let accepted = runs.iter().flat_map(|run| run.accepted.iter().copied());
        let expected = naive_aggregates(times, end_ms, accepted);
        aggregates.sort_by_key(|out| (out.window_start_ms, out.key));
        prop_assert_eq!(aggregates, expected);
        for merge in merges {
            prop_assert_eq!((merge.watermark_ms(), merge.open_windows()), (Some(end_ms), 0));
        }
    }
}
