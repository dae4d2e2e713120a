//! Early results: each is what the definitions say, they only grow, and final results do not depend
//! on them.

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

mod support;

use std::collections::BTreeMap;

use millrace_engine::windowed::{
    EarlyResults, MergePolicy, PartialOutput, PartialPolicy, Totals as _, records,
};
use millrace_engine::{HashSeed, Operator};
use millrace_payments::{MerchantKey, MerchantOutput, MerchantTotals, MergeAggregate, PartialAggregate};
use proptest::prelude::*;
use support::naive::Naive;
use support::stream::{events, times};
use support::{Contribution, Event, MerchantResult, Record, Times, naive_aggregates, stage_1, stage_2};

const SOURCES: usize = 3;
/// An advance that closes every window.
const END_MS: i64 = 10_000;

/// Window, merchant and currency.
type Group = (i64, MerchantKey);

fn every(interval_ms: Option<i64>) -> Option<EarlyResults> {
    interval_ms.map(|interval_ms| EarlyResults::every_ms(interval_ms).unwrap())
}

/// An interval of early results, or none.
fn interval() -> impl Strategy<Value = Option<i64>> {
    prop::option::weighted(0.8, 1_i64..60)
}

fn partial(times: Times, interval_ms: Option<i64>) -> PartialAggregate {
    let policy = PartialPolicy::new(times.window, times.lateness, times.disorder).unwrap();
    stage_1(policy.with_early(every(interval_ms)), HashSeed::FIXED)
}

fn merge(times: Times, interval_ms: Option<i64>) -> MergeAggregate {
    let policy = MergePolicy::new(SOURCES, times.lateness).unwrap();
    stage_2(policy.with_early(every(interval_ms)), HashSeed::FIXED)
}

fn feed(operator: &mut PartialAggregate, event: &Event) -> Vec<MerchantOutput> {
    let mut outputs = Vec::new();
    support::feed(operator, event, &mut outputs);
    outputs
}

/// Goes on with another interval from here on, as after a change of the settings and a restart.
fn moved<O: Operator>(mut from: O, mut to: O) -> O {
    let mut state = Vec::new();
    from.snapshot(&mut state);
    let policy = to.policy().clone();
    to.restore(&state).unwrap();
    assert_eq!(to.policy(), from.policy());
    to.configure(&policy, &mut Vec::new());
    to
}

fn early_of(outputs: &[MerchantOutput]) -> Vec<Contribution> {
    let early = outputs.iter().filter_map(|output| match output {
        PartialOutput::Early { contribution, .. } => Some(*contribution),
        PartialOutput::Contribution { .. } | PartialOutput::Watermark { .. } => None,
    });
    early.collect()
}

fn group_of(result: &MerchantResult) -> Group {
    (result.window_start_ms, result.key)
}

/// Feeds the sources in `order`, then what is left of each; with other intervals from the half on,
/// if there are any.
fn run(
    times: Times,
    intervals_ms: [Option<i64>; 2],
    streams: &[Vec<Event>; SOURCES],
    order: &[usize],
) -> (Vec<Record>, Vec<MerchantResult>) {
    let mut sources = [(); SOURCES].map(|()| partial(times, intervals_ms[0]));
    let mut last = merge(times, intervals_ms[0]);
    let mut heads = [0; SOURCES];
    let (mut partials, mut aggregates) = (Vec::new(), Vec::new());
    let rest = (0..SOURCES).flat_map(|source| std::iter::repeat_n(source, 100));
    for (at, source) in order.iter().copied().chain(rest).enumerate() {
        if at == order.len() / 2 && intervals_ms[0] != intervals_ms[1] {
            sources = sources.map(|source| moved(source, partial(times, intervals_ms[1])));
            last = moved(last, merge(times, intervals_ms[1]));
        }
        let Some(event) = streams[source].get(heads[source]) else {
            continue;
        };
        heads[source] += 1;
        for record in records(source as i32, &feed(&mut sources[source], event)) {
            partials.push(record);
            let before = aggregates.len();
            last.process(&partials[partials.len() - 1], &mut aggregates);
            // What was told while they were off is not known.
            if intervals_ms[0].is_some() {
                check_early(&partials, &aggregates[before..]);
            }
        }
    }
    (partials, aggregates)
}

