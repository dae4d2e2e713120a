//! What every `Aggregation` has to hold to, whatever it adds up: one check, for the tests of each.

use std::collections::BTreeMap;
use std::fmt::Debug;

use millrace_engine::policy::DAY_MS;
use millrace_engine::snapshot::{StateReader, StateWriter};
use millrace_engine::windowed::{
    Aggregation, Key, Merge, MergePolicy, Partial, PartialOutput, PartialPolicy, Totals, records,
};
use millrace_engine::{Disposition, HashSeed, Operator};

/// The source partitions that the events are split among.
const SOURCES: usize = 3;

type OutputOf<A> = PartialOutput<<A as Aggregation>::Key, <A as Aggregation>::Totals>;
/// Totals by the 16 bytes of their keys.
type Sums<A> = BTreeMap<u128, <A as Aggregation>::Totals>;

fn bytes_of<K: Key>(key: &K) -> u128 {
    let (low, high) = key.words();
    u128::from(low.swap_bytes()) << 64 | u128::from(high.swap_bytes())
}

/// What stage 1 makes of events, in one window of a day, and the sums in what it sends.
fn stage_1<A: Aggregation>(aggregation: &A, events: &[A::Event]) -> (Vec<OutputOf<A>>, Sums<A>) {
    let policy = PartialPolicy::new(DAY_MS, 0, DAY_MS).expect("valid");
    let mut operator = Partial::new(aggregation.clone(), policy, HashSeed::FIXED);
    let mut outputs = Vec::new();
    for event in events {
        let found = operator.process(event, &mut outputs);
        assert_eq!(found, Disposition::Accepted, "events have ids of their own");
    }
    operator.advance(2 * DAY_MS, &mut outputs);
    let sums = outputs.iter().filter_map(|output| match output {
        PartialOutput::Contribution { contribution, .. } => {
            Some((bytes_of(&contribution.key), contribution.totals))
        }
        PartialOutput::Early { .. } | PartialOutput::Watermark { .. } => None,
    });
    let sums = sums.collect();
    (outputs, sums)
}

fn merged<T: Totals>(mut one: T, other: &T) -> T {
    one.merge(other);
    one
}

/// Whatever is written is read, and nothing else.
fn check_form<K: Key, T: Totals>(key: &K, totals: &T) {
    let mut bytes = Vec::new();
    key.write(&mut StateWriter::new(&mut bytes));
    let key_len = bytes.len();
    assert!(key_len >= K::LEAST_LEN, "{key:?} has fewer bytes than the fewest");
    totals.write(&mut StateWriter::new(&mut bytes));
    assert_eq!(bytes.len() - key_len, T::LEN, "{totals:?}");
    let mut reader = StateReader::new(&bytes);
    assert_eq!(K::read(&mut reader).as_ref(), Ok(key));
    assert_eq!(T::read(&mut reader).as_ref(), Ok(totals));
    assert_eq!(reader.finish(), Ok(()));
    for length in 0..bytes.len() {
        let mut reader = StateReader::new(&bytes[..length]);
        let cut = K::read(&mut reader).and_then(|_| T::read(&mut reader));
        assert!(cut.is_err(), "{length} of {} bytes", bytes.len());
    }
}

/// Merging is associative and commutative, for whatever each source has of a key.
fn check_merge<T: Totals>(parts: &[T]) {
    for [a, b, c] in parts
        .windows(3)
        .filter_map(|three| <&[T; 3]>::try_from(three).ok())
    {
        assert_eq!(merged(*a, b), merged(*b, a));
        assert_eq!(merged(merged(*a, b), c), merged(*a, &merged(*b, c)));
    }
}

/// Checks an aggregation with events of one day from 1970 on, each with an id of its own. `order`
/// is any permutation of them.
pub(crate) fn check<A: Aggregation>(aggregation: &A, events: &[A::Event], order: &[usize])
where
    A::Key: Debug,
{
    let (whole, sums) = stage_1(aggregation, events);
    let counted: u64 = sums.values().map(Totals::count).sum();
    assert_eq!(counted, events.len() as u64, "each event counts once");
    for event in events.iter().take(5) {
        let line = aggregation.open(aggregation.key(event));
        assert_eq!(aggregation.totals(&line, None), A::Totals::EMPTY);
    }
    for totals in sums.values() {
        assert_eq!(merged(A::Totals::EMPTY, totals), *totals);
        assert_eq!(merged(*totals, &A::Totals::EMPTY), *totals);
    }
    for output in &whole {
        if let PartialOutput::Contribution { contribution, .. } = output {
            check_form(&contribution.key, &contribution.totals);
        }
    }

    let shuffled: Vec<_> = order.iter().map(|&at| events[at]).collect();
    assert_eq!(stage_1(aggregation, &shuffled).1, sums, "the order is nothing");

    // By member, as partitions are keyed: no two have one in common.
    let mut parts = vec![Vec::new(); SOURCES];
    for (at, event) in shuffled.iter().enumerate() {
        let member = aggregation.member(event).map_or(at as u64, |(low, high)| {
            (low ^ u64::from(high)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
        });
        parts[member as usize % SOURCES].push(*event);
    }
    let parts: Vec<_> = parts.iter().map(|part| stage_1(aggregation, part)).collect();
    for key in sums.keys() {
        let of_key: Vec<_> = parts
            .iter()
            .filter_map(|(_, sums)| sums.get(key).copied())
            .collect();
        check_merge(&of_key);
        let united = of_key.into_iter().reduce(|one, other| merged(one, &other));
        assert_eq!(united.as_ref(), sums.get(key), "the parts come to the whole");
    }

    // Stage 2 keeps lines and not totals: it comes to the same.
    let policy = MergePolicy::new(SOURCES, 0).expect("valid");
    for first in 0..SOURCES {
        let mut merge = Merge::new(aggregation.clone(), policy, HashSeed::FIXED);
        let mut results = Vec::new();
        for source in (0..SOURCES).map(|source| (source + first) % SOURCES) {
            for record in records(source as i32, &parts[source].0) {
                assert_eq!(merge.process(&record, &mut results), Disposition::Accepted);
            }
        }
        let found: Vec<_> = results
            .iter()
            .map(|out| (bytes_of(&out.key), out.totals))
            .collect();
        let expected: Vec<_> = sums.iter().map(|(key, totals)| (*key, *totals)).collect();
        assert_eq!(found, expected, "by key, from source {first} on");
    }
}
