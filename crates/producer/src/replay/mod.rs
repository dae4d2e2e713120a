//! Replay of recorded files: rows become transactions by a mapping, at the recorded pace or
//! another.

mod csv_reader;
mod csv_rows;
mod entry;
mod feed;
mod field;
mod input;
mod inputs;
mod kept;
mod mapping;
mod ndjson_rows;
mod number;
mod order;
mod pace;
mod parquet_rows;
mod parquet_value;
mod propose;
mod raw;
mod recent;
mod reject;
mod rows;
mod sort;
mod source;
mod time;
mod transactions;
mod value;

pub use field::RowError;
pub use input::STANDARD_INPUT;
pub use mapping::{Mapping, MappingError};
pub use order::{Bounds, Found, Order, Stream};
pub use pace::{ShiftTo, Speed};
pub use propose::propose;
pub use raw::Raw;
pub use rows::{Cell, FileFormat, Rows};
pub use source::{Replay, ReplayCounts, ReplayOptions, check};
pub use time::parse_time;
pub use transactions::{Transactions, visit};
pub use value::truth_value;

#[cfg(test)]
mod case_tests;
#[cfg(test)]
mod csv_tests;
#[cfg(test)]
mod input_tests;
#[cfg(test)]
mod mapping_tests;
#[cfg(test)]
mod order_tests;
#[cfg(test)]
mod parquet_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod transactions_tests;