/// Every early result is the sum of what each source told last.
fn check_early(partials: &[Record], outputs: &[MerchantResult]) {
    for early in outputs.iter().filter(|output| !output.is_final()) {
        let mut told: BTreeMap<i32, MerchantTotals> = BTreeMap::new();
        for partial in partials {
            for group in partial.content.contributions() {
                if (group.window_start_ms, group.key) == group_of(early) {
                    told.insert(partial.source_partition, group.totals);
                }
            }
        }
        let sum = told.into_values().reduce(|mut sum, totals| {
            sum.merge(&totals);
            sum
        });
        assert_eq!(sum, Some(early.totals), "{early:?}");
    }
}

/// Revisions rise and nothing shrinks, up to the one final result.
fn check_growth(aggregates: &[MerchantResult]) {
    let mut newest: BTreeMap<Group, &MerchantResult> = BTreeMap::new();
    for next in aggregates {
        if let Some(last) = newest.insert(group_of(next), next) {
            let (before, after) = (&last.totals.sums, &next.totals.sums);
            assert!(last.revision < next.revision, "{last:?}, then {next:?}");
            assert!(
                before.purchase_count <= after.purchase_count && before.refund_count <= after.refund_count
            );
            assert!(before.purchase_sum <= after.purchase_sum && before.refund_sum <= after.refund_sum);
            assert!(before.min_amount >= after.min_amount && before.max_amount <= after.max_amount);
            assert!(last.totals.distinct_users <= next.totals.distinct_users);
        }
    }
    assert!(
        newest.values().all(|last| last.is_final()),
        "an early result without a final one"
    );
}

fn finals(aggregates: &[MerchantResult]) -> Vec<MerchantResult> {
    let finals = aggregates.iter().filter(|aggregate| aggregate.is_final());
    finals.copied().collect()
}

