//! Ids are known for as long as the horizon says, whatever is asked, changed or restored.

use super::*;
use proptest::prelude::*;
use std::collections::HashMap;

fn id(number: u8) -> Key {
    [number; 16]
}

proptest! {
    /// The oracle keeps every id with the end of its span and forgets one by one. The horizon
    /// changes now and then: the oracle knows of each horizon from when on its spans are cut.
    #[test]
    fn knows_exactly_what_the_horizon_holds(
        first in 1_i64..40,
        steps in prop::collection::vec((0_u8..14, -60_i64..60, 0_u32..2), 0..120),
    ) {
        let mut horizon = first;
        let mut recent = RecentPayloads::new(horizon, HashSeed::FIXED).unwrap();
        let size_of = |horizon: i64| (horizon + 3) / 4;
        let mut cuts = vec![(i64::MIN, size_of(horizon))];
        let mut oracle: HashMap<u8, (i64, u32)> = HashMap::new();
        let (mut watermark, mut gone) = (i64::MIN, i64::MIN);
        for (number, time, fingerprint) in steps {
            let cut = |cuts: &[(i64, i64)]| {
                let own = cuts.iter().rposition(|(from, _)| *from <= time).unwrap();
                let size = cuts[own].1;
                let end = (time.div_euclid(size) + 1) * size;
                cuts.get(own + 1).map_or(end, |(next, _)| end.min(*next))
            };
            match number {
                0 => {
                    watermark = watermark.max(time);
                    recent.forget(watermark);
                    oracle.retain(|_, (end, _)| *end + horizon > watermark);
                    continue;
                }
                // Within the range of the first ones again.
                1 if watermark > i64::MIN => {
                    gone = gone.max(watermark - horizon);
                    horizon = 1 + time.rem_euclid(40);
                    recent.set_horizon(Some(watermark), recent.reach_ms(), horizon);
                    let from = oracle.values().map(|(end, _)| *end).max().unwrap_or(i64::MIN).max(watermark);
                    cuts.retain(|(start, _)| *start < from || *start <= gone);
                    if cuts.last().is_some_and(|(start, _)| *start == from) {
                        cuts.pop();
                    }
                    if cuts.last().map(|(_, size)| *size) != Some(size_of(horizon)) {
                        cuts.push((from, size_of(horizon)));
                    }
                    oracle.retain(|_, (end, _)| *end + horizon > watermark);
                    prop_assert_eq!(recent.len(), oracle.len());
                    continue;
                }
                _ => {}
            }
            let expected = match oracle.get(&number) {
                None => Seen::New,
                Some((_, known)) if *known == fingerprint => Seen::Duplicate,
                Some(_) => Seen::Changed,
            };
            prop_assert_eq!(recent.check(id(number), time, fingerprint), expected);
            let end = cut(&cuts);
            if expected == Seen::New && end.saturating_add(horizon) > watermark && end > gone {
                oracle.insert(number, (end, fingerprint));
            }
            prop_assert_eq!(recent.len(), oracle.len());

            let mut bytes = Vec::new();
            recent.freeze()(&mut StateWriter::new(&mut bytes));
            // Of whatever horizon: a state brings its own.
            let mut restored = RecentPayloads::new(number.into(), HashSeed::new(number.into())).unwrap();
            let mut reader = StateReader::new(&bytes);
            restored.restore(&mut reader).unwrap();
            reader.finish().unwrap();
            let mut again = Vec::new();
            restored.freeze()(&mut StateWriter::new(&mut again));
            prop_assert_eq!(&again, &bytes);
            recent = restored;
        }
    }
}

