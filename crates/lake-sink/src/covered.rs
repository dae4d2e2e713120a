//! Which records of a partition are in files already.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::name::{Day, FileName};

/// The offsets that the files of each day hold, of one partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Covered(BTreeMap<Day, Vec<(i64, i64)>>);

impl Covered {
    /// What these files hold from an offset on.
    pub(crate) fn of<'a>(files: impl Iterator<Item = &'a FileName>, from: i64) -> Self {
        let mut days: BTreeMap<Day, Vec<(i64, i64)>> = BTreeMap::new();
        for file in files.filter(|file| file.last >= from) {
            days.entry(file.day).or_default().push((file.first, file.last));
        }
        Self(days)
    }

    /// The first and the last offset of the file that has the record of this day at this offset.
    pub(crate) fn file_of(&self, day: Day, offset: i64) -> Option<(i64, i64)> {
        let mut ranges = self.0.get(&day)?.iter().copied();
        ranges.find(|&(first, last)| (first..=last).contains(&offset))
    }

    /// Rows of a day by their offsets, parted where a file's lie between them: what a file holds is
    /// all of its day from its first offset to its last.
    pub(crate) fn parts(&self, day: Day, offsets: &[i64]) -> Vec<Range<usize>> {
        let ranges = self.0.get(&day).map_or(&[][..], Vec::as_slice);
        let is_parted = |pair: &[i64]| {
            let between = |&(first, _): &(i64, i64)| pair[0] < first && first < pair[1];
            ranges.iter().any(between)
        };
        let (mut parts, mut start) = (Vec::new(), 0);
        if !ranges.is_empty() {
            for (at, _) in offsets.windows(2).enumerate().filter(|(_, pair)| is_parted(pair)) {
                parts.push(start..at + 1);
                start = at + 1;
            }
        }
        parts.push(start..offsets.len());
        parts
    }

    /// The last offset that any of them holds.
    pub(crate) fn last(&self) -> Option<i64> {
        self.0.values().flatten().map(|&(_, last)| last).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_day_has_its_own_offsets() {
        let day = |text: &str| text.parse::<Day>().unwrap();
        let file = |on, first, last| FileName {
            table: "transactions",
            day: day(on),
            partition: 0,
            first,
            last,
        };
        let files = [
            file("2026-01-01", 0, 9),
            file("2026-01-01", 10, 19),
            file("2026-01-02", 12, 17),
        ];
        let covered = Covered::of(files.iter(), 10);
        let has = |on, offset| covered.file_of(day(on), offset).is_some();
        assert_eq!(covered.file_of(day("2026-01-01"), 12), Some((10, 19)));
        assert!(!has("2026-01-01", 9), "nobody asks for it");
        assert!(has("2026-01-01", 10) && has("2026-01-01", 19) && !has("2026-01-01", 20));
        assert!(!has("2026-01-02", 11) && has("2026-01-02", 12) && !has("2026-01-02", 18));
        assert!(!has("2026-01-03", 12));
        let parts = |offsets: &[i64]| covered.parts(day("2026-01-02"), offsets);
        assert_eq!(parts(&[7, 11, 18, 19]), [0..2, 2..4], "around a file");
        assert_eq!(parts(&[18, 19]), vec![0..2; 1]);
        assert_eq!(parts(&[11]), vec![0..1; 1]);
        assert_eq!(covered.last(), Some(19));
        assert_eq!(Covered::of(files.iter(), 20), Covered::default());
    }
}