proptest! {
    #[test]
    fn a_partition_tells_all_that_has_grown_at_each_multiple_and_nothing_else(
        times in times(),
        interval_ms in 1_i64..60,
        stream in events(0),
    ) {
        let mut operator = partial(times, Some(interval_ms));
        let mut without = partial(times, None);
        let mut told: BTreeMap<Group, u64> = BTreeMap::new();
        for at in 0..stream.len() {
            let before_ms = operator.watermark_ms();
            let outputs = feed(&mut operator, &stream[at]);
            let watermark_ms = operator.watermark_ms();
            let is_due = before_ms.is_some_and(|before_ms| {
                before_ms.div_euclid(interval_ms) < watermark_ms.unwrap().div_euclid(interval_ms)
            });
            let mut expected = Vec::new();
            if is_due {
                let accepted = Naive::run(times, &stream[..=at]).accepted;
                for group in naive_aggregates(times, i64::MAX, accepted) {
                    let closes_ms = group.window_end_ms + times.lateness;
                    let count = group.totals.count();
                    let is_open = watermark_ms < Some(closes_ms);
                    if is_open && told.insert(group_of(&group), count) != Some(count) {
                        expected.push((group_of(&group), group.totals));
                    }
                }
                let marked = outputs.last().is_some_and(|output| {
                    matches!(output, PartialOutput::Watermark { watermark_ms: marked_ms, .. } if Some(*marked_ms) == watermark_ms)
                });
                prop_assert!(marked);
            }
            let early = early_of(&outputs);
            let found: Vec<_> = early
                .iter()
                .map(|group| ((group.window_start_ms, group.key), group.totals))
                .collect();
            prop_assert_eq!(found, expected);
            let closed = |output: &MerchantOutput| matches!(output, PartialOutput::Contribution { .. });
            let closed_here: Vec<_> = outputs.into_iter().filter(closed).collect();
            let closed_there: Vec<_> = feed(&mut without, &stream[at]).into_iter().filter(closed).collect();
            prop_assert_eq!(closed_here, closed_there);
        }
    }

    #[test]
    fn results_grow_to_the_final_ones_which_are_those_without_early_results(
        times in times(),
        interval_ms in 1_i64..60,
        mut streams in [events(0), events(1), events(2)],
        order in prop::collection::vec(0_usize..SOURCES, 0..250),
    ) {
        streams.iter_mut().for_each(|events| events.push(Event::Advance(END_MS)));
        let (_, aggregates) = run(times, [Some(interval_ms); 2], &streams, &order);
        check_growth(&aggregates);
        let accepted = streams.each_ref().map(|events| Naive::run(times, events).accepted);
        let mut found = finals(&aggregates);
        prop_assert_eq!(&found, &run(times, [None; 2], &streams, &order).1);
        found.sort_by_key(group_of);
        let expected = naive_aggregates(times, END_MS, accepted.into_iter().flatten());
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn another_interval_from_some_point_on_changes_no_final_result(
        times in times(),
        intervals_ms in [interval(), interval()],
        mut streams in [events(0), events(1), events(2)],
        order in prop::collection::vec(0_usize..SOURCES, 0..250),
    ) {
        streams.iter_mut().for_each(|events| events.push(Event::Advance(END_MS)));
        let (_, aggregates) = run(times, intervals_ms, &streams, &order);
        let (_, undisturbed) = run(times, [None; 2], &streams, &order);
        prop_assert_eq!(finals(&aggregates), undisturbed);
        let mut revisions = BTreeMap::new();
        for next in &aggregates {
            let last = revisions.insert(group_of(next), next.revision);
            prop_assert!(last < Some(next.revision), "{:?}, then {:?}", last, next);
        }
    }

    #[test]
    fn a_restored_operator_goes_on_the_same_from_every_point(
        times in times(),
        interval_ms in 1_i64..60,
        mut streams in [events(0), events(1), events(2)],
        order in prop::collection::vec(0_usize..SOURCES, 0..250),
    ) {
        streams.iter_mut().for_each(|events| events.push(Event::Advance(END_MS)));
        let (partials, aggregates) = run(times, [Some(interval_ms); 2], &streams, &order);
        let (mut last, mut outputs) = (merge(times, Some(interval_ms)), Vec::new());
        for partial in &partials {
            last = moved(last, merge(times, Some(interval_ms)));
            last.process(partial, &mut outputs);
        }
        prop_assert_eq!(outputs, aggregates);
        let (mut whole, mut again) = (partial(times, Some(interval_ms)), partial(times, Some(interval_ms)));
        for event in &streams[0] {
            again = moved(again, partial(times, Some(interval_ms)));
            prop_assert_eq!(feed(&mut whole, event), feed(&mut again, event));
        }
    }

    #[test]
    fn a_cut_or_longer_state_is_refused(
        times in times(),
        stream in events(0),
    ) {
        let (mut source, mut last) = (partial(times, Some(7)), merge(times, Some(7)));
        for event in &stream {
            for record in records(0, &feed(&mut source, event)) {
                last.process(&record, &mut Vec::new());
            }
        }
        let (mut states, mut fresh) = ([Vec::new(), Vec::new()], merge(times, Some(7)));
        source.snapshot(&mut states[0]);
        last.snapshot(&mut states[1]);
        for length in (0..states[1].len()).step_by(29) {
            prop_assert!(fresh.restore(&states[1][..length]).is_err());
        }
        for length in (0..states[0].len()).step_by(29) {
            prop_assert!(partial(times, Some(7)).restore(&states[0][..length]).is_err());
        }
        states.iter_mut().for_each(|state| state.push(0));
        prop_assert!(fresh.restore(&states[1]).is_err());
        prop_assert!(partial(times, Some(7)).restore(&states[0]).is_err());
    }
}

#[test]
fn an_interval_is_at_least_a_millisecond() {
    let error = EarlyResults::every_ms(0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "interval of early results, in ms, is 0: must be from 1 to 86400000"
    );
}