/// A state as it was before spans had a timeline: ids by span of `span_ms`, with fingerprints
/// of 64 bits.
fn earlier_state(spans: &[(i64, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = StateWriter::new(&mut bytes);
    writer.option_i64(None);
    writer.count(spans.len());
    for (start_ms, ids) in spans {
        writer.i64(*start_ms);
        writer.count(ids.len());
        ids.iter().for_each(|number| writer.raw(&id(*number)));
        ids.iter()
            .for_each(|number| writer.u64(u64::from(*number) << 32 | 99));
    }
    bytes
}

#[test]
fn ids_of_halves_are_known_for_as_long_as_they_were() {
    const HALF: i64 = 60;
    let bytes = earlier_state(&[(0, &[1, 2]), (HALF, &[3])]);
    let mut restored = RecentPayloads::new(2 * HALF, HashSeed::FIXED).unwrap();
    let mut reader = StateReader::new(&bytes);
    restored
        .restore_earlier(&mut reader, Earlier::Halves, 2 * HALF)
        .unwrap();
    reader.finish().unwrap();
    for number in 1..4 {
        let (same, other) = (u32::from(number), 99);
        assert_eq!(restored.check(id(number), 5, same), Seen::Duplicate);
        assert_eq!(restored.check(id(number), 5, other), Seen::Changed);
    }
    assert_eq!(restored.check(id(4), 5, 7), Seen::New, "in a span of its own");
    for (watermark_ms, len) in [(149, 4), (150, 3), (179, 3), (180, 1), (239, 1), (240, 0)] {
        restored.forget(watermark_ms);
        assert_eq!(restored.len(), len, "{watermark_ms}");
    }
    assert!(
        RecentPayloads::new(2 * HALF + 2, HashSeed::FIXED)
            .unwrap()
            .restore_earlier(&mut StateReader::new(&bytes), Earlier::Halves, 2 * HALF + 2)
            .is_err(),
        "not aligned to halves of that horizon"
    );
}

/// Spans of several blocks come and go, so that the index is cleaned, made anew, and its blocks
/// are used again.
#[test]
fn large_spans_are_known_until_they_are_forgotten_and_their_room_is_used_again() {
    const SPAN: i64 = 1_000;
    let id = |number: u64| (u128::from(number) << 40).to_be_bytes();
    let windows = TumblingWindows::new(SPAN).unwrap();
    let mut recent = RecentIds::new(windows, SPAN, HashSeed::FIXED);
    let mut oracle: HashMap<u64, i64> = HashMap::new();
    let mut number = 0;
    // Ids of a span; the third is far larger than the last ones, and between some nothing comes
    // for long.
    for (span, count) in [
        9_000, 10_000, 60_000, 9_000, 0, 0, 0, 12_000, 20_000, 500, 500, 500, 9_000,
    ]
    .into_iter()
    .enumerate()
    {
        let start_ms = span as i64 * SPAN;
        for step in 0..count {
            let time_ms = start_ms - if step % 7 == 0 { SPAN } else { 0 };
            number += 1;
            let end_ms = windows.end_of(windows.start_of(time_ms));
            let is_kept = end_ms + SPAN > start_ms;
            assert!(recent.insert(id(number), time_ms), "{number}");
            if is_kept {
                oracle.insert(number, end_ms);
            }
            let back = number.saturating_sub(step * 3);
            assert_eq!(
                recent.insert(id(back), start_ms),
                !oracle.contains_key(&back),
                "{back}"
            );
            oracle.entry(back).or_insert(start_ms + SPAN);
        }
        recent.forget(start_ms);
        oracle.retain(|_, end_ms| *end_ms + SPAN > start_ms);
        assert_eq!(recent.len(), oracle.len(), "span {span}");
    }
    assert!(
        recent.0.blocks() < 40,
        "blocks are used again: {}",
        recent.0.blocks()
    );
    assert!(
        recent.0.index().capacity() < 80_000,
        "{}",
        recent.0.index().capacity()
    );
}

#[test]
fn an_id_twice_in_a_state_is_refused() {
    let windows = TumblingWindows::new(10).unwrap();
    let mut recent = RecentIds::new(windows, 10, HashSeed::FIXED);
    assert!(recent.insert(id(1), 5));
    assert!(!recent.insert(id(1), 25), "known, whatever its time says");
    assert!(recent.insert(id(2), 5));
    let mut bytes = Vec::new();
    recent.freeze()(&mut StateWriter::new(&mut bytes));
    let (first, second) = (bytes.len() - 32, bytes.len() - 16);
    bytes.copy_within(first..second, second);
    let error = recent.restore(&mut StateReader::new(&bytes)).unwrap_err();
    assert!(matches!(error, RestoreError::Invalid { .. }), "{error}");
    assert_eq!(recent.len(), 2, "the state is unchanged");
}
