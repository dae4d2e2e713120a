//! The tables, each for one question; a file here says the columns, and how rows are made of a
//! record.

pub mod aggregates;
pub mod anomalies;
pub mod page_views;

use millrace_domain::Transaction;

use crate::stream::LINES;
use crate::table::Table;

/// Every table, in the order of the lines.
pub fn all() -> impl Iterator<Item = &'static Table> {
    LINES.iter().flat_map(|line| line.tables.iter().copied())
}

/// Why a record that can be read is no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoRow {
    /// A name from a fixed set, fit for a metric label.
    pub(crate) code: &'static str,
}

/// A time from which a day and a timestamp can be made: of the years 1970 to 9999, as in
/// Elasticsearch, whose sink makes a dead letter of any other.
fn check_time(time_ms: i64) -> Result<i64, NoRow> {
    Transaction::check_time(time_ms).map_err(|_| NoRow {
        code: "time_out_of_range",
    })
}

/// A count as Cassandra has it.
fn count(value: u64) -> Result<i64, NoRow> {
    i64::try_from(value).map_err(|_| NoRow {
        code: "count_out_of_range",
    })
}

#[cfg(test)]
mod tests;
