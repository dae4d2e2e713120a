//! What a file is called: its table, day and partition, and the offsets of its first and last row.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, date};
use jiff::{Span, Unit};

const DAY_MS: i64 = 86_400_000;

/// What every file ends in.
const SUFFIX: &str = ".parquet";

/// A day in UTC, in days since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i32);

impl Day {
    /// The day of a time in milliseconds since 1970; `None` outside the years 1970 to 9999.
    #[must_use]
    pub fn of_ms(time_ms: i64) -> Option<Self> {
        let is_time = millrace_domain::Transaction::is_time(time_ms);
        let days = i32::try_from(time_ms / DAY_MS).ok()?;
        is_time.then_some(Self(days))
    }

    /// So many days earlier.
    #[must_use]
    pub fn less(self, days: u32) -> Self {
        Self(self.0.saturating_sub_unsigned(days))
    }

    /// The folder of its files.
    #[must_use]
    pub fn folder(self) -> String {
        format!("dt={self}")
    }

    /// The day whose folder that is.
    #[must_use]
    pub fn of_folder(name: &str) -> Option<Self> {
        name.strip_prefix("dt=")?.parse().ok()
    }
}

fn epoch() -> Date {
    date(1970, 1, 1)
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = epoch()
            .checked_add(Span::new().days(self.0))
            .map_err(|_| fmt::Error)?;
        day.fmt(f)
    }
}

impl FromStr for Day {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        let day: Date = text.parse()?;
        Ok(Self(epoch().until((Unit::Day, day))?.get_days()))
    }
}

/// A file of a table. It holds every record of its day that its partition has from its first offset
/// to its last, and no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileName {
    /// The table.
    pub table: &'static str,
    /// The day of its records.
    pub day: Day,
    /// The partition of the topic.
    pub partition: i32,
    /// The offset of its first row.
    pub first: i64,
    /// The offset of its last row.
    pub last: i64,
}

impl FileName {
    /// The file of this path within the lake; `None` of what is no file of the table's.
    #[must_use]
    pub fn of_path(table: &'static str, path: &str) -> Option<Self> {
        let mut parts = path.rsplit('/');
        let (name, folder) = (parts.next()?, parts.next()?);
        let name = name
            .strip_suffix(SUFFIX)?
            .strip_prefix(table)?
            .strip_prefix('-')?;
        let mut numbers = name.split('-');
        let found = Self {
            table,
            day: Day::of_folder(folder)?,
            partition: numbers.next()?.parse().ok()?,
            first: numbers.next()?.parse().ok()?,
            last: numbers.next()?.parse().ok()?,
        };
        (numbers.next().is_none() && found.first <= found.last).then_some(found)
    }

    /// The file's name, in the order of partitions and offsets.
    #[must_use]
    pub fn name(&self) -> String {
        let Self {
            table,
            partition,
            first,
            last,
            ..
        } = self;
        format!("{table}-{partition:04}-{first:019}-{last:019}{SUFFIX}")
    }

    /// Its path within the lake.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}/{}/{}", self.table, self.day.folder(), self.name())
    }

    /// Whether both claim to hold some offset of the same partition and day.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let place = |it: &Self| (it.table, it.day, it.partition);
        place(self) == place(other) && self.first <= other.last && other.first <= self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_says_what_is_in_the_file() {
        let file = FileName {
            table: "transactions",
            day: "2026-02-28".parse().unwrap(),
            partition: 3,
            first: 17,
            last: 4_200,
        };
        let path =
            "transactions/dt=2026-02-28/transactions-0003-0000000000000000017-0000000000000004200.parquet";
        assert_eq!(file.path(), path);
        assert_eq!(FileName::of_path("transactions", path), Some(file));
        assert_eq!(FileName::of_path("anomalies", path), None);
        for wrong in [
            "transactions/dt=2026-02-30/transactions-3-17-4200.parquet",
            "transactions/dt=2026-02-28/transactions-3-4200-17.parquet",
            "transactions/dt=2026-02-28/transactions-3-17.parquet",
            "transactions/dt=2026-02-28/transactions-3-17-18-19.parquet",
            "transactions/dt=2026-02-28/transactions-3-17-18.csv",
            "transactions-3-17-18.parquet",
        ] {
            assert_eq!(FileName::of_path("transactions", wrong), None, "{wrong}");
        }
    }

    #[test]
    fn days_begin_at_midnight_in_utc() {
        let day = |ms| Day::of_ms(ms).map(|day| day.to_string());
        assert_eq!(day(0).as_deref(), Some("1970-01-01"));
        assert_eq!(day(1_772_323_199_999).as_deref(), Some("2026-02-28"));
        assert_eq!(day(1_772_323_200_000).as_deref(), Some("2026-03-01"));
        assert_eq!(day(-1), None);
        assert_eq!(day(i64::MAX), None);
        let first: Day = "2026-03-01".parse().unwrap();
        assert_eq!(first.less(1).to_string(), "2026-02-28");
    }
}
