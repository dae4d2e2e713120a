//! The tables, each for one question; a file here says the columns, and how rows are made of a
//! record.

pub mod aggregates;
pub mod anomalies;
pub mod page_views;

use millrace_domain::Transaction;

use crate::stream::LINES;
use crate::table::Table;

/// Every table, in the order of the lines.
pub const TABLES: [&Table; table_count()] = {
    let mut tables = [LINES[0].tables[0]; table_count()];
    let (mut line, mut before) = (0, 0);
    while line < LINES.len() {
        let mut at = 0;
        while at < LINES[line].tables.len() {
            tables[before + at] = LINES[line].tables[at];
            at += 1;
        }
        before += at;
        line += 1;
    }
    tables
};

const fn table_count() -> usize {
    let (mut line, mut count) = (0, 0);
    while line < LINES.len() {
        count += LINES[line].tables.len();
        line += 1;
    }
    count
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
