//! Replay of a recorded file: rows become transactions by a mapping, at the recorded pace or another.

mod csv_rows;
mod entry;
mod field;
mod mapping;
mod ndjson_rows;
mod pace;
mod parquet_rows;
mod recent;
mod reject;
mod rows;
mod source;
mod time;

pub use field::RowError;
pub use mapping::{Mapping, MappingError};
pub use pace::{ShiftTo, Speed};
pub use rows::{Cell, FileFormat, Rows, open};
pub use source::{Replay, ReplayCounts, ReplayOptions};
pub use time::parse_time;

#[cfg(test)]
mod mapping_tests;
#[cfg(test)]
mod tests;
